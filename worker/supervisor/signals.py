"""Supervisor process: signals become bytes on a wakeup descriptor, and are handled between two waits of the loop.

Nothing happens inside a signal handler: a rule that is interrupted by a rule would see half of a tree.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from worker.supervisor import reloading, scaling, stacks, stopping
from worker.supervisor.pool import Pool
from worker.supervisor.status import status

#: Seconds in which a second TERM is the echo of the first: timeout(1) and many wrappers signal both us and our group.
ECHO = 0.3
#: Arrive and mean nothing: SIGCHLD only wakes the loop, which reaps whenever it wakes; USR2 would end us by default.
_SILENT = (signal.SIGCHLD, signal.SIGUSR2, signal.SIGWINCH, signal.SIGALRM)


def handle_term(pool: Pool, name: str, now: float) -> None:
    """TERM, INT, QUIT: drain; a second one hurries."""
    if pool.stop is None:
        stopping.begin(pool, now=now, reason=name)
    elif now >= pool.stop.started_at + ECHO:
        stopping.hurry(pool, now=now)


def handle_hup(pool: Pool, _: str, now: float) -> None:
    """HUP: re-read the config and replace every process."""
    reloading.request(pool, now=now)


def handle_ttin(pool: Pool, _: str, now: float) -> None:
    """TTIN: one handler more in every queue."""
    scaling.scale_all(pool, +1, now=now)


def handle_ttou(pool: Pool, _: str, now: float) -> None:
    """TTOU: one handler less in every queue."""
    scaling.scale_all(pool, -1, now=now)


def handle_tstp(pool: Pool, _: str, __: float) -> None:
    """TSTP: no new receives."""
    scaling.pause(pool)


def handle_cont(pool: Pool, _: str, now: float) -> None:
    """CONT: receive again; never undoes a drain."""
    scaling.resume(pool, now=now)


def handle_usr1(pool: Pool, _: str, now: float) -> None:
    """USR1: state and stacks to the log."""
    shown = status(pool, now=now)
    for queue, facts in shown.pop("queues").items():
        processes = facts.pop("pollers") + facts.pop("handlers") + facts.pop("templates")
        pool.log.info("status_dumped", queue=queue, **facts)
        for process in processes:
            pool.log.info("status_dumped", queue=queue, **process)
    pool.log.info("status_dumped", **shown)
    stacks.request(pool, lambda texts: _log_stacks(pool, texts), now=now)


def _log_stacks(pool: Pool, texts: list[dict[str, Any]]) -> None:
    for text in texts:
        pool.log.info("stack_dumped", **text)


_HANDLERS: dict[signal.Signals, Callable[[Pool, str, float], None]] = {
    signal.SIGTERM: handle_term,
    signal.SIGINT: handle_term,
    signal.SIGQUIT: handle_term,
    signal.SIGHUP: handle_hup,
    signal.SIGTTIN: handle_ttin,
    signal.SIGTTOU: handle_ttou,
    signal.SIGTSTP: handle_tstp,
    signal.SIGCONT: handle_cont,
    signal.SIGUSR1: handle_usr1,
}


def handle(pool: Pool, number: int, *, now: float) -> None:
    """Act on one signal that has arrived."""
    act = _HANDLERS.get(signal.Signals(number))
    if act is not None:
        act(pool, signal.Signals(number).name, now)


class Signals:
    """The wakeup descriptor, from install to restore. Only the main thread of a process can have it."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._former: dict[signal.Signals, Any] = {}
        # A full pipe loses nothing: it is full of signals that the loop has yet to see.
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (*_HANDLERS, *_SILENT):
            self._former[number] = signal.signal(number, _ignore)

    def fileno(self) -> int:
        return self._read

    def arrived(self) -> bytes:
        """The numbers of the signals since the last call, in order."""
        try:
            return os.read(self._read, 4096)
        except BlockingIOError:
            return b""

    def restore(self) -> None:
        """Leave the process as it was."""
        for number, former in self._former.items():
            signal.signal(number, former)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._read)
        os.close(self._write)


def _ignore(_: int, __: FrameType | None) -> None:
    """A Python handler has to exist, or the signal would act by its default instead of waking the loop."""
