"""Holdfast beside the tools that a user would pick instead: whole processes, on one machine, in interleaved rounds."""
