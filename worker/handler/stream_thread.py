"""Handler process: the stream thread, which talks with poller and supervisor while user code runs long.

The main thread does all I/O between messages and lends it out while user code runs, by one lock: 0.1 us a message. (A
hand-off by a wake-up costs 39 us.) This thread looks at the lock every 20 ms, and uses it when the same message has run
since the last look. When nothing has run for a while it sleeps without waking up, until the main thread rings.
"""

from __future__ import annotations

import signal
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable

from worker.handler.links import Links
from worker.handler.stream import Stream

#: Seconds between two looks.
_TICK = 0.020
#: Looks at an idle main thread before it sleeps.
_LOOKS = 10
#: Meant for the thread in which they happen.
FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}


class StreamThread:
    """The thread, and how the main thread lends it the links."""

    def __init__(self, links: Links, stream: Stream) -> None:
        self._links = links
        self._stream = stream
        self._io = allocate_lock()  # held by whoever uses the links
        self._io.acquire()
        self._bell = allocate_lock()  # free: somebody rang
        self._bell.acquire()
        self._asleep = False
        self._lent = 0
        self._seen = 0
        self._quiet = 0

    def start(self, on_error: Callable[[Exception], None]) -> None:
        """Start the thread; `on_error` ends the process, since the main thread may be in user code for hours."""
        start_new_thread(self._main, (on_error,))

    def lend(self) -> None:
        """Main thread: user code starts."""
        self._lent += 1
        self._io.release()
        if self._asleep:
            self._wake()

    def reclaim(self) -> None:
        """Main thread: user code has ended."""
        if not self._io.acquire(False):
            self._links.ring()
            self._io.acquire()

    def step(self) -> None:
        """Look once; talk until the message ends if it has been running since the look before."""
        lent = self._lent
        if lent != self._seen:
            self._seen, self._quiet = lent, 0
        elif self._io.acquire(False):
            self._quiet = 0
            self._talk()
        else:
            self._quiet += 1

    def _main(self, on_error: Callable[[Exception], None]) -> None:
        # Signals belong to the main thread, so that they interrupt user code.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - FAULTS)
        try:
            while True:
                self.step()
                self._sleep()
        except Exception as error:  # noqa: BLE001 - whatever it is, the process cannot talk any more
            on_error(error)

    def _talk(self) -> None:
        try:
            self._links.check()
            self._stream.flush()
            rung = False
            while not rung:
                events = self._links.wait(None)
                self._links.check()
                rung = self._links.handle(events)
        finally:
            self._io.release()

    def _sleep(self) -> None:
        if self._quiet < _LOOKS:
            self._bell.acquire(timeout=_TICK)
            return
        self._asleep = True
        if self._io.acquire(False):
            # User code started before it could see that we sleep, so it will not ring.
            self._io.release()
            self._bell.acquire(timeout=_TICK)
        else:
            self._bell.acquire()
        self._asleep = False
        self._quiet = 0

    def _wake(self) -> None:
        self._asleep = False
        try:
            self._bell.release()
        except RuntimeError:
            return  # rung already, and not yet heard
