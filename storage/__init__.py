"""SQL lives here and nowhere else. Rows never leave this package as rows."""
