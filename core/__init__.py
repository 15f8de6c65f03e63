"""The co-op's rules. Knows no SDK, no SQL and no HTTP."""
