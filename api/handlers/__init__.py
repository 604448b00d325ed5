"""What the API does, one noun a file; the guide's path and the REST routes lead here."""
