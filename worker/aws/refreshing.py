"""Poller process: keeps credentials at hand, in a thread: metadata services, STS and sub-processes take their time."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from botocore.exceptions import NoCredentialsError

from worker.aws.credentials import LiveCredentials
from worker.aws.errors import failure_of
from worker.aws.signing import Credentials
from worker.policy.failures import Failure, FailureKind

#: Seconds after which botocore is asked again whether credentials have to be renewed. It does so minutes ahead.
_LOOK = 20.0
#: Seconds between two tries to get credentials that were refused.
_AGAIN = 1.0


class Source(Protocol):
    """A session of botocore: it finds credentials, and renews them when they are looked at in time."""

    def get_credentials(self) -> Any: ...


class Refreshing:
    """The credentials of one session."""

    def __init__(self, source: Source, *, wake: Callable[[], None]) -> None:
        """`wake` is called, in a thread of ours, when something changed."""
        self._source = source
        self._wake = wake
        self._state: Credentials | Failure | None = None
        self._look_at = float("inf")
        self._looking = False
        self._refused = False
        self.look()

    def current(self) -> Credentials | Failure | None:
        """What signs a request now; None until it is known. Never waits."""
        if time.monotonic() >= self._look_at:
            self.look()
        return self._state

    def refused(self) -> None:
        """SQS does not take them: they have expired, or were replaced where they were found."""
        self._refused = True
        self.look()

    def look(self) -> None:
        """Ask botocore again."""
        self._look_at = float("inf")
        if not self._looking:
            self._looking = True
            # Daemons: a metadata service that hangs must not keep the process from ending.
            thread = threading.Thread(target=self._fetch, name="credentials", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter ends and takes no more threads: a producer sends what is left
                self._fetch()

    def _fetch(self) -> None:
        seconds = _AGAIN
        try:
            found = self._source.get_credentials()
            if found is None:
                raise NoCredentialsError
            if self._refused and isinstance(found, LiveCredentials):
                found.refused()
            self._refused = False
            frozen = found.get_frozen_credentials()
            state = _checked(Credentials(frozen.access_key, frozen.secret_key, frozen.token or ""))
            seconds = _next_look(found)
        except Exception as error:  # noqa: BLE001 - whatever a provider raises, requests fail with it; SSO, for one
            state = failure_of(error)
        self._state = state
        self._looking = False  # before the next line: a look that falls between the two only adds one
        self._look_at = time.monotonic() + seconds
        self._wake()


def _checked(credentials: Credentials) -> Credentials | Failure:
    if credentials.sendable:
        return credentials
    text = "a credential holds a character that no header takes, such as a line end"
    return Failure(FailureKind.CREDENTIALS, "InvalidCredentials", text)


def _next_look(found: Any) -> float:
    """Seconds till botocore is asked again: never for credentials that do not change, soon for those that live shortly.

    It renews what has less than 15 minutes left, but only when it is asked.
    """
    if isinstance(found, LiveCredentials):
        found = found.found
    if not hasattr(found, "refresh_needed"):
        return float("inf")
    expiry = getattr(found, "_expiry_time", None)
    if not isinstance(expiry, datetime.datetime):
        return _LOOK
    left = (expiry - datetime.datetime.now(expiry.tzinfo)).total_seconds()
    return max(_AGAIN, min(_LOOK, left / 3))
