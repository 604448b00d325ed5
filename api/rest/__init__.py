"""The REST routes, one noun a file; each leads to an action."""
