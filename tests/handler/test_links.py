"""Test process: two sockets, one wait, and nothing said to a stranger; see worker/handler/links.py."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from tests.conftest import eventually
from tests.handler.conftest import Build
from tests.handler.parts import parcel
from worker.handler.links import DescriptorsClosed, SupervisorGone
from worker.message import Forward, Message, Reject
from worker.protocol import ControlFrame, StreamFrame, send_messages

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


def test_an_attach_is_answered_with_its_link(build: Build) -> None:
    """The supervisor keeps its copies of the stream until it has heard this."""
    parts = build(attached=False)
    parts.send_attach(link=5)
    parts.serve()
    answers = parts.control.receive()
    assert [(frame.kind, frame.header) for frame in answers] == [(ControlFrame.ATTACHED, {"link": 5})]


def test_the_end_of_the_control_socket_is_the_supervisors_death(build: Build) -> None:
    """Nothing goes on without a supervisor."""
    parts = build()
    parts.control.close()
    with pytest.raises(SupervisorGone):
        parts.serve()


def test_what_came_before_the_supervisors_death_still_counts(build: Build) -> None:
    """A STOP in front of the end of the socket is obeyed first."""
    parts = build()
    parts.control.send(ControlFrame.STOP, None)
    parts.control.close()
    parts.serve()
    assert parts.links.stopping
    with pytest.raises(SupervisorGone):
        parts.serve()


def test_unknown_frames_are_passed_over(build: Build) -> None:
    """A frame of another kind says nothing to a handler."""
    parts = build()
    parts.control.send(ControlFrame.PAUSE, None)
    parts.poller.send(StreamFrame.HELLO, {})
    send_messages(parts.poller, [parcel(1)])
    parts.serve()
    assert [one.seq for one in parts.stream.inbox] == [1]


def test_a_stop_returns_what_has_not_started(build: Build) -> None:
    """A poller that still lives gets its messages back at once."""
    parts = build()
    send_messages(parts.poller, [parcel(1), parcel(2)])
    parts.serve()
    parts.control.send(ControlFrame.STOP, None)
    parts.serve()
    assert parts.heard().returned == [1, 2]


def test_a_poller_that_reads_slowly_gets_everything(build: Build) -> None:
    """What the kernel does not take at once is written when there is room, without a turn of the loop."""
    parts = build(lambda _message: Forward(queue="q", body="x" * 1_000_000))
    assert parts.stream.channel is not None
    for seq in range(1, 9):  # more than a socket takes, whatever the kernel allows
        parts.give(parcel(seq))
    assert parts.stream.channel.pending
    got: list[int] = []

    def read() -> bool:
        got.extend(outcome.seq for outcome in parts.heard().others)
        parts.serve()
        return got == list(range(1, 9))

    eventually(read)
    assert not parts.stream.channel.pending


def test_an_idle_wait_ends_by_a_ring(build: Build) -> None:
    """Another thread gets the links back from an endless wait, exactly once a ring."""
    parts = build()
    rung: list[bool] = []
    waiting = threading.Thread(target=lambda: rung.append(parts.links.handle(parts.links.wait(None))))
    waiting.start()
    parts.links.ring()
    waiting.join(10)
    assert rung == [True]
    assert parts.links.handle(parts.links.wait(0.0)) is False


@pytest.mark.parametrize("which", ["control", "stream"])
def test_closed_descriptors_are_noticed(build: Build, which: str) -> None:
    """User code that closes a socket of ours is found out before anything is read or written."""
    parts = build()
    fd = parts.links._control_fd if which == "control" else parts.links._stream_fd
    keep = os.dup(fd)
    os.close(fd)
    try:
        with pytest.raises(DescriptorsClosed):
            parts.links.check()
        with pytest.raises(DescriptorsClosed):
            parts.serve()
    finally:
        os.dup2(keep, fd)
        os.close(keep)


def test_a_stranger_under_our_number_hears_nothing(build: Build) -> None:
    """User code closes our stream and opens a socket of its own, which gets the number: no frame goes there."""
    strangers = socket.socketpair()

    def replace(_message: Message) -> Reject:
        os.dup2(strangers[0].fileno(), parts.links._stream_fd)
        return Reject("for the poller only")

    parts = build(replace)
    keep = os.dup(parts.links._stream_fd)
    try:
        with pytest.raises(DescriptorsClosed):
            parts.give(parcel(1))
        strangers[1].setblocking(False)
        with pytest.raises(BlockingIOError):
            strangers[1].recv(1)
    finally:
        os.dup2(keep, parts.links._stream_fd)
        os.close(keep)
        for one in strangers:
            one.close()


def test_a_ring_reaches_no_stranger(build: Build) -> None:
    """The pipe that wakes the stream thread is looked at too, before it is written to."""
    parts = build()
    button = parts.links._button
    keep = os.dup(button)
    reader, writer = os.pipe()
    os.dup2(writer, button)
    try:
        with pytest.raises(DescriptorsClosed):
            parts.links.ring()
        os.set_blocking(reader, False)
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)
    finally:
        os.dup2(keep, button)
        for fd in (keep, reader, writer):
            os.close(fd)


def test_finishing_writes_what_is_pending_and_gives_up_on_a_deaf_poller(build: Build) -> None:
    """The last outcomes reach a poller that reads; one that does not costs the patience, no more."""
    parts = build(lambda _message: Forward(queue="q", body="x" * 1_000_000))
    parts.give(parcel(1))
    got: list[int] = []
    poller = parts.poller

    def read() -> list[int]:
        got.extend(outcome.seq for outcome in parts.heard().others)
        return got

    reading = threading.Thread(target=eventually, args=(read,))
    reading.start()
    parts.finish(10.0)
    reading.join(10)
    assert got == [1]
    assert poller.receive() == []
    assert poller.closed

    deaf = build(lambda _message: Forward(queue="q", body="x" * 1_000_000))
    deaf.give(parcel(1))
    deaf.finish(0.0)
    assert deaf.stream.channel is None
