"""Poller process: from exec to the first receive."""

from __future__ import annotations

import faulthandler
import gc
import os
import random
import select
import signal
import socket
import time
import traceback
import uuid
from typing import TYPE_CHECKING, Any

from worker import platform
from worker.channel import PROTOCOL, Channel, Frame
from worker.leases import LeaseTable
from worker.policy.backoff import half_jitter
from worker.policy.failures import FailureKind
from worker.policy.health import HINTS
from worker.policy.ledger import Ledger
from worker.policy.rules import Rules
from worker.poller.adoption import adopt
from worker.poller.bookkeeper import Bookkeeper
from worker.poller.loop import PollerLoop
from worker.poller.state import PollerState
from worker.protocol import ControlFrame
from worker.settings import CloudWatchSettings, QueueSettings, Settings, from_json
from worker.slots import ChildState, PollerSlot
from worker.telemetry import Log

if TYPE_CHECKING:
    from worker.aws.cloudwatch import CloudWatch
    from worker.aws.queues import ResolvedQueue
    from worker.aws.session import Session

#: A maxReceiveCount below this sends messages to the dead-letter queue that no handler ever started.
FEWEST_RECEIVES = 3
#: FIFO attempts before a message is rejected, where neither the settings nor a redrive policy names a number.
_ATTEMPTS = 5
#: Bits of a sequence that count within one epoch.
_EPOCH_SHIFT = 40
#: Seconds that the count of a queue that cannot be found may take before the pool ends.
_LAST_METRIC = 3.0
#: Kinds that no second try at start-up heals.
_HOPELESS = {FailureKind.QUEUE_GONE, FailureKind.INVALID, FailureKind.DENIED}


