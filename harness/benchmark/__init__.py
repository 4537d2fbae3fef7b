"""How fast text is generated."""
