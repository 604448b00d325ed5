"""The HTTP API: how things stand, for other programs. It starts nothing and changes nothing."""
