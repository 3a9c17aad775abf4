"""Handler process: what it does on each signal. It ends by STOP or by death, never by a signal that can be caught."""

from __future__ import annotations

import faulthandler
import os
import signal
from _thread import get_ident
from types import FrameType

from worker.message import Message, SoftTimeout

#: Meant for the supervisor, or strays: a service manager's TERM to the whole group, Ctrl-C of a terminal.
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: Job control; a handler has no terminal.
_JOB_CONTROL = (signal.SIGTTIN, signal.SIGTTOU, signal.SIGTSTP)

#: The signal masks of threads that are forking.
_masks: dict[int, set[int | signal.Signals]] = {}


class Alarm:
    """Turns SIGUSR1 into SoftTimeout inside the handler function that is past its deadline, and nowhere else."""

    __slots__ = ("message",)

    def __init__(self) -> None:
        self.message: Message | None = None  #: what the main thread runs user code on now

    def go_off(self, _number: int, _frame: FrameType | None) -> None:
        """The signal handler. Raises SoftTimeout, once a message."""
        message = self.message
        # The one that was overdue may have finished before the signal came: its successor must not pay for it.
        if message is not None and message.deadline <= message.clock():
            self.message = None
            raise SoftTimeout(f"message {message.id} is past its deadline")


def listen(alarm: Alarm) -> None:
    """Install the signal handlers. A child that user code forks gets the ordinary ones back."""
    catch(alarm)
    os.register_at_fork(before=_hold_back, after_in_parent=_let_through, after_in_child=_restore)


def catch(alarm: Alarm) -> None:
    """Install the signal handlers, and let children keep them: a template's children are handlers."""
    for number in _IGNORED:
        # Caught, not SIG_IGN: ignored signals stay ignored after exec, and the sub-processes of user code could not
        # be terminated any more.
        signal.signal(number, _ignore)
        signal.siginterrupt(number, False)  # nor may a stray one interrupt a system call of C code
    for number in _JOB_CONTROL:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, alarm.go_off)


def dump_stacks_to(fd: int) -> None:
    """SIGUSR2, and a crash in C code, write the stacks of all threads to `fd`: in C, so even while the GIL is held."""
    faulthandler.register(signal.SIGUSR2, file=fd, all_threads=True, chain=False)
    faulthandler.enable(file=fd, all_threads=True)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    return


def _hold_back() -> None:
    # A parent may terminate its child at once: till the child has its own signal handlers, the signal has to wait.
    _masks[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, _IGNORED)


def _let_through() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.pop(get_ident()))


def _restore() -> None:
    for number in _IGNORED:
        if signal.getsignal(number) is _ignore:
            signal.signal(number, signal.SIG_DFL)
    _let_through()
