"""Test process: on_start and on_stop in real handler processes; see worker/handler/hooks.py."""

from __future__ import annotations

import os
import threading
from typing import Any

import orjson
import pytest

from tests.conftest import eventually
from tests.handler.conftest import Build, Launch
from tests.handler.parts import parcel
from tests.handler.process import HandlerProcess
from worker import Forward
from worker.handler.application import CannotImport
from worker.handler.hooks import Hooks, load_hooks
from worker.protocol import ControlFrame
from worker.settings import BatchSettings, QueueSettings

pytestmark = pytest.mark.usefixtures("no_descriptor_left")

CODE = "tests.handler.user_code_around"
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "threads": {"threads": 4},
    "batch": {"handler": "tests.handler.user_code:handle_list", "batch": BatchSettings(size=2, wait=0.01)},
    "async": {"handler": "tests.handler.user_code_async:handle", "concurrency": 4},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def started(launch: Launch, kind: str, on_start: str = "begin", on_stop: str = "end", **keys: Any) -> HandlerProcess:
    """Not set up yet. The async kind has async functions of the same names."""
    suffix = "_async" if kind == "async" else ""
    hooks = {"on_start": f"{CODE}:{on_start}{suffix}", "on_stop": f"{CODE}:{on_stop}{suffix}"}
    return launch(**KINDS[kind], **hooks, **keys)


def stopped(handler: HandlerProcess) -> tuple[int, str, str]:
    """After STOP: exit code, output, and errors."""
    handler.control.send(ControlFrame.STOP, None)
    code = handler.code()
    return code, *handler.close()


@each_kind
def test_both_run_once_in_each_process(launch: Launch, kind: str) -> None:
    """on_start before READY, on_stop after the last message; async ones on the loop that messages run on."""
    handler = started(launch, kind)
    handler.set_up()
    handler.hear_control(ControlFrame.READY)
    pid = handler.process.pid
    assert os.read(handler.output, 1000).decode() == f"begin {pid}\n"
    handler.attach()
    handler.hear(lambda said: said.hellos)
    handler.acked(handler.do("nothing"), handler.do("nothing"))
    assert stopped(handler) == (0, f"end {pid}\n", "")


@each_kind
def test_a_start_that_fails_is_a_failed_boot(launch: Launch, kind: str) -> None:
    """The supervisor hears function, exception and line, the log has the traceback, and READY is never said."""
    handler = started(launch, kind, on_start="fail")
    handler.set_up()
    suffix = "_async" if kind == "async" else ""
    reason = handler.hear_control(ControlFrame.FAILED).header["reason"]
    assert reason.startswith(f"on_start '{CODE}:fail{suffix}' failed: RuntimeError: no database (")
    assert "user_code_around.py, line " in reason
    assert handler.code() == os.EX_CONFIG
    output, errors = handler.close()
    assert output == ""
    line = orjson.loads(errors.splitlines()[-1])
    assert (line["event"], "RuntimeError: no database" in line["traceback"]) == ("on_start_failed", True)


def test_an_exit_at_the_start_is_a_failed_boot(launch: Launch) -> None:
    """As one at import is: the process says why before it ends."""
    handler = started(launch, "plain", on_start="leave")
    handler.set_up()
    assert "SystemExit: 4" in handler.hear_control(ControlFrame.FAILED).header["reason"]
    assert handler.code() == os.EX_CONFIG


@each_kind
def test_a_stop_that_fails_changes_nothing(launch: Launch, kind: str) -> None:
    """The log says what it raised; the process ends as it would have."""
    handler = started(launch, kind, on_stop="fail")
    handler.start()
    code, _, errors = stopped(handler)
    line = orjson.loads(errors.splitlines()[-1])
    assert (code, line["event"], line["error"]) == (0, "on_stop_failed", "RuntimeError: no database")
    assert line["function"].startswith(f"{CODE}:fail")


def test_an_exit_at_the_stop_changes_nothing(launch: Launch) -> None:
    """Its code is not the process's."""
    handler = started(launch, "plain", on_stop="leave").start()
    code, _, errors = stopped(handler)
    assert (code, "SystemExit: 4" in errors) == (0, True)


def test_a_death_is_no_stop(launch: Launch) -> None:
    """User code that exits in a message ends the process at once."""
    handler = started(launch, "plain").start()
    handler.do("leave", code=3)
    assert handler.code() == 3
    output, _ = handler.close()
    assert "end" not in output.split()


@pytest.mark.parametrize("place", ["on_start", "on_stop"])
def test_a_child_that_they_fork_does_not_go_on(launch: Launch, place: str) -> None:
    """It ends where it comes back to us: one process says READY, and one serves."""
    handler = started(launch, "plain", **{place: "fork"}).start()
    handler.acked(handler.do("nothing"))
    code, output, _ = stopped(handler)
    assert code == 0
    assert sorted(line for line in output.splitlines() if not line.startswith(("begin", "end"))) == ["child", "forked"]
    assert output.count("end ") == (place == "on_start")


def test_outcomes_do_not_wait_for_the_stop(build: Build) -> None:
    """More than the socket takes at once is written out before on_stop, which may take its time."""
    parts = build(lambda _message: Forward(queue="q", body="x" * 1_000_000))
    parts.give(*(parcel(seq) for seq in range(1, 9)))
    assert parts.stream.channel is not None
    assert parts.stream.channel.pending
    got: list[int] = []

    def read() -> bool:
        got.extend(outcome.seq for outcome in parts.heard().others)
        return len(got) == 8

    reading = threading.Thread(target=eventually, args=(read,))
    reading.start()
    parts.control.send(ControlFrame.STOP, None)
    parts.loop.run(lambda: eventually(lambda: len(got) == 8))
    reading.join(10)


QUEUE = {"name": "orders", "handler": "unused:here", "url": "https://x"}


@pytest.mark.parametrize(
    ("name", "asynchronous", "words"),
    [
        (f"{CODE}:begn", False, "did you mean 'begin'?"),
        (f"{CODE}:around", False, "called without arguments"),
        (f"{CODE}:begin_async", False, "has no event loop"),
        ("no_such_module:begin", True, "No module named"),
    ],
)
@pytest.mark.parametrize("key", ["on_start", "on_stop"])
def test_one_of_no_use_is_refused(key: str, name: str, asynchronous: bool, words: str) -> None:
    """With its own name and key."""
    with pytest.raises(CannotImport, match=words.replace("?", r"\?")) as caught:
        load_hooks(QueueSettings(**QUEUE, **{key: name}), [], asynchronous=asynchronous)
    assert f"{key} {name!r}: " in str(caught.value)
    assert caught.value.key == key


def test_plain_ones_serve_an_async_function_too() -> None:
    """They run on the loop's thread, while no message does."""
    hooks = load_hooks(QueueSettings(**QUEUE, on_start=f"{CODE}:begin"), [], asynchronous=True)
    assert (hooks.on_start is not None, hooks.on_stop) == (True, None)
    assert Hooks() == Hooks(None, None)
