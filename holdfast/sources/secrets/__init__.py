"""What is known of secrets: read from where they are kept, told apart from a backup, rotated, recreated. No value leaves a provider."""
