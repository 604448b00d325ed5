"""What came from elsewhere, for the Markdown of a page: it can't become a table, a tag or a picture there."""

from __future__ import annotations


def plain(text: str) -> str:
    """Keep a text to one line, and to what it says."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("![", "!\\[").replace("\n", " ")
