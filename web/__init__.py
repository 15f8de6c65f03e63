"""The public pages, the API and the feeds."""
