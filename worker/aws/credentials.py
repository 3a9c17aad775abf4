"""Poller process: the credentials of its calls, looked for again while there are none, or while AWS refuses them.

botocore looks once, when a client is made: one made before the machine's role or a file was there would fail for ever,
and keys that were replaced in a file would never be read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError

from worker import platform
from worker.policy.failures import FailureKind, classify

#: Seconds between two searches: each may ask the machine's metadata service, which answers only so often.
PAUSE = 5.0


class LiveCredentials(Credentials):
    """What a search finds, searched for again when it has to be. Those that expire refresh themselves."""

    def __init__(self, search: Callable[[], Any]) -> None:
        """`search` gives credentials of botocore, or None."""
        super().__init__("", "", method="worker")
        self._search = search
        self._lock = threading.Lock()
        self._found: Any = None
        self._search_at = 0.0

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """For the signature of one request. Raises NoCredentialsError, and what a refresh raises."""
        with self._lock:
            now = platform.now()
            if self._found is None and now >= self._search_at:
                self._search_at = now + PAUSE
                self._found = self._search()
            found = self._found
        if found is None:
            raise NoCredentialsError
        frozen: ReadOnlyCredentials = found.get_frozen_credentials()
        return frozen

    def judge(self, parsed: Any, **_: Any) -> None:
        """A botocore hook (after-call): credentials that AWS refuses are looked for anew."""
        error = parsed.get("Error") if isinstance(parsed, dict) else None
        if error and classify((str(error.get("Code")),), str(error.get("Message"))).kind is FailureKind.CREDENTIALS:
            self.refused()

    def refused(self) -> None:
        """AWS does not take them: the next request looks for others, unless that was done a moment ago."""
        with self._lock:
            if platform.now() >= self._search_at:
                self._found = None

    @property
    def found(self) -> Any:
        """What was found last, which may know when it expires; None if there is nothing."""
        return self._found
