"""Producer process: the door between threads that send and the one that speaks with SQS: bounded, and cheap."""

from __future__ import annotations

import contextlib
import socket
import threading
from concurrent.futures import Future

from worker import platform
from worker.policy.parcel import Parcel

_NEVER = float("inf")


class Intake:
    """What was admitted and not taken yet. It counts until settled(): in `take()`'s hands as well."""

    def __init__(self, *, messages: int, size: int, timeout: float) -> None:
        """`messages` and `size` (bytes) are how much may be unsettled; one message alone may be larger.

        `timeout`: seconds for which a message is tried once it is let in.
        """
        self._timeout = timeout
        self._messages = messages
        self._size = size
        #: A signal's handler may send, flush or close in the middle of a send of its own thread.
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self._admitted: list[Parcel] = []
        self._taken: list[Parcel] = []  #: by the last take(): for a fork before they are where they belong
        self._unsettled = 0
        self._bytes = 0
        self._wake_at = 1.0  #: so many admitted are worth waking the other side
        self._waiting: list[Future[None]] = []
        self._closed = ""
        self.crowded = False  #: somebody waits for room, so that lingering for more is in vain
        self.woken, self._waker = socket.socketpair()  #: `woken` is readable when the other side shall look
        self.woken.setblocking(False)
        self._waker.setblocking(False)

    def admit(self, parcel: Parcel, *, wait: bool) -> None:
        """Let it in, when there is room; without `wait` at once. Raises Closed."""
        with self._lock:
            while not self._closed and wait and self._full(parcel):
                self.crowded = True
                self.wake()
                self._room.wait()
            if self._closed:
                raise Closed(self._closed)
            if len(self._admitted) + 1 >= self._wake_at:
                self._wake_at = _NEVER
                self.wake()
            parcel.admitted_at = platform.now()
            parcel.deadline = parcel.admitted_at + self._timeout
            # In this order an exception between two lines, such as KeyboardInterrupt, admits nothing.
            self._unsettled += 1
            self._bytes += parcel.size
            self._admitted.append(parcel)

    def take(self) -> tuple[list[Parcel], list[Future[None]]]:
        """What was admitted since, and who waits for it. The other side is awake now: it is not woken again."""
        with contextlib.suppress(BlockingIOError):
            self.woken.recv(4096)
        with self._lock:
            self._wake_at = _NEVER
            self._taken = taken = self._admitted
            self._admitted = []
            waiting, self._waiting = self._waiting, []
        return taken, waiting

    def may_sleep(self, wake_at: float) -> bool:
        """Whether nothing was admitted; from now on so many are worth waking."""
        with self._lock:
            if self._admitted or self._waiting:
                return False
            self._wake_at = wake_at
            return True

    def settled(self, parcels: list[Parcel]) -> None:
        """These are sent or given up: there is room again."""
        with self._lock:
            self._unsettled -= len(parcels)
            self._bytes -= sum(parcel.size for parcel in parcels)
            self.crowded = False  # who finds no room still says so again
            self._room.notify_all()

    def hurry(self) -> Future[None]:
        """What was admitted so far shall not linger; done when it is sent or given up."""
        waiting: Future[None] = Future()
        with self._lock:
            self._waiting.append(waiting)
            self.wake()
        return waiting

    def press(self) -> None:
        """Somebody waits for room elsewhere."""
        with self._lock:
            self.crowded = True
            self.wake()

    def close(self, why: str) -> None:
        """Nothing more is let in; who waits for room is told why."""
        with self._lock:
            self._closed = self._closed or why
            self._room.notify_all()
            self.wake()

    @property
    def closed(self) -> bool:
        """Whether nothing more is let in."""
        return bool(self._closed)

    def wake(self) -> None:
        """Let the other side look."""
        with contextlib.suppress(BlockingIOError, OSError):  # full: it is awake; closed: nobody looks any more
            self._waker.send(b"!")

    def interrupted(self) -> bool:
        """Whether the caller's thread is in one of these methods already: it is a signal's handler, in the midst of it.

        The lock is its own then until it returns, so it must not wait for the other side.
        """
        try:
            self._room.notify(0)
        except RuntimeError:  # not its own
            return False
        return True

    def disown(self) -> tuple[list[Parcel], list[Future[None]]]:
        """After a fork, in the child: what was admitted and who waits. The lock may be held by nobody who is here.

        Some of it may be resolved already, and some stand there twice.
        """
        self.discard()
        return [*self._taken, *self._admitted], self._waiting

    def discard(self) -> None:
        """Close the descriptors."""
        self.woken.close()
        self._waker.close()

    def _full(self, parcel: Parcel) -> bool:
        return self._unsettled >= self._messages or (self._unsettled > 0 and self._bytes + parcel.size > self._size)


class Closed(RuntimeError):
    """Nothing is let in any more; `str()` says why."""
