"""The application of the system tests that hang, hold the GIL, leak, or lose their lease."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import re
import subprocess
import sys
import time

from tests.system.effects import effect
from worker import LeaseLost, Message

#: Unlike CDLL, a PyDLL keeps the GIL while its function runs, as many C extensions do.
_GREEDY = ctypes.PyDLL(None)
_SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
_leaked: list[bytearray] = []
_EFFECTS = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

time.sleep(float(os.environ.get("BOOT_SECONDS", "0")))  # an application that takes long to import


def hold_gil(message: Message) -> None:
    """Runs C code that keeps the GIL for as many seconds as the body's second word says."""
    effect("start", message)
    end = time.monotonic() + float(message.body.split(b" ")[1])
    while (left := end - time.monotonic()) > 0:
        _GREEDY.usleep(int(left * 1e6))
    effect("end", message)


def hang(message: Message) -> None:
    """Never ends, in the way of the body's second word; a message that comes again ends at once."""
    effect("start", message)
    word = message.body.split(b" ")[1].decode()
    if message.receive_count > 1 or word == "ack":
        effect("end", message)
    elif word == "loop":
        all(itertools.repeat(1))  # C code that never lets go of the GIL, nor looks for signals
    elif word == "regex":
        with contextlib.suppress(BaseException):
            re.match(r"(a+)+$", "a" * 64 + "b")
        all(itertools.repeat(1))
    elif word == "family":
        children = [subprocess.Popen(_SLEEPER), subprocess.Popen(_SLEEPER, start_new_session=True)]
        for step, child in zip(("group", "session"), children, strict=True):
            os.write(_EFFECTS, f"{step} {child.pid}\n".encode())
        all(itertools.repeat(1))


def leak(message: Message) -> None:
    """Keeps a mebibyte of each message for ever."""
    _leaked.append(bytearray(b"x") * 1024 * 1024)  # written: zeros would be no resident memory
    time.sleep(0.05)
    effect("end", message)


def outlast(message: Message) -> None:
    """Runs, the first time, until its lease is lost; asks for more time then, which must raise."""
    effect("start", message)
    if message.receive_count == 1:
        while not message.lease_lost:
            time.sleep(0.02)
        with contextlib.suppress(LeaseLost):
            message.extend(60)
            return  # no effect: the test sees that nothing was raised
    effect("end", message)


def denied(message: Message) -> None:
    """Hangs or raises, as the body's second word says; a message that comes again ends at once."""
    effect("start", message)
    word = message.body.split(b" ")[1]
    if message.receive_count == 1 and word == b"hang":
        all(itertools.repeat(1))
    if message.receive_count == 1 and word == b"raise":
        raise RuntimeError("told to")
    effect("end", message)


def keep(message: Message) -> None:
    """Takes a twentieth of a second."""
    time.sleep(0.05)
    effect("end", message)
