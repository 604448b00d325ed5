"""Edge Functions: where they are read, how they are brought back, and whether they answer."""
