"""Test process: a log line is one JSON object and never holds a message up; see worker/telemetry.py."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import socket
import subprocess
import tempfile
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.telemetry import COUNTERS, Log

pytestmark = pytest.mark.usefixtures("no_descriptor_left")

Child = Callable[..., subprocess.Popen[bytes]]

any_text = st.text(st.characters())  # lone surrogates and all
hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text | st.integers(), inner, max_size=4),
    max_leaves=6,
)
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\x00\n\r{}\u2028\u202e\ud800"


@contextlib.contextmanager
def standard_error(fd: int) -> Iterator[None]:
    """For a while this process's descriptor 2 is `fd`, as if it had been started that way."""
    kept = os.dup(2)
    os.dup2(fd, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def closing(*fds: int) -> Iterator[None]:
    try:
        yield
    finally:
        for fd in fds:
            os.close(fd)


def written(fields: dict[str, Any], *, human: bool = False) -> str:
    """What one call writes."""
    with tempfile.TemporaryFile() as file, standard_error(file.fileno()):
        Log(human=human).info("something_happened", **fields)
        return os.pread(file.fileno(), 10_000_000, 0).decode()


@given(st.dictionaries(st.sampled_from("abcdef"), hostile, max_size=6))
@example({"a": "x" * 1024 * 1024, "b": ["y" * 1024 * 1024], "c": b"z" * 1024 * 1024, "d": ESCAPES * 100_000})
@example({"a": ESCAPES, "b": [ESCAPES], "c": {ESCAPES: ESCAPES}, "d": ESCAPES.encode(errors="replace")})
@example({"a": 2**70, "b": -(2**70), "c": [2**70], "d": float("nan"), "e": float("-inf")})
@example({f"field_{number}": "\u20ac" * 40 for number in range(300)})
@example({"n" * 5000: ""})
def test_any_fields_make_one_json_object_on_one_line(fields: dict[str, Any]) -> None:
    """Hostile text, huge values, numbers JSON cannot hold: one short line, valid JSON, nothing in it acts."""
    text = written(fields)
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1
    assert len(text.encode()) <= 4096
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", text)
    line = orjson.loads(text)
    assert (line["event"], line["level"]) == ("something_happened", "info")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert set(line) - set(fields) <= {"time", "level", "event", "clipped"}


def test_fields_keep_their_values() -> None:
    """What JSON can hold arrives as it is; None is left out; a hostile neighbour changes nothing else."""
    line = orjson.loads(
        written({"n": 5, "t": "Zo\u00eb\n", "l": [1, None], "none": None, "bad": "\ud800", "huge": 2**70})
    )
    told = {"n": 5, "t": "Zo\u00eb\n", "l": [1, None], "bad": "\\ud800", "huge": "1180591620717411303424"}
    assert {name: line[name] for name in line if name not in ("time", "level", "event")} == told


def test_a_clipped_line_says_so_and_keeps_its_small_fields() -> None:
    """The longest values lose their ends; the message id beside them stays whole."""
    line = orjson.loads(written({"message": "m-1", "a": "x" * 9000, "b": ["y" * 9000], "reason": "z" * 900}))
    assert (line["clipped"], line["message"], line["reason"]) == (True, "m-1", "z" * 900)
    assert line["a"] == "x" * len(line["a"])
    assert "yyyy" in line["b"]


@given(st.dictionaries(st.sampled_from("abcdef"), hostile, max_size=6))
@example({"a": ESCAPES, "b": [ESCAPES], "c": 2**70, "d": {"x": "\ud800"}})
def test_on_a_terminal_no_field_can_drive_the_terminal(fields: dict[str, Any]) -> None:
    """The human form is one printable line: escape sequences are shown, not obeyed."""
    text = written(fields, human=True)
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    assert " something_happened " in text


def test_levels_and_fields_of_every_line() -> None:
    """A line below the level is not written; `about` stands in every line, later additions included."""
    with tempfile.TemporaryFile() as file, standard_error(file.fileno()):
        log = Log("warning", process="poller", queue="orders")
        log.debug("one")
        log.info("two")
        log.warning("three")
        log.about(number=3)
        log.error("four", queue="stock")
        lines = [orjson.loads(line) for line in os.pread(file.fileno(), 10_000, 0).splitlines()]
    assert [(line["event"], line["level"], line["queue"], line.get("number")) for line in lines] == [
        ("three", "warning", "orders", None),
        ("four", "error", "stock", 3),
    ]


def drain(fd: int) -> bytes:
    """Everything that is in a pipe, socket or terminal now."""
    data = b""
    while select.select([fd], [], [], 0.05)[0]:
        data += os.read(fd, 1024 * 1024)
    return data


def flood(log: Log, reading: int, *, lines: int) -> list[dict[str, Any]]:
    """More lines than fit while nobody reads, then all are read, then one more: everything that arrived."""
    for number in range(lines):
        log.info("line", number=number, text="x" * (number % 700))
    data = drain(reading)
    log.info("last")
    return [orjson.loads(line) for line in (data + drain(reading)).splitlines()]


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = socket.create_connection(server.getsockname())
        return server.accept()[0], here


@pytest.mark.parametrize("kind", ["pipe", "unix socket", "tcp socket", "terminal", "pipe without /proc"])
def test_nobody_reads_and_nothing_blocks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that do not fit are dropped and counted, none is torn, the count comes before the next line that fits.

    And O_NONBLOCK appears on none of the descriptors that other processes share.
    """
    if kind.startswith("pipe"):
        reading, writing = os.pipe()
    elif kind == "terminal":
        reading, writing = pty.openpty()
        tty.setraw(writing)
    else:
        pair = socket.socketpair() if kind == "unix socket" else tcp_pair()
        reading, writing = (end.detach() for end in pair)
    if kind == "pipe without /proc":
        monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(FileNotFoundError()))
    with closing(reading, writing):
        with standard_error(writing):
            log = Log(human=False)
            lines = flood(log, reading, lines=20_000)
            assert not fcntl.fcntl(2, fcntl.F_GETFL) & os.O_NONBLOCK
        assert not fcntl.fcntl(writing, fcntl.F_GETFL) & os.O_NONBLOCK
        log.close()
    expected = 0
    for line in lines:
        if line["event"] == "log_lines_dropped":
            assert line["level"] == "warning"
            expected += line["count"]
        elif line["event"] == "line":
            assert (line["number"], len(line["text"])) == (expected, expected % 700)
            expected += 1
    assert expected == 20_000
    assert [line["event"] for line in lines[-2:]] == ["log_lines_dropped", "last"]


def test_a_terminal_gets_the_human_form() -> None:
    """A real pseudo-terminal as standard error: time, level, event, fields; no JSON, no control characters."""
    reading, writing = pty.openpty()
    with closing(reading, writing):
        with standard_error(writing):
            log = Log(process="supervisor")
            log.warning("child_died", reason="\x1b[31mred\x07", pid=7)
        log.close()
        text = drain(reading).decode()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d warning child_died +process=supervisor reason='\\x1b\[31mred\\x07' pid=7\r\n", text
    )


def test_a_standard_error_that_refuses_is_no_error() -> None:
    """A full disk, or no reader any more: lines are dropped, nothing is raised, and later the count is told."""
    reading, writing = os.pipe()
    os.close(reading)
    with closing(writing), standard_error(writing):
        log = Log(human=False)
        log.error("nobody_reads")
        log.close()
    with tempfile.NamedTemporaryFile() as file:
        refusing = os.open(file.name, os.O_RDONLY)
        with closing(refusing), standard_error(refusing):
            log = Log(human=False)
            log.error("refused")
            os.dup2(file.fileno(), 2)
            log.error("taken")
        events = [orjson.loads(line)["event"] for line in Path(file.name).read_bytes().splitlines()]
    assert events == ["log_lines_dropped", "taken"]


CLOSED = """
import os, sys
from worker.telemetry import Log
os.close(2)
log = Log()
assert os.open(sys.argv[1], os.O_WRONLY) == 2
log.error("to_whom")
"""


def test_a_closed_standard_error_is_never_somebody_elses_file(python: Child, tmp_path: Path) -> None:
    """Started with 2>&-: what is opened later gets the number 2, and must not get our lines."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    child = python(CLOSED.replace("sys.argv[1]", repr(str(victim))))
    child.communicate(timeout=10)
    assert (child.returncode, victim.read_bytes()) == (0, b"")


def test_lines_of_others_forms_are_written_whole_in_few_writes() -> None:
    """Exactly the given fields, one object a line, in pieces that a pipe takes whole; below the level none."""
    lines = [{"action": "deleted", "details": {"id": number}, "text": ESCAPES} for number in range(100)]
    server, client = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with server, client, standard_error(client.fileno()):
        log = Log("warning", human=False)
        log.lines("info", lines)
        log.lines("error", lines)
        log.close()
        server.setblocking(False)
        writes = []
        with contextlib.suppress(BlockingIOError):
            while write := server.recv(1 << 20):
                writes.append(write)
    assert max(map(len, writes)) <= 4096
    assert len(writes) < 10
    found = [orjson.loads(line) for line in b"".join(writes).splitlines()]
    assert [(tuple(line), line["details"]["id"]) for line in found] == [
        (("action", "details", "text"), number) for number in range(100)
    ]


def test_lines_that_nobody_takes_are_counted_one_by_one() -> None:
    """The count that is told later is of lines, however many went in one write."""
    with tempfile.NamedTemporaryFile() as file:
        refusing = os.open(file.name, os.O_RDONLY)
        with closing(refusing), standard_error(refusing):
            log = Log(human=False)
            log.lines("info", [{"n": "x" * 1000}] * 10)
            os.dup2(file.fileno(), 2)
            log.lines("info", [{"n": "last"}])
        found = [orjson.loads(line) for line in Path(file.name).read_bytes().splitlines()]
    assert (found[0]["event"], found[0]["count"], found[1:]) == ("log_lines_dropped", 10, [{"n": "last"}])


def test_counters_have_names_of_their_own() -> None:
    """Each counter stands once: their order is their place in a slot."""
    assert len(set(COUNTERS)) == len(COUNTERS)
