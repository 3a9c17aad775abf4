"""Producer process: what both producers share: a sender that is started when it is needed, and closed once."""

from __future__ import annotations

import random
import threading

from worker.policy.outbox import Outbox
from worker.policy.parcel import Parcel
from worker.producer import lifetime
from worker.producer.intake import Closed, Intake
from worker.producer.sender import Sender
from worker.producer.target import Target


class Engine:
    """Of one queue. Any thread may call it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.closing = False  #: nothing new is taken from callers, though some of it may still wait for room
        self.closed = False
        self._lock = threading.RLock()  # as in Intake
        self._sender: Sender | None = None

    @property
    def started(self) -> bool:
        """Whether admit() has all it needs."""
        return self._sender is not None and not self._sender.ended

    def start(self) -> Sender:
        """The sender. Raises RuntimeError after close(), and SendError where the AWS settings make no client.

        Not started with the producer: what a template imports must not have threads, and may never send.
        """
        with self._lock:
            if self.closed:
                raise RuntimeError(f"the producer of queue {self.target.queue} is closed")
            sender = self._sender
            if sender is None or sender.ended:
                target = self.target
                client = target.connect()  # first: what raises must leave no sockets behind
                outbox = Outbox(linger=target.linger, fifo=target.fifo, chance=random.random)
                intake = Intake(messages=target.max_buffer, size=target.max_buffer_bytes, timeout=target.timeout)
                sender = self._sender = Sender(target.queue, client, outbox=outbox, intake=intake)
                lifetime.watch(self)
            return sender

    def admit(self, parcel: Parcel, *, wait: bool) -> None:
        """Hand it over; `wait` for room. Raises as start()."""
        sender = self._sender
        if sender is None or sender.ended or self.closed:
            sender = self.start()
        try:
            sender.admit(parcel, wait=wait)
        except Closed:
            # By close(), and then this says so; or its thread has failed a moment ago, and another one may not.
            self.start().admit(parcel, wait=wait)

    def hurry(self) -> None:
        """What was admitted so far shall not linger."""
        sender = self._sender
        if sender is not None:
            sender.hurry()

    def press(self) -> None:
        """Somebody waits for room."""
        sender = self._sender
        if sender is not None:
            sender.press()

    def flush(self) -> None:
        """Return when all that was admitted is sent or given up."""
        sender = self._sender
        if sender is not None:
            sender.flush()

    def close(self) -> None:
        """The same, and nothing is admitted any more."""
        with self._lock:
            self.closing = self.closed = True
            sender = self._sender
        if sender is None or sender.close():
            lifetime.forget(self)

    def after_fork(self) -> None:
        """In the child: what was admitted is the parent's to send; the next message starts a sender of its own."""
        self._lock = threading.RLock()
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.disown()
