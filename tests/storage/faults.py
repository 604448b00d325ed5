"""What can happen to a request, and how each service words the answers that it gives then.

The answers hold what the services quote of credentials, as `QUOTED_SECRET`, for no error of ours may show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import parse_qs, urlsplit

from tests.storage.servers import Kind

QUOTED_SECRET = "quoted-by-the-server-canary"


class Fault(Enum):
    """What happens to a request."""

    ERROR = auto()  # 500, not done
    SLOW_DOWN = auto()  # 503, not done
    TOO_MANY = auto()  # 429, not done
    SILENCE = auto()  # no answer ever, not done
    SILENCE_AFTER_DONE = auto()
    RESET_AT_ONCE = auto()  # not done
    RESET_MID_REQUEST = auto()  # half of the request was read, not done
    RESET_AFTER_DONE = auto()  # the ambiguous one
    ERROR_AFTER_DONE = auto()  # 500, though it was done
    RESET_MID_BODY = auto()
    CUT_BODY = auto()  # half of it comes, Content-Length tells of all
    CUT_BODY_AND_LENGTH = auto()  # half of it comes, Content-Length tells of half
    CUT_BODY_UNTOLD = auto()  # half of it comes and no Content-Length: the end of the connection is the end
    WRONG_CONTENT = auto()  # all of it comes, one byte changed
    DENIED = auto()  # 403
    UNAUTHORIZED = auto()  # 401
    EXPIRED = auto()  # what the service says of credentials that were good until just now
    NO_BUCKET = auto()  # 404
    CONFLICT = auto()  # 409: another writes it just now; not done


# What passes when it is tried again, and shows. (A body that is cut with its length looks like a short object.)
RECOVERABLE = (
    Fault.ERROR,
    Fault.SLOW_DOWN,
    Fault.TOO_MANY,
    Fault.RESET_AT_ONCE,
    Fault.RESET_MID_REQUEST,
    Fault.RESET_AFTER_DONE,
    Fault.ERROR_AFTER_DONE,
    Fault.RESET_MID_BODY,
    Fault.CUT_BODY,
)


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    kind: Kind
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def writes(self) -> bool:
        return self.method in {"PUT", "POST"}

    @property
    def lists(self) -> bool:
        path = urlsplit(self.target).path
        by_kind = {
            "s3": "list-type" in self.query,
            "azure": self.query.get("comp") == ["list"],
            "gcs": path.endswith("/o"),
        }
        return self.method == "GET" and by_kind[self.kind]

    @property
    def reads_content(self) -> bool:
        if self.kind == "gcs" and self.query.get("alt") != ["media"]:
            return False
        return self.method == "GET" and not self.lists


@dataclass
class Response:
    """A response as it goes: `body` is what is sent, which the headers may belie."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def set_length(self, length: int | None) -> None:
        self.headers = [(name, value) for name, value in self.headers if name.lower() != "content-length"]
        if length is not None:
            self.headers.append(("Content-Length", str(length)))

    def head_bytes(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {self.reason}", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


ANSWERS = {
    Fault.ERROR: (500, "InternalError", "InternalError", "backendError"),
    Fault.SLOW_DOWN: (503, "SlowDown", "ServerBusy", "backendError"),
    Fault.TOO_MANY: (429, "TooManyRequests", "OperationTimedOut", "rateLimitExceeded"),
    Fault.DENIED: (403, "AccessDenied", "AuthorizationPermissionMismatch", "forbidden"),
    Fault.UNAUTHORIZED: (401, "InvalidToken", "InvalidAuthenticationInfo", "authError"),
    Fault.NO_BUCKET: (404, "NoSuchBucket", "ContainerNotFound", "notFound"),
    Fault.CONFLICT: (409, "ConditionalRequestConflict", "LeaseIdMissing", "conflict"),
}


def answer(request: Request, fault: Fault) -> Response:
    """Answer in the server's place and in its words."""
    if fault is Fault.EXPIRED:
        status, *codes = {"s3": 400, "azure": 403, "gcs": 401}[request.kind], "ExpiredToken", "AuthenticationFailed", "authError"
    else:
        status, *codes = ANSWERS[fault]
    code = str(dict(zip(("s3", "azure", "gcs"), codes, strict=True))[request.kind])
    headers = [("Content-Type", "application/xml"), ("x-amz-request-id", "1")]
    if request.kind == "azure":
        headers = [("Content-Type", "application/xml"), ("x-ms-error-code", code)]
        quoted = f"<AuthenticationErrorDetail>The MAC signature '{QUOTED_SECRET}' is no good</AuthenticationErrorDetail>"
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>a fault of the test</Message>{quoted}</Error>"
    elif request.kind == "gcs":
        headers = [("Content-Type", "application/json")]
        message = '"message": "a fault of the test"'
        one = f'{{{message}, "reason": "{code}", "domain": "global", "debugInfo": "Bearer {QUOTED_SECRET}"}}'
        body = f'{{"error": {{"code": {status}, {message}, "errors": [{one}]}}}}'
    else:
        quoted = f"<AWSAccessKeyId>{QUOTED_SECRET}</AWSAccessKeyId><Token-0>{QUOTED_SECRET}</Token-0>"
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>a fault of the test</Message>{quoted}</Error>"
    response = Response(status, code, headers, body.encode())
    response.set_length(len(response.body))
    return response
