"""What is known of secrets: read where they are kept, compared with a backup, rotated, recreated. No value leaves a provider."""
