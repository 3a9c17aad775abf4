"""Importing handler functions in processes of their own."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from worker.cli.trial import try_import
from worker.platform import LINUX
from worker.settings import QueueSettings, Settings

GOOD = "def handle(message): pass\n"


def trial(folder: Path, *handlers: str, patience: float = 30.0, preload: bool = False) -> list[str]:
    queues = tuple(
        QueueSettings(name=f"q{n}", url="u", handler=handler, preload=preload) for n, handler in enumerate(handlers)
    )
    settings = Settings(name="pool", queues=queues, config=str(folder / "worker.toml"), paths=(str(folder),))
    return [str(problem) for problem in try_import(settings, patience=patience)]


def write(folder: Path, text: str, name: str = "own_application") -> str:
    (folder / f"{name}.py").write_text(text)
    return f"{name}:handle"


def test_a_good_handler_function_has_no_fault(tmp_path: Path) -> None:
    """It is found from the settings' folders, and what it prints does not matter."""
    assert trial(tmp_path, write(tmp_path, "print('hello')\nimport sys\nsys.stdout.flush()\n" + GOOD)) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nothing_of_that_name\n", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("x = 1\nraise ValueError('no\\nreason')", "ValueError: no reason ("),
        ("raise ValueError('\\x1b[2J')", r"ValueError: \x1b[2J"),
        ("def handle(:\n", "SyntaxError"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("handel = 1\n", "own_application.py"),
        ("handle = 5\n", "it is a int, not a function"),
        ("async def handle(message): pass\n", "async def"),
        ("async def handle(message): yield\n", "it has a yield"),
        ("def handle(message): yield\n", "yield"),
        ("class C:\n async def __call__(self, message): pass\nhandle = C()\n", "async def"),
        ("def handle(): pass\n", "one argument, the message"),
        ("def handle(message, other): pass\n", "one argument, the message"),
        ("class Order: pass\ndef handle(order: Order): pass\n", "Order cannot be decoded: nothing is known of Order"),
        ("def handle(order: 'Order'): pass\n", "cannot be evaluated (NameError: name 'Order' is not defined)"),
        ("import os\nos._exit(0)\n", "ended its process (exit code 0)"),
        ("import os\nos._exit(9)\n", "ended its process (exit code 9)"),
        ("import os\nos.abort()\n", "killed its process (SIGABRT)"),
        ('import os\nos.write(1, b\'{"fault": ""}\\n\')\nos._exit(0)\n', "ended its process"),
    ],
)
def test_a_fault_of_the_application_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    """Whatever the application does when it is imported, the queue's handler key gets one line."""
    (found,) = trial(tmp_path, write(tmp_path, text))
    assert told in found
    assert found.startswith(f"{tmp_path / 'worker.toml'}: [queues.q0] handler: cannot ")
    assert "\n" not in found


@pytest.mark.parametrize(
    "text",
    [
        "class C:\n def __call__(self, message): pass\nhandle = C()\n",
        "import functools\ndef f(a, message): pass\nhandle = functools.partial(f, 1)\n",
        "def handle(*args, **more): pass\n",
        "def handle(message, other=1): pass\n",
        "handle = print\n",
        "from worker import Message\ndef handle(order: dict, message: Message): pass\n",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\ndef handle(message): pass\n",
    ],
)
def test_everything_that_can_be_called_with_a_message_is_good(tmp_path: Path, text: str) -> None:
    """Objects, partials, defaults and threads left running are no faults."""
    assert trial(tmp_path, write(tmp_path, text)) == []


def test_middleware_is_tried_with_its_handler_function(tmp_path: Path) -> None:
    """A fault of it is told at its own key, and of one queue alone."""
    handler = write(tmp_path, GOOD + "def around(message, call_next): pass\ndef bare(): pass\n")
    queues = tuple(
        QueueSettings(name=name, url="u", handler=handler, middleware=(f"own_application:{name}",))
        for name in ("around", "bare")
    )
    settings = Settings(name="pool", queues=queues, config=str(tmp_path / "worker.toml"), paths=(str(tmp_path),))
    (found,) = map(str, try_import(settings))
    assert "[queues.bare] middleware: cannot use middleware 'own_application:bare': it is called with two" in found


def test_on_start_is_found_and_not_called(tmp_path: Path) -> None:
    """It may want a database that the machine of a check has not; that it is there is told."""
    handler = write(tmp_path, GOOD + "def connect(): raise OSError\nasync def close(): pass\n")
    good = QueueSettings(name="good", url="u", handler=handler, on_start="own_application:connect")
    bad = QueueSettings(name="bad", url="u", handler=handler, on_stop="own_application:close")
    paths = (str(tmp_path),)
    settings = Settings(name="pool", queues=(good, bad), config=str(tmp_path / "worker.toml"), paths=paths)
    (found,) = map(str, try_import(settings))
    assert "[queues.bad] on_stop: cannot use on_stop 'own_application:close': it is an async def" in found


def test_each_handler_function_is_tried_by_itself(tmp_path: Path) -> None:
    """One that kills its process says nothing about the others; every queue that names it is told."""
    bad = write(tmp_path, "import os\nos.abort()\n", "bad")
    good = write(tmp_path, GOOD, "good")
    found = trial(tmp_path, bad, good, bad)
    assert [one.split("[")[1].split("]")[0] for one in found] == ["queues.q0", "queues.q2"]


def test_an_import_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    """Patience ends; the process and its sub-processes are gone afterwards."""
    started = tmp_path / "started"
    text = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open({str(started)!r} + ".part", "w") as file:
    file.write(f"{{os.getpid()}} {{child.pid}}")
os.rename({str(started)!r} + ".part", {str(started)!r})
time.sleep(600)
"""
    (found,) = trial(tmp_path, write(tmp_path, text), patience=2.0)
    assert "did not end within 2 s" in found
    for pid in map(int, started.read_text().split()):
        deadline = time.monotonic() + 5
        while alive(pid) and time.monotonic() < deadline:
            os.sched_yield()
        assert not alive(pid)


def alive(pid: int) -> bool:
    """True if the process runs (a zombie that its new parent has not reaped does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except FileNotFoundError:
            return False
    return True


@pytest.mark.skipif(not LINUX, reason="there is no preloading elsewhere")
def test_an_application_that_starts_a_thread_has_a_fault_if_it_is_to_be_preloaded(tmp_path: Path) -> None:
    """What would end the first start with 78 is told before; without `preload` a thread is no fault."""
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), name='rates').start()\n"
    handler = write(tmp_path, thread + GOOD)
    assert trial(tmp_path, handler) == []
    (found,) = trial(tmp_path, handler, preload=True)
    assert "starts a thread, which a forked handler would lack: 'rates'. Start them in the handler function" in found
