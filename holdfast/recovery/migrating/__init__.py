"""Data moved from one place to another by a step: streamed or staged, compared at the end, and only then in its place."""
