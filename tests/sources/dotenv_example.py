"""An `.env` file that has every way to write a value, and what its values are."""

from __future__ import annotations

EXAMPLE = """\
# the service's secrets
PLAIN=abc123
export EXPORTED = with space   # and a comment
HASH=pa#ss
DOUBLE="a \\"quoted\\" value\\nof two lines" # said twice
SINGLE='as it $is\\n'
EMPTY=
EMPTY_TOO= # nothing
KEY="-----BEGIN KEY-----
MIIBOQ==
-----END KEY-----"

this is no assignment
UNSET
PLAIN=again
"""
VALUES = {
    "PLAIN": "again",
    "EXPORTED": "with space",
    "HASH": "pa#ss",
    "DOUBLE": 'a "quoted" value\nof two lines',
    "SINGLE": "as it $is\\n",
    "EMPTY": "",
    "EMPTY_TOO": "",
    "KEY": "-----BEGIN KEY-----\nMIIBOQ==\n-----END KEY-----",
}
