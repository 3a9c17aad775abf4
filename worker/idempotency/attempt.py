"""Handler process: one attempt on a key: take it, run, mark it after the effect; or give it back. All of it blocks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from worker.idempotency.claim import Claim, NotCommitted, Use
from worker.idempotency.results import ResultNotStorable, decode, encode, is_end
from worker.idempotency.store import Store
from worker.message import Forward, Message, Retry, SoftTimeout
from worker.policy.idempotency import (
    GRACE,
    Busy,
    Done,
    KeyLost,
    Standing,
    StoreFailed,
    Taken,
    seconds_to_run,
    seconds_to_wait,
)

#: Seconds before each further try of a mark that failed. The effect is there already: it is worth some patience.
_PAUSES = (0.1, 0.5, 1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for all attempts of a function."""

    ttl: float  #: seconds that a key which is done is remembered
    lease: float | None  #: seconds that a run may take; None: what its message has left
    clock: Callable[[], float]  #: seconds since 1970
    pause: Callable[[float], None]


class Earlier(NamedTuple):
    """The key was done before."""

    result: Any


class KeyedAttempt:
    """The way is begin(), the function, then finish() with its result or give_back() with its exception."""

    def __init__(self, store: Store, message: Message, *, key: str, owner: str, terms: Terms) -> None:
        self.claim = Claim(store, key=key, owner=owner, expires=lambda: terms.clock() + terms.ttl)
        self._store = store
        self._message = message
        self._terms = terms
        self._until = 0.0
        self._deadline, self._move_on = message.deadline, message.move_deadline  # as they were, and shall be again
        self._shortened = self._moved_to = 0.0
        self._pid = os.getpid()

    def begin(self) -> Earlier | None:
        """Take the key: None, and the function is to run; or what it returned earlier.

        Raises Retry while somebody else runs for it, and StoreFailed: then it is not known whose it is.
        """
        message, now = self._message, self._terms.clock()
        seconds = seconds_to_run(message.remaining, self._terms.lease)
        if seconds < message.remaining and self._terms.lease is not None:
            message.extend(seconds)  # earlier than it was: the pool stops the function while the key is its own
            self._shortened = message.deadline
        self._until, self._moved_to = now + seconds + GRACE, message.deadline
        message.move_deadline = self._move
        found: Standing | None = None
        try:
            found = self._store.begin(self.claim.key, owner=self.claim.owner, now=now, until=self._until)
        finally:
            if not isinstance(found, Taken):
                self._let_go()
        if isinstance(found, Done):
            return Earlier(decode(found.result))
        if isinstance(found, Busy):
            after = seconds_to_wait(found.until, now=now, hidden=message.latest - message.clock())
            raise Retry(after=after, reason=f"its idempotency key is busy: {found.owner or 'somebody'} runs for it")
        return None

    def finish(self, result: Any) -> Any:
        """The function has returned, so its effect is there: mark it. Gives what is to be returned.

        Raises KeyLost, StoreFailed, NotCommitted, ResultNotStorable: all of them are retries.
        """
        if self._forked():
            return result
        try:
            self._settle(result)
        finally:
            self._let_go()
        return result

    def give_back(self, error: BaseException) -> None:
        """The function has raised: whoever comes next may run at once. Never raises for the store's sake."""
        if self._forked():
            return
        try:
            self._release(error)
        finally:
            self._let_go()

    def _settle(self, result: Any) -> None:
        if self.claim.use is Use.COMMITTED:
            return
        if not is_end(result):
            self._release(None)
        elif self.claim.use is Use.HANDED_OUT:
            self._look_up()
        else:
            self._mark(result)

    def _mark(self, result: Any) -> None:
        try:
            encoded = encode(result)
        except ResultNotStorable as error:
            if isinstance(result, Forward):  # it has yet to be sent: marked without it, it never would be
                self._release(error)
                raise
            self._mark_encoded(None)  # the effect must not be repeated for the sake of its result
            raise
        self._mark_encoded(encoded)

    def _mark_encoded(self, encoded: str | None) -> None:
        claim, expires = self.claim, self._terms.clock() + self._terms.ttl
        if not self._patiently(lambda: self._store.mark(claim.key, owner=claim.owner, result=encoded, expires=expires)):
            raise KeyLost(
                f"message {self._message.id}: its lease on its idempotency key was over before it was marked: "
                "somebody else has the key, and its effect may have happened twice"
            )

    def _look_up(self) -> None:
        if not self._patiently(lambda: self._store.is_marked(self.claim.key, owner=self.claim.owner)):
            self._release(None)
            raise NotCommitted(
                f"message {self._message.id}: the function took the marking item of its claim, but did not write it in "
                "a transaction before it returned"
            )

    def _patiently(self, ask: Callable[[], bool]) -> bool:
        for pause in _PAUSES:
            try:
                return ask()
            except StoreFailed:
                self._terms.pause(pause)
            except SoftTimeout:  # the function is done: a second is left to say so
                continue
        try:
            return ask()
        except StoreFailed as error:
            raise StoreFailed(
                f"message {self._message.id}: the function has returned, but its key could not be marked: {error} "
                f"(the key is busy until its lease is over; then the function runs again)"
            ) from error

    def _release(self, error: BaseException | None) -> None:
        try:
            self._store.release(self.claim.key, owner=self.claim.owner)
        except StoreFailed as failed:
            if error is not None:
                error.add_note(f"its idempotency key stays busy until its lease is over: {failed}")

    def _move(self, deadline: float) -> None:
        """message.extend(): the key's lease first, so that it never ends before the function's time.

        Raises KeyLost and StoreFailed; then the deadline is as it was.
        """
        message, claim = self._message, self.claim
        until = self._terms.clock() + (deadline - message.clock()) + GRACE
        try:
            if until > self._until and claim.use is Use.NOTHING:
                if not self._store.extend(claim.key, owner=claim.owner, until=until):
                    raise KeyLost(f"message {message.id}: its lease on its idempotency key was over: it cannot go on")
                self._until = until
        except BaseException:
            message.deadline = self._moved_to
            raise
        if self._move_on is not None:
            self._move_on(deadline)
        self._moved_to = deadline

    def _let_go(self) -> None:
        """The message is its caller's again, with all of its time: it may be one of a batch that goes on."""
        message = self._message
        if message.move_deadline != self._move:
            return  # the handler function has ended meanwhile
        message.move_deadline = self._move_on
        if message.clock() < message.deadline == self._shortened:
            message.deadline = self._deadline
            if self._move_on is not None:
                self._move_on(self._deadline)

    def _forked(self) -> bool:
        """Whether this is a child that the function forked: the key is its parent's, who is not done."""
        return os.getpid() != self._pid
