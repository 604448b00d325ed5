"""What a step needs to bring a backup back: which one, in which way, and how that is undone."""
