"""One download from Google Cloud Storage, held to what the service announced of it.

It asks the JSON API itself: the library hands out what came of a range without telling how much should have come.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Self, cast
from urllib.parse import quote

from google.api_core.exceptions import from_http_response
from google.auth.transport.requests import AuthorizedSession
from requests import Response

from holdfast.errors import StorageUnreachableError
from holdfast.storage.gcs_client import TIMEOUT

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_CRC32C = re.compile(r"crc32c=([A-Za-z0-9+/=]+)")


class Download:
    """The answer to a request for an object, or for the bytes `wanted` of it (first, last), whose body is still to be read.

    `what` says what could not be done when an answer falls short: StorageUnreachableError, for another may not.
    """

    def __init__(
        self, session: AuthorizedSession, api: str, bucket: str, path: str, *, what: str, wanted: tuple[int, int] | None = None
    ) -> None:
        url = f"{api}/download/storage/v1/b/{quote(bucket, safe='')}/o/{quote(path, safe='')}?alt=media"
        headers = {"Accept-Encoding": "identity"}
        if wanted is not None:
            headers["Range"] = f"bytes={wanted[0]}-{wanted[1]}"
        self._what = what
        self._wanted = wanted
        self._answer = cast(Response, session.request("GET", url, headers=headers, stream=True, timeout=TIMEOUT))

    def __enter__(self) -> Self:
        if self._answer.status_code not in {200, 206}:
            with self._answer:
                raise from_http_response(self._answer)
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()

    def parts(self, part_bytes: int) -> Iterator[bytes]:
        """Read the body in parts; ends well only when all came that was announced."""
        announced_bytes = self._announced_bytes()
        came_bytes = 0
        for part in self._answer.raw.stream(part_bytes, decode_content=False):
            came_bytes += len(part)
            yield part
        if announced_bytes is not None and came_bytes != announced_bytes:
            raise self._wrong(f"{came_bytes} of {announced_bytes} bytes came")

    def is_unchanged(self, checksum: int) -> bool:
        """Tell whether a whole object's CRC32C is the one that the service announced, if it did."""
        announced = _CRC32C.search(self._answer.headers.get("X-Goog-Hash", ""))
        return announced is None or announced[1] == encoded(checksum)

    def _announced_bytes(self) -> int | None:
        """Tell how long the body must be; None where its own ending tells (chunked), for then the connection sees to it."""
        if self._wanted is not None:
            return self._range_bytes(*self._wanted)
        headers = self._answer.headers
        announced = headers.get("Content-Length") or headers.get("X-Goog-Stored-Content-Length")
        if announced is None and headers.get("Transfer-Encoding") != "chunked":
            raise self._wrong("the answer does not tell its length")
        return int(announced) if announced is not None else None

    def _range_bytes(self, first: int, last: int) -> int:
        given = self._answer.headers.get("Content-Range", "none")
        found = _CONTENT_RANGE.fullmatch(given)
        if found is None or (int(found[1]), int(found[2])) != (first, min(last, int(found[3]) - 1)):
            raise self._wrong(f"the bytes {first} to {last} were asked for, and the answer's range is {given}")
        return int(found[2]) + 1 - first

    def _wrong(self, reason: str) -> StorageUnreachableError:
        return StorageUnreachableError(f"could not {self._what}", reason=reason)


def encoded(checksum: int) -> str:
    """Write a CRC32C as Google does."""
    return base64.b64encode(checksum.to_bytes(4, "big")).decode("ascii")
