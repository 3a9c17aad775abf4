"""SQS server process: reads the head of an HTTP/1.1 request, and writes the head of an answer."""

import time
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Final

#: Bytes of a request's head, and of its body: ten entries of 1 MiB in all, escaped at worst sixfold by JSON.
HEAD_BYTES: Final = 65_536
BODY_BYTES: Final = 16 * 1_048_576
_TARGET: Final = b"\r\nx-amz-target:"
_LENGTH: Final = b"\r\ncontent-length:"


class BadRequest(Exception):
    """The request is no HTTP that this server speaks; the message says why, `status` is the answer's."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(slots=True)
class Head:
    """What the server needs of a request's head."""

    method: bytes
    path: str
    target: str
    length: int
    region: str
    host: str
    keep_alive: bool
    expects_continue: bool
    trace_header: str | None


def _header(lower: bytes, name: bytes, raw: bytes) -> bytes:
    """A header's value as it came; empty where it is absent. `lower` is `raw` in lower case."""
    start = lower.find(name)
    if start < 0:
        return b""
    start += len(name)
    end = raw.find(b"\r\n", start)
    return raw[start : end if end >= 0 else len(raw)].strip()


def _region(lower: bytes) -> str:
    """The region of the credential scope (.../20260101/us-east-1/sqs/aws4_request), us-east-1 without one."""
    end = lower.find(b"/sqs/aws4_request")
    if end < 0:
        return "us-east-1"
    start = lower.rfind(b"/", 0, end) + 1
    return lower[start:end].decode("ascii", "replace")


def read_head(raw: bytes) -> Head:
    """Reads a head, without the empty line at its end. Raises BadRequest."""
    lower = raw.lower()
    line_end = raw.find(b"\r\n")
    line = (raw[:line_end] if line_end >= 0 else raw).split(b" ")
    if len(line) != 3 or not line[2].startswith(b"HTTP/1."):
        raise BadRequest(400, "no HTTP/1.1 request line")
    if lower.find(b"\r\ntransfer-encoding:") >= 0:
        raise BadRequest(411, "a length is required: chunked bodies are not read")
    given = _header(lower, _LENGTH, raw)
    if given and not given.isdigit():
        raise BadRequest(400, "Content-Length is no number")
    length = int(given) if given else 0
    if length > BODY_BYTES:
        raise BadRequest(413, "the body is too long")
    target = _header(lower, _TARGET, raw)
    trace = _header(lower, b"\r\nx-amzn-trace-id:", raw)
    return Head(
        method=line[0],
        path=line[1].decode("latin-1"),
        target=target.decode("latin-1"),
        length=length,
        region=_region(lower),
        host=_header(lower, b"\r\nhost:", raw).decode("latin-1"),
        keep_alive=line[2] == b"HTTP/1.1" and lower.find(b"\r\nconnection: close") < 0,
        expects_continue=lower.find(b"\r\nexpect: 100-continue") >= 0,
        trace_header=trace.decode("latin-1") if trace else None,
    )


@lru_cache(maxsize=8)
def _date(second: int) -> bytes:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second)).encode()


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


@lru_cache(maxsize=256)
def _fixed(status: int, second: int, content_type: str, *, keep_alive: bool) -> bytes:
    """The part of the head that all answers of one second share."""
    connection = b"" if keep_alive else b"Connection: close\r\n"
    return (
        _status_line(status)
        + b"Date: "
        + _date(second)
        + b"\r\nContent-Type: "
        + content_type.encode()
        + b"\r\n"
        + connection
    )


def write_head(
    status: int, length: int, *, request_id: str, second: int, content_type: str, query_error: str, keep_alive: bool
) -> bytes:
    """The head of an answer, with the empty line; `second` is the wall clock, for Date."""
    head = _fixed(status, second, content_type, keep_alive=keep_alive)
    query = f"x-amzn-query-error: {query_error}\r\n" if query_error else ""
    return head + f"{query}x-amzn-RequestId: {request_id}\r\nContent-Length: {length}\r\n\r\n".encode()
