"""Members and what they decide."""
