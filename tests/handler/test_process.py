"""Test process: a real handler process at work, through its real sockets and shared memory."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from tests.conftest import eventually
from tests.handler.conftest import Launch
from tests.handler.parts import parcel
from worker.message import Kind
from worker.platform import LINUX
from worker.protocol import ControlFrame, StreamFrame

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


def test_exit_hooks_of_user_code_run_at_a_stop(launch: Launch, tmp_path: Path) -> None:
    """A drained handler ends as any Python program does."""
    handler = launch().start()
    handler.acked(handler.do("at_exit", into=tmp_path / "hook"))
    handler.control.send(ControlFrame.STOP, None)
    assert handler.code() == 0
    assert (tmp_path / "hook").exists()


def test_output_of_user_code_is_the_users(launch: Launch) -> None:
    """What is printed is on standard output and error, line by line, and disturbs no frame."""
    handler = launch().start()
    handler.acked(handler.do("show", text="seen \x00\xff"), handler.do("show", text="again"))
    assert os.read(handler.output, 1000) == ("seen \x00\xff\n" * 2 + "again\n" * 2).encode()
    output, errors = handler.close()
    assert output == ""
    assert errors == "seen \x00\xff\nagain\n"


def test_a_megabyte_makes_the_way_there_and_back(launch: Launch) -> None:
    """The longest body SQS has."""
    handler = launch().start()
    handler.give(parcel(1, b'{"do":"reject_me","x":"' + b"x" * (1024 * 1024 - 25) + b'"}'))
    [told] = handler.hear(lambda said: said.others).others
    assert told.kind is Kind.RETRY
    assert told.reason == "KeyError: 'reject_me'"


def test_sub_processes_inherit_no_descriptor_of_ours(launch: Launch, tmp_path: Path) -> None:
    """Not even where user code asks for inheritance: all of ours are closed on exec."""
    handler = launch().start()
    handler.acked(handler.do("descriptors_of_a_child", into=tmp_path / "fds"))
    assert len((tmp_path / "fds").read_text().split()) == 1  # the listing's own


def test_the_stream_thread_works_in_a_process(launch: Launch, tmp_path: Path) -> None:
    """While user code runs: its poller dies, the next one is greeted with what runs, and its LOST is seen."""
    handler = launch().start()
    seq = handler.do("wait_for_lost", started=tmp_path / "started")
    eventually((tmp_path / "started").exists)
    handler.pollers[-1].close()
    handler.attach(link=2)
    said = handler.hear(lambda said: said.hellos)
    assert said.hellos == [{"running": [seq], "unstarted": []}]
    assert handler.hear_control(ControlFrame.ATTACHED).header == {"link": 2}
    handler.pollers[-1].send(StreamFrame.LOST, [seq])
    [outcome] = handler.hear(lambda said: said.others).others
    assert outcome.reason == "lost"


def voluntary_switches(pid: int) -> int:
    """How often the threads of a process have gone to sleep: wake-ups, counted from the other side."""
    if not LINUX:
        return int(psutil.Process(pid).num_ctx_switches().voluntary)
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for line in (thread / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def test_an_idle_handler_sleeps(launch: Launch) -> None:
    """After its work neither thread wakes up until something comes."""
    handler = launch().start()
    handler.acked(handler.do("nothing"))
    history: list[int] = []

    def still() -> bool:
        history.append(voluntary_switches(handler.process.pid))
        return len(history) > 200 and len(set(history[-200:])) == 1

    eventually(still)
    handler.acked(handler.do("nothing"))
