"""Handler process: posts JSON over HTTP for the channels that do, and says what the answer means."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from typing import Any

import urllib3

from apps.notifications.answers import Answer, Delivered, Later, of_status

#: Seconds to connect, and between two pieces of an answer.
_CONNECT, _READ = 2.0, 5.0
#: Connections kept for the threads of a handler process.
_KEPT = 32
#: Of an answer's body, which nobody looks at, so much is read to keep its connection.
_MOST = 65_536


class Poster:
    """Posts to one URL, over connections that are kept. Redirects are not followed, nothing is repeated.

    Statuses with a meaning of their own: those `about_us` (a wrong token, say) are no fault of the recipient's, and
    `had_before` tells that an earlier try arrived.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        headers: Mapping[str, str],
        about_us: Collection[int] = (),
        had_before: Collection[int] = (),
    ) -> None:
        self._url, self._name = url, name
        self._about_us, self._had_before = about_us, had_before
        self._headers = {"Content-Type": "application/json", "User-Agent": "worker-notifications"} | dict(headers)
        timeout = urllib3.Timeout(connect=_CONNECT, read=_READ)
        self._pool = urllib3.PoolManager(maxsize=_KEPT, timeout=timeout, retries=False)

    def post(self, value: Mapping[str, Any], *, headers: Mapping[str, str]) -> Answer:
        """The meaning of the answer; none at all is Later. Reasons show no URL: it may hold a token."""
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        body = text.encode(errors="backslashreplace")  # half a surrogate pair: JSON has the same escapes as Python
        try:
            answer = self._pool.request(
                "POST",
                self._url,
                body=body,
                headers=self._headers | dict(headers),
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return Later(f"{self._name} did not answer: {type(error).__name__}")
        _finish(answer)
        return self._meaning(answer.status, retry_after=answer.headers.get("Retry-After"))

    def _meaning(self, status: int, *, retry_after: str | None) -> Answer:
        if status in self._had_before:
            return Delivered()
        if status in self._about_us:
            return Later(f"{self._name} answered {status}: does it know our token?")
        return of_status(status, retry_after=retry_after, now=time.time(), name=self._name)


def _finish(answer: urllib3.BaseHTTPResponse) -> None:
    """Read the rest, if it is short; the status is known, so whatever happens to it changes nothing."""
    try:
        answer.read(_MOST, decode_content=False)
        whole = answer.closed
    except (urllib3.exceptions.HTTPError, OSError):
        whole = False
    if not whole:
        answer.close()
    answer.release_conn()
