"""Poller process: reads HTTP answers off a connection, however their bytes are cut, and takes nothing for granted."""

from __future__ import annotations

from dataclasses import dataclass

import httptools

#: Bytes of a head. Those of SQS have less than 1 KiB.
_LONGEST_HEAD = 65_536
#: Bytes of a body: ten messages of 1 MiB, of which JSON may write each byte as six (https://www.rfc-editor.org/rfc/rfc8259).
LONGEST_BODY = 64 * 1024 * 1024
#: Headers that somebody looks at.
_KEPT = {b"date", b"x-amzn-query-error", b"content-length", b"transfer-encoding"}


class BadAnswer(Exception):
    """The bytes are no HTTP answer, or none that we take; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole answer."""

    status: int
    headers: dict[str, str]  #: those that somebody looks at, by their names in small letters
    body: bytes
    reusable: bool  #: whether the connection takes another request


class AnswerReader:
    """Reads the answers of one connection, one after another."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._body_bytes = 0
        self._in_body = False
        self._done: Reply | None = None
        self._excess = False
        self.begun = False  #: whether a byte of the next answer has come

    def feed(self, data: memoryview | bytes) -> Reply | None:
        """Take what has come; the answer once it is whole. Raises BadAnswer: then the connection is of no use."""
        self.begun = True
        if not self._in_body:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._done is None:
                raise BadAnswer(_why(error)) from error
            self._excess = True  # the answer is whole; what follows it was not asked for
        reply = self._done
        if reply is not None:
            self._done, self.begun, self._head_bytes = None, False, 0
            return Reply(reply.status, reply.headers, reply.body, reusable=reply.reusable and not self._excess)
        if not self._in_body and self._head_bytes > _LONGEST_HEAD:
            raise BadAnswer(f"an answer whose head is longer than {_LONGEST_HEAD} bytes")
        return None

    # --- called by the parser

    def on_message_begin(self) -> None:
        """A status line begins."""
        if self._done is not None:
            self._excess = True
        self._chunks, self._headers = [], {}
        self._body_bytes, self._in_body = 0, False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header is whole."""
        name = name.lower()
        if name in _KEPT:
            self._headers[name.decode("latin-1")] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is whole: what has no length ends with its connection, whole or not, and nobody can tell."""
        self._in_body = True
        length, coding = self._headers.get("content-length"), self._headers.get("transfer-encoding")
        status = self._parser.get_status_code()
        if length is None and (coding is None or coding.lower() != "chunked") and status >= 200 and status != 204:
            raise BadAnswer("an answer that does not say how long it is")
        if length is not None and int(length) > LONGEST_BODY:
            raise BadAnswer(f"an answer of {length[:20]} bytes")

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(data)
        if self._body_bytes > LONGEST_BODY:
            raise BadAnswer(f"an answer of more than {LONGEST_BODY} bytes")
        self._chunks.append(data)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        status = self._parser.get_status_code()
        if self._done is not None or status < 200:
            self._in_body = False
            return  # one that was not asked for; or `100 Continue`, and the answer follows
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        reusable = self._parser.should_keep_alive()
        self._done = Reply(status, self._headers, body, reusable=reusable)
        self._chunks, self._in_body = [], False


def _why(error: Exception) -> str:
    if isinstance(error, httptools.HttpParserUpgrade):
        return "an answer that changes the protocol"
    if isinstance(error, httptools.HttpParserCallbackError):
        return str(error.__context__ or error)  # what the callback raised
    return f"an answer that is not HTTP: {error}"
