"""Test process: the supervisor's end of one child: frames, garbage, the slot, the stacks."""

from __future__ import annotations

import mmap
import os
import selectors
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.supervisor.histories import START
from tests.supervisor.test_links import HANDLER
from worker import platform
from worker.channel import Channel, Frame, pair
from worker.protocol import ControlFrame
from worker.slots import HandlerSlot, Running
from worker.supervisor.process import Ended, Process

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@dataclass
class Wired:
    """A process whose other end is held by the test."""

    process: Process
    selector: selectors.BaseSelector
    child: socket.socket

    def events(self) -> int:
        return self.selector.get_key(self.process.control).events


pytestmark = pytest.mark.usefixtures("no_descriptor_left")


@pytest.fixture
def wired() -> Iterator[Wired]:
    ours, theirs = pair()
    theirs.setblocking(False)
    with selectors.DefaultSelector() as selector, theirs:
        slot, stacks = platform.anonymous_file("slot", HandlerSlot.size(1)), platform.anonymous_file("stacks", 0)
        process = Process(HANDLER, selector=selector, control=Channel(ours), slot=slot, stacks=stacks)
        yield Wired(process, selector, theirs)
        process.close()


def test_setup_brings_the_slot_and_the_stacks(wired: Wired):
    wired.process.set_up({"uid": 3}, ())
    child = Channel(wired.child)
    (frame,) = child.receive()
    assert (frame.kind, frame.header) == (ControlFrame.SETUP, {"uid": 3})
    assert [os.fstat(fd).st_size for fd in frame.fds] == [HandlerSlot.size(1), 0]
    for fd in frame.fds:
        os.close(fd)


def test_what_a_child_says_is_yielded_and_descriptors_it_sends_are_closed(wired: Wired):
    with Path(os.devnull).open() as null:
        Channel(wired.child).send(ControlFrame.READY, {"protocol": 1}, fds=(null.fileno(),))
    (said,) = wired.process.ready(READ)
    assert isinstance(said, Frame)
    assert said.header == {"protocol": 1}


def test_the_end_of_the_control_socket_is_told_once_and_listened_to_no_more(wired: Wired):
    wired.child.close()
    assert list(wired.process.ready(READ)) == [Ended()]
    assert list(wired.process.ready(READ)) == []
    assert wired.selector.get_map() == {}


def test_frames_before_the_end_come_first(wired: Wired):
    Channel(wired.child).send(ControlFrame.FAILED, {"reason": "no"})
    wired.child.close()
    kinds = [type(said) for said in wired.process.read()]
    kinds += [type(said) for said in wired.process.read()]
    assert kinds == [Frame, Ended]


@pytest.mark.parametrize(
    "garbage",
    [b"\xff" * 64, b"\0\0\0\x06\x40\0\0\0\x01{", b"\0\0\0\x0a\x40\0\0\0\x053 [1]"],
    ids=["length", "json", "fds"],
)
def test_garbage_ends_the_conversation_and_nothing_else(wired: Wired, garbage: bytes):
    wired.child.send(garbage)
    (said,) = wired.process.ready(READ)
    assert isinstance(said, Ended)
    assert said.garbage
    assert list(wired.process.ready(READ)) == []


def test_room_to_write_is_waited_for_exactly_while_something_is_pending(wired: Wired):
    assert wired.events() == READ
    for _ in range(1000):  # more than a socket takes, whatever the kernel allows
        wired.process.send(ControlFrame.DIED, {"stack": "x" * 8192})
    assert wired.events() == READ | WRITE
    while wired.process.control.pending:
        wired.child.recv(1 << 20)
        list(wired.process.ready(WRITE))
    assert wired.events() == READ


def test_nothing_is_sent_to_the_dead(wired: Wired):
    wired.process.dead = True
    wired.process.send(ControlFrame.STOP, None)
    with pytest.raises(BlockingIOError):
        wired.child.recv(1)


def test_the_slot_is_read_without_keeping_it_mapped(wired: Wired):
    memory = platform.map_file(wired.process.slot)
    HandlerSlot(memory, 1).start(0, 7, now=START, deadline=START + 1)
    running = wired.process.look(lambda memory: HandlerSlot(memory, 1).running(), [])
    assert running == [Running(7, START, START + 1)]
    memory.close()


@pytest.mark.parametrize("size", [0, 4, 70])
def test_a_slot_that_user_code_has_cut_or_overwritten_says_nothing(wired: Wired, size: int):
    os.ftruncate(wired.process.slot, size)
    os.pwrite(wired.process.slot, b"\xff" * size, 0)

    def read(memory: mmap.mmap) -> str:
        return str(HandlerSlot(memory, 1).look())

    assert wired.process.look(read, "nothing") == "nothing"


def test_a_slot_that_cannot_be_read_now_says_nothing(wired: Wired, monkeypatch: pytest.MonkeyPatch):
    def none_left(_: int) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(platform, "map_file", none_left)
    assert wired.process.look(lambda _: "something", "nothing") == "nothing"


def test_stacks_are_cleared_by_reading_and_the_next_dump_begins_at_the_beginning(wired: Wired):
    wired.process.set_up({}, ())
    (frame,) = Channel(wired.child).receive()
    stacks = frame.fds[-1]
    for text in ("first dump", "second"):
        os.write(stacks, text.encode())
        assert wired.process.stacks() == text
    assert wired.process.stacks() == ""
    for fd in frame.fds:
        os.close(fd)
