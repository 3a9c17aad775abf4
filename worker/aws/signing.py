"""Poller process: Signature Version 4 of requests to one endpoint. Nothing is read or drawn: time is an argument.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from urllib.parse import quote

#: What every request of the protocol says: JSON 1.0, and that errors shall carry their old codes as well.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-json.html
_TYPE = "application/x-amz-json-1.0"
#: Characters of a path that SigV4 leaves as they are, beside letters, digits and `_.-`.
_PLAIN = "/~"


@dataclass(frozen=True, slots=True)
class Credentials:
    """As they sign; never shown."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)

    @property
    def sendable(self) -> bool:
        """Whether a header takes them: a line end in one would make a header of its own of what follows."""
        return all(text.isascii() and text.isprintable() for text in (self.access_key, self.token))


class Signer:
    """Writes the heads of POST requests to one URL. The day's key and the second's date are kept."""

    def __init__(self, *, host: str, path: str, region: str, service: str) -> None:
        """`host` as the Host header says it; `path` as the request line says it."""
        self._region = region
        self._service = service
        self._request_line = f"POST {path} HTTP/1.1\r\nhost: {host}\r\n"
        self._canonical = f"POST\n{canonical_path(path)}\n\ncontent-type:{_TYPE}\nhost:{host}\nx-amz-date:"
        self._second = -1
        self._date = ""  #: 20260131T235959Z
        self._key = b""
        self._key_of: tuple[str, str] = ("", "")

    def head(self, target: str, *, digest: str, length: int, credentials: Credentials, now: float) -> bytes:
        """The head of a request: its action's target, its body's SHA-256 in hex and length in bytes, the wall clock."""
        if int(now) != self._second:
            self._second = int(now)
            self._date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._second))
        date, token = self._date, credentials.token
        tokens, token_line, names = "", "", "content-type;host;x-amz-date;x-amz-target;x-amzn-query-mode"
        if token:
            tokens, token_line = f"x-amz-security-token:{token}\n", f"x-amz-security-token: {token}\r\n"
            names = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target;x-amzn-query-mode"
        canonical = (
            f"{self._canonical}{date}\n{tokens}x-amz-target:{target}\nx-amzn-query-mode:true\n\n{names}\n{digest}"
        )
        scope = f"{date[:8]}/{self._region}/{self._service}/aws4_request"
        said = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key_for(credentials.secret_key, date[:8]), said.encode(), "sha256").hex()
        return (
            f"{self._request_line}content-type: {_TYPE}\r\nx-amz-date: {date}\r\nx-amz-target: {target}\r\n"
            f"x-amzn-query-mode: true\r\nuser-agent: worker\r\ncontent-length: {length}\r\n{token_line}"
            f"authorization: AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, "
            f"Signature={signature}\r\n\r\n"
        ).encode()

    def _key_for(self, secret: str, day: str) -> bytes:
        if (secret, day) != self._key_of:
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key, self._key_of = key, (secret, day)
        return self._key


def canonical_path(path: str) -> str:
    """The path as it is signed: dots and empty parts resolved (RFC 3986, 5.2.4), then quoted once more."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if kept:
                kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    slash = "/" if kept and path.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{slash}", safe=_PLAIN)
