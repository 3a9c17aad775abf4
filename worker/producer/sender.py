"""Producer process: the one thread that speaks with SQS: sends what was admitted, and resolves the futures."""

from __future__ import annotations

import logging
import os
import selectors
import threading
from collections import deque
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Protocol, cast

from worker import platform
from worker.policy.failures import Failure, FailureKind
from worker.policy.outbox import Outbox
from worker.policy.parcel import Parcel, Verdict
from worker.policy.requests import Answer, Send
from worker.producer.intake import Intake
from worker.producer.sending import SendError

if TYPE_CHECKING:
    from worker.aws.clients import Client  # whose room brings botocore, and a program may fork before it sends

_log = logging.getLogger("worker.producer")
#: Seconds between two warnings that sending fails: what fails now and then would fill a log.
_QUIET = 60.0


class Ticket(Protocol):
    """Who waits for a message: a future of concurrent.futures, or what looks like one."""

    def done(self) -> bool: ...
    def set_running_or_notify_cancel(self) -> bool: ...
    def set_result(self, result: str) -> None: ...
    def set_exception(self, exception: BaseException | None) -> None: ...


class Sender:
    """From a producer's first send to its close. A daemon: the producer's hook at exit waits for it, nothing else."""

    def __init__(self, queue: str, client: Client, *, outbox: Outbox, intake: Intake) -> None:
        self._queue = queue
        self._client = client
        self._sqs = client.sqs("")
        self._outbox = outbox
        self._intake = intake
        self._open = 0  #: batches on their way
        self._verdicts: deque[Verdict] = deque()  #: reached, and not told in full
        self._waiting: list[tuple[int, Future[None]]] = []  #: for all parcels up to this number
        self._warned_at = float("-inf")
        self._ailing = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._sqs.fileno(), selectors.EVENT_READ)
        self._selector.register(intake.woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether its thread has failed or was closed."""
        return self._intake.closed

    def admit(self, parcel: Parcel, *, wait: bool) -> None:
        """Hand it over; `wait` for room. Raises RuntimeError if it was closed."""
        # A callback of a future runs in this thread, which must not wait for itself to make room.
        self._intake.admit(parcel, wait=wait and threading.current_thread() is not self._thread)

    def hurry(self) -> None:
        """What was admitted so far shall not linger."""
        self._intake.hurry()

    def press(self) -> None:
        """Somebody waits for room."""
        self._intake.press()

    def flush(self) -> None:
        """Return when all that was admitted is resolved; at once in a signal's handler that interrupted a send."""
        self._not_from_a_callback("flush")
        waiting = self._intake.hurry()
        while self._thread.is_alive() and not self._intake.interrupted():
            if wait([waiting], timeout=1.0).done:
                return

    def close(self) -> bool:
        """Return when all is resolved and the thread has ended; False, at once, where flush() does not wait."""
        self._not_from_a_callback("close")
        self._intake.close(f"the producer of queue {self._queue} is closed")
        if self._intake.interrupted():
            return False
        self._thread.join()
        return True

    def disown(self) -> None:
        """After a fork, in the child: the thread is the parent's, and so is all that was admitted."""
        self._selector.close()
        parcels, waiting = self._intake.disown()
        parcels += self._outbox.empty()
        parcels += [parcel for verdict in self._verdicts for parcel in _parcels(verdict)]
        # In a thread: a lock of a future or of boto3 may have been held at the fork, by a thread that is not here.
        threading.Thread(target=self._disown, args=(parcels, waiting), daemon=True).start()

    def _disown(self, parcels: list[Parcel], waiting: list[Future[None]]) -> None:
        reason = f"handed over before os.fork(): process {os.getppid()} sends it, not its child {os.getpid()}"
        for parcel in parcels:
            if not _ticket(parcel).done():
                self._answer(parcel, SendError(self._queue, "Forked", reason, maybe_sent=True))
        self._let_go(self._outbox.last + 1)
        for one in waiting:
            one.set_result(None)
        self._client.close()

    def _not_from_a_callback(self, what: str) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError(f"{what}() in the callback of a future would wait for itself")

    # --- the thread

    def _run(self) -> None:
        reason = "the producer is closed"
        try:
            while self._turn():
                self._sleep(platform.now())
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait have to be told
            reason = f"the producer's thread failed: {type(error).__name__}: {error}"
            _log.exception("queue %s: the producer's thread failed; its next send starts another", self._queue)
        finally:
            self._intake.close(reason)
            taken, waiting = self._intake.take()
            failure = Failure(FailureKind.TRANSIENT, "ProducerFailed", reason)
            left = [*self._outbox.empty(), *taken]
            self._verdicts.append(Verdict(failed=[(parcel, failure) for parcel in left]))
            self._resolve_all()
            self._waiting += [(0, one) for one in waiting]
            self._let_go(self._outbox.last + 1)
            self._release()

    def _turn(self) -> bool:
        """Everything that can be done now; False once there is nothing left, and nothing more will come."""
        now = platform.now()
        closed = self._intake.closed  # before take(): nothing is admitted after it
        taken, waiting = self._intake.take()
        for parcel in taken:
            self._outbox.add(parcel)
        if waiting or closed or (self._intake.crowded and not self._open):
            self._outbox.hurry()
        self._waiting += [(self._outbox.last, one) for one in waiting]
        for answer in self._sqs.answers():
            self._verdicts.append(self._judge(answer, now))
        self._verdicts.append(Verdict(failed=self._outbox.expire(now)))
        while self._open < self._client.controls and (batch := self._outbox.next(now)):
            self._verdicts.append(self._start(batch, now))
        self._resolve_all()
        if self._waiting:
            self._let_go(self._outbox.first)
        return bool(self._outbox) or not closed

    def _let_go(self, first: int) -> None:
        """Tell those who wait for what is older than `first`."""
        for last, waiting in self._waiting:
            if last < first:
                waiting.set_result(None)
        self._waiting = [(last, waiting) for last, waiting in self._waiting if last >= first]

    def _sleep(self, now: float) -> None:
        busy = self._open >= self._client.controls
        seconds = min(float("inf") if busy else self._outbox.due(now), self._outbox.expires(now), self._sqs.due(now))
        if self._intake.may_sleep(float("inf") if busy else self._outbox.wants(now)):
            self._selector.select(max(0.0, seconds) if seconds < float("inf") else None)

    def _start(self, batch: list[Parcel], now: float) -> Verdict:
        """Send what was not cancelled meanwhile."""
        verdict = Verdict()
        for parcel in batch:
            if not parcel.claimed and not _ticket(parcel).set_running_or_notify_cancel():
                self._outbox.withdraw(parcel)
                verdict.withdrawn.append(parcel)
            parcel.claimed = True
        batch = [parcel for parcel in batch if not parcel.gone]
        if batch:
            self._open += 1
            request = Send(self._queue, tuple(self._outbox.outgoing(parcel) for parcel in batch))
            self._sqs.start(request, (batch, now))
        return verdict

    def _judge(self, answer: Answer, now: float) -> Verdict:
        batch, started = cast(tuple[list[Parcel], float], answer.token)
        self._open -= 1
        if answer.failure is None:
            verdict = self._outbox.answered(batch, answer.entries, ids=answer.message_ids, now=now)
        else:
            verdict = self._outbox.failed(batch, answer.failure, sent_at=started, now=now)
        self._tell(answer.failure, now)
        return verdict

    def _tell(self, failure: Failure | None, now: float) -> None:
        """One line when sending begins to fail, and one when it goes on."""
        if failure is not None and self._outbox.failing and not self._ailing and now >= self._warned_at + _QUIET:
            self._ailing, self._warned_at = True, now
            _log.warning("queue %s: sending fails and is tried again: %s", self._queue, failure)
        elif failure is None and self._ailing:
            self._ailing = False
            _log.info("queue %s: sending goes on", self._queue)

    def _resolve_all(self) -> None:
        while self._verdicts:
            self._resolve(self._verdicts[0])
            self._verdicts.popleft()  # only now: a fork in the middle of it has to find who was not told

    def _resolve(self, verdict: Verdict) -> None:
        """Free the room first: a callback of a future may want it."""
        done = _parcels(verdict)
        if not done:
            return
        self._intake.settled(done)
        for parcel, message_id in verdict.sent:
            self._answer(parcel, message_id)
        for parcel, failure in verdict.failed:
            self._answer(parcel, SendError(self._queue, failure.code, failure.text, maybe_sent=parcel.maybe_sent))
        if verdict.failed:
            # Nobody may ever look at the futures.
            _, failure = verdict.failed[0]
            _log.error("queue %s: %d messages given up: %s", self._queue, len(verdict.failed), failure)

    def _answer(self, parcel: Parcel, answer: str | SendError) -> None:
        ticket = _ticket(parcel)
        try:
            if isinstance(answer, str):
                ticket.set_result(answer)
            elif parcel.claimed or ticket.set_running_or_notify_cancel():
                ticket.set_exception(answer)
        except BaseException:  # noqa: BLE001 - a callback that exits, or a future that somebody else has resolved
            _log.exception("queue %s: the future of a message could not be resolved", self._queue)

    def _release(self) -> None:
        self._selector.close()
        self._client.close()
        self._intake.discard()


def _parcels(verdict: Verdict) -> list[Parcel]:
    return [*(parcel for parcel, _ in verdict.sent), *(parcel for parcel, _ in verdict.failed), *verdict.withdrawn]


def _ticket(parcel: Parcel) -> Ticket:
    return cast(Ticket, parcel.ticket)
