"""The self-test: everything that backups need is tried out, and nothing is changed or started by it."""
