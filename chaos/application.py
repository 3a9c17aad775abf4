"""Handler process: the handler function of the chaos runs: writes down its start and its effect, and works between.

A body is `ID MILLISECONDS WORD`; the word `eat` means: take memory until the kernel ends this, on the first attempt.
"""

from __future__ import annotations

import os
import time

from chaos.logs import EFFECTS, stamp
from worker import Message

#: Bytes taken at a time, and at most: beyond that there is no limit in force, and the message is handled as any other.
_BITE, _MOST = 16 * 2**20, 2 * 2**30

# One descriptor a process, one write a line: with O_APPEND, a line is whole or absent, whoever dies.
_FILE = os.open(os.environ[EFFECTS], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
# The numbers of processes come round in a long run: this one is not whoever had its number before.
os.write(_FILE, f"boot 0 - 0 {os.getpid()} {stamp()}\n".encode())


def work(message: Message) -> None:
    """Start, work, effect."""
    number, milliseconds, word = message.body.decode().split(" ")
    _write("start", number, message)
    if word == "eat" and message.attempt == 1:
        _write("eat", number, message)
        _eat()
    seconds = int(milliseconds) / 1000
    if seconds:
        time.sleep(seconds)
    _write("end", number, message)


def _write(step: str, number: str, message: Message) -> None:
    os.write(_FILE, f"{step} {number} {message.id} {message.attempt} {os.getpid()} {stamp()}\n".encode())


def _eat() -> None:
    eaten: list[bytearray] = []
    while len(eaten) * _BITE < _MOST:
        eaten.append(bytearray(_BITE))