def main(control_fd: int) -> int:
    """Run one poller on the control socket the supervisor left open; returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)  # the supervisor alone decides, by frames
    platform.leave_no_core()
    control = Channel(socket.socket(fileno=control_fd))
    early = _wait_for_frames(control)
    setup = early.pop(0)
    header, (slot_fd, table_fd, stacks_fd) = setup.header, setup.fds
    faulthandler.register(signal.SIGUSR2, file=stacks_fd, all_threads=True, chain=False)
    settings = from_json(header["settings"])
    log = Log(settings.log_level, process=f"poller {header['queue']}/{header['number']}", pid=os.getpid())
    if header["protocol"] != PROTOCOL:
        return _fail(control, f"protocol {header['protocol']} of the supervisor is not ours, {PROTOCOL}")
    slot, table = PollerSlot(platform.map_file(slot_fd)), LeaseTable(platform.map_file(table_fd))
    now = platform.now()
    slot.tell(pid=os.getpid(), state=ChildState.STARTING, now=now, received_at=now, quiet_until=now)
    queue = settings.queue(header["queue"])
    try:
        boot = Boot(settings, queue, control=control, log=log, header=header, early=early)
        gc.collect()
        gc.freeze()  # boto3's objects live as long as we do: to look through them for garbage stops the loop for 30 ms
        return boot.serve(slot, table)
    except Hopeless as error:
        return _fail(control, str(error))
    except DrainedEarly:
        control.send(ControlFrame.DRAINED, {"unconfirmed": 0})
        return os.EX_OK
    except Exception as error:  # noqa: BLE001 - a bug: a successor takes over; the log must stay one object a line
        log.error("poller_failed", error=repr(error), traceback=traceback.format_exc(limit=-6)[-1000:])
        return os.EX_SOFTWARE


class Hopeless(Exception):
    """The queue cannot be served with these settings, however often we try."""


class DrainedEarly(Exception):
    """The pool stops before the queue was ever resolved: nothing is held."""


class Boot:
    """What a poller needs until its loop runs."""

    def __init__(
        self,
        settings: Settings,
        queue: QueueSettings,
        *,
        control: Channel,
        log: Log,
        header: dict[str, Any],
        early: list[Frame],
    ) -> None:
        # botocore takes a tenth of a second to import: what needs no AWS came first.
        from worker.aws.clients import client_for
        from worker.aws.library_log import tell_warnings
        from worker.aws.session import Session, Unusable

        name = f"poller {header['queue']}/{header['number']}"
        tell_warnings(Log(settings.log_level, process=name, pid=os.getpid()))
        self._queue = queue
        self._until_empty = settings.until_empty
        self._control = control
        self._log = log
        self._header = header
        self._early = early
        try:
            self._session = Session(settings, queue)
            self._client = client_for(self._session, queue)
        except Unusable as error:
            raise Hopeless(f"queue {queue.name}: {error}") from error
        self._metrics = _metrics(self._session, queue.cloudwatch)
        log.info("client_chosen", client=self._client.name, why=self._client.why)

    def serve(self, slot: PollerSlot, table: LeaseTable) -> int:
        """Resolve the queue, take over what a predecessor held, and run the loop to its end."""
        queue, epoch = self._queue, int(self._header["epoch"])
        resolved = self._resolve(slot)
        platform.outlive_parent()  # what is held from here on is released if the supervisor dies
        sqs = self._client.sqs(resolved.url)
        rules = Rules(
            fifo=resolved.fifo,
            visibility=int(queue.visibility_timeout),
            retry=queue.retry,
            dead_letter=resolved.dead_letter,
            attempts=queue.retry.attempts or resolved.receives or _ATTEMPTS,
        )
        ledger = Ledger(table, rules, first_seq=(epoch << _EPOCH_SHIFT) + 1)
        state = PollerState(
            queue=queue,
            ledger=ledger,
            table=table,
            sqs=sqs,
            control=self._control,
            log=self._log,
            chance=random.random,
            token=lambda: str(uuid.uuid4()),
            most_polls=self._client.polls,
            most_calls=self._client.controls,
            cpu=platform.cpu_seconds,
            book=self._bookkeeper(resolved),
            until_empty=self._until_empty,
        )
        loop = PollerLoop(state, slot)
        now = state.received_at = platform.now()  # a first long poll that never returns is noticed as well
        adopted = adopt(ledger, table, handlers=set(self._header.get("handlers_expected", ())), now=now)
        loop.publish(now)
        self._log.info("poller_ready", url=resolved.url, fifo=resolved.fifo, epoch=epoch, adopted=adopted)
        if 0 < resolved.receives < FEWEST_RECEIVES:
            why = (
                f"maxReceiveCount is {resolved.receives}: a message that was received and never started counts as well"
            )
            self._log.warning("max_receive_count_low", why=why)
        if not resolved.dead_letter:
            self._log.info("dead_letter_queue_unknown", why=resolved.dead_letter_why)
        self._control.send(ControlFrame.READY, {"protocol": PROTOCOL, "resolved": resolved.to_json()})
        for frame in self._early:
            loop.order(frame, now)
        return loop.run()

    def _bookkeeper(self, resolved: ResolvedQueue) -> Bookkeeper | None:
        asked = self._queue.cloudwatch
        if self._metrics is None and not asked.log_deletes_as:
            return None
        name = resolved.url.rpartition("/")[2]
        return Bookkeeper(asked, queue_name=name, log=self._log, metrics=self._metrics, wall=time.time)

    def _not_resolved(self, *, hopeless: bool) -> None:
        """Count it; before an end that is near the count is put, or given up soon."""
        if self._metrics is None:
            return
        queue = self._queue
        name = queue.queue_name or queue.url.rpartition("/")[2] or queue.name
        self._metrics.put({queue.cloudwatch.not_resolved: 1}, name)
        if hopeless and (not self._metrics.flush(_LAST_METRIC) or self._metrics.failure()):
            why = str(self._metrics.failure() or f"no answer within {_LAST_METRIC:g} s")
            self._log.warning("metrics_not_put", namespace=queue.cloudwatch.namespace, why=why)

    def _resolve(self, slot: PollerSlot) -> ResolvedQueue:
        """The queue as AWS knows it; a successor is told by the supervisor. Tries again while that may help."""
        from worker.aws.queues import ResolvedQueue, Unresolved, resolve

        if known := self._header.get("resolved"):
            return ResolvedQueue(**known)
        tries, started = 0, platform.now()
        while True:
            try:
                return resolve(self._session, self._client.ask, self._queue)
            except Unresolved as error:
                self._not_resolved(hopeless=error.failure.kind in _HOPELESS)
                if error.failure.kind in _HOPELESS:
                    raise Hopeless(str(error)) from error
                kind, now = error.failure.kind, platform.now()
                self._log.warning("queue_not_resolved", why=str(error), kind=kind, hint=HINTS[kind])
                slot.tell(
                    pid=os.getpid(),
                    state=ChildState.STARTING,
                    now=now,
                    received_at=now,
                    quiet_until=now,
                    trouble=kind,
                    trouble_since=started,
                )
            tries += 1
            seconds = half_jitter(tries, first=0.2, most=10.0, chance=random.random())  # noqa: S311 - jitter, no secret
            self._early += _wait_for_frames(self._control, seconds=seconds)
            if any(frame.kind == ControlFrame.DRAIN for frame in self._early):
                raise DrainedEarly


def _metrics(session: Session, asked: CloudWatchSettings) -> CloudWatch | None:
    if not asked.namespace:
        return None
    from worker.aws.cloudwatch import CloudWatch

    return CloudWatch(session.metrics, asked.namespace, wall=time.time)


def _wait_for_frames(control: Channel, *, seconds: float | None = None) -> list[Frame]:
    """Frames from the supervisor, waiting for the first up to `seconds`; ends the process if the supervisor is gone."""
    deadline = None if seconds is None else platform.now() + seconds
    while True:
        left = None if deadline is None else max(0.0, deadline - platform.now())
        if not select.select([control], [], [], left)[0]:
            return []
        frames = control.receive()
        if control.closed:
            raise SystemExit(os.EX_TEMPFAIL)
        if frames:
            return frames


def _fail(control: Channel, reason: str) -> int:
    control.send(ControlFrame.FAILED, {"reason": reason})
    return os.EX_CONFIG
