"""Handler process: the application of the tests: handler functions that do what user code may do."""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from worker import Forward, Message, Retry, SoftTimeout

SPIN = 0.002  #: seconds between two looks


def handle(message: Message) -> Any:
    """Does what the body names: {"do": function, ...its arguments}."""
    order = message.json()
    return globals()[order.pop("do")](message, **order)


def handle_list(messages: list[Message]) -> Any:
    """Does what the body of each message of a batch names; their outcomes by message."""
    return {message: handle(message) for message in messages}


def count(messages: list[Message]) -> Any:
    """Retries all but the first, and tells how many there were."""
    return {message: Retry(after=len(messages)) for message in messages[1:]}


def nothing(_message: Message) -> None:
    return


def forward(message: Message) -> Forward:
    return Forward(queue="events", body=message.id)


def show(_message: Message, *, text: str) -> None:
    print(text)
    print(text, file=sys.stderr)
    os.write(1, text.encode() + b"\n")


def leave(_message: Message, *, code: Any, interrupt: bool = False, after: str = "") -> None:
    while after and not Path(after).exists():
        time.sleep(SPIN)
    print("last words", end="")
    raise KeyboardInterrupt if interrupt else SystemExit(code)


def leave_at_once(_message: Message) -> None:
    os._exit(0)


def wait(_message: Message, *, until: str) -> None:
    """Runs till a file is there."""
    while not Path(until).exists():
        time.sleep(SPIN)


def wait_for_lost(message: Message, *, started: str) -> Retry:
    Path(started).touch()
    while not message.lease_lost:
        time.sleep(SPIN)
    return Retry(after=1, reason="lost")


def be_late(_message: Message, *, started: str) -> Retry:
    Path(started).touch()
    try:
        while True:
            time.sleep(60)
    except SoftTimeout:
        return Retry(after=2, reason="cleaned up")


def be_late_in_python(_message: Message, *, started: str) -> Retry:
    """The same where only Python code can be interrupted."""
    Path(started).touch()
    try:
        while True:
            time.sleep(SPIN)
    except SoftTimeout as error:
        return Retry(after=2, reason=f"cleaned up: {error}")


def hold_the_gil(_message: Message, *, started: str) -> None:
    Path(started).touch()
    ctypes.PyDLL(None).sleep(60)


def segfault(_message: Message) -> None:
    ctypes.string_at(0)


def fork(_message: Message, *, child: str, fail: bool = False) -> None:
    pid = os.fork()
    if pid == 0:
        if fail:
            raise ValueError("in the child")
        return
    _, status = os.waitpid(pid, 0)
    Path(child).write_text(str(os.waitstatus_to_exitcode(status)))


def fork_and_stay(_message: Message, *, child: str, until: str) -> None:
    """The child outlives its parent, till a file is there."""
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        while not Path(until).exists():
            time.sleep(SPIN)
        return
    Path(child).write_text(str(pid))
    while True:
        time.sleep(60)


def close_all(_message: Message) -> None:
    os.closerange(3, 256)


def replace_all(_message: Message, *, into: str) -> None:
    """Closes everything and opens files, which get the numbers; as a daemonizing library does it."""
    os.closerange(3, 256)
    for number in range(20):
        os.open(f"{into}/{number}", os.O_RDWR | os.O_CREAT)


def descriptors_of_a_child(_message: Message, *, into: str) -> None:
    source = "import os; print(*[fd for fd in map(int, os.listdir('/dev/fd')) if fd > 2])"
    listed = subprocess.run([sys.executable, "-c", source], close_fds=False, stdout=subprocess.PIPE, check=True)
    Path(into).write_bytes(listed.stdout)


def terminate_children(_message: Message, *, into: str) -> None:
    """TERM ends sub-processes and forked processes of user code, though the handler itself ignores it."""
    sub = subprocess.Popen(["sleep", "60"])
    sub.terminate()
    forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    forked.start()
    forked.terminate()
    forked.join()
    Path(into).write_text(f"{sub.wait()} {forked.exitcode}")


def at_exit(_message: Message, *, into: str) -> None:
    atexit.register(Path(into).touch)


def signals(_message: Message, *, into: str) -> None:
    """Own signal handlers are the user's affair."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: Path(into).touch())
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    while not Path(into).exists():
        time.sleep(SPIN)


def open_socket(_message: Message, *, into: str) -> None:
    """What our descriptors are, as user code could see them."""
    with socket.socket() as mine:
        Path(into).write_text(str(os.get_inheritable(mine.fileno())))
