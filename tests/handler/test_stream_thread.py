"""Test process: while user code runs long, another thread talks; see worker/handler/stream_thread.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import eventually
from tests.handler.conftest import Build
from tests.handler.parts import Heard, Parts, parcel
from worker.handler.links import DescriptorsClosed, SupervisorGone
from worker.message import Message
from worker.protocol import ControlFrame, StreamFrame, send_messages

pytestmark = pytest.mark.usefixtures("no_descriptor_left")

Threaded = Callable[[Callable[[Parts, Message], Any]], Parts]


@pytest.fixture
def threaded(build: Build) -> Iterator[Threaded]:
    """Parts of a handler with the real thread; the handler function gets them too."""
    started: list[Parts] = []

    def start(function: Callable[[Parts, Message], Any]) -> Parts:
        parts: Parts = build(lambda message: function(parts, message))
        parts.thread.start(parts.errors.append)
        started.append(parts)
        return parts

    yield start
    for parts in started:
        if not parts.errors:
            parts.finish(0.0)
            parts.thread.lend()  # it looks, finds the descriptors closed, and ends
            eventually(parts.errors.copy)
            assert isinstance(parts.errors[0], DescriptorsClosed)


def wait_for(parts: Parts, heard: Heard, condition: Callable[[], object]) -> None:
    """User code that runs until its poller has heard something."""
    eventually(lambda: heard.take(parts.poller.receive()) and condition())


def test_a_lost_lease_reaches_user_code_that_runs_long(threaded: Threaded) -> None:
    """The flag turns True while the handler function runs, without its doing."""

    def wait(parts: Parts, message: Message) -> None:
        parts.poller.send(StreamFrame.LOST, [1])
        eventually(lambda: message.lease_lost)

    parts = threaded(wait)
    parts.give(parcel(1))
    assert parts.heard().acks == [1]


def test_what_waits_is_told_while_user_code_runs_long(threaded: Threaded) -> None:
    """An ack that gathers behind a slow message reaches the poller long before that message ends."""
    heard = Heard()

    def wait(parts: Parts, message: Message) -> None:
        if message.id == "id-2":
            wait_for(parts, heard, lambda: heard.acks == [1])

    parts = threaded(wait)
    parts.give(parcel(1), parcel(2), parcel(3))
    assert parts.heard().acks == [2, 3]


def test_a_recall_is_answered_while_user_code_runs_long(threaded: Threaded) -> None:
    """What has not started goes back at once; what runs stays."""
    heard = Heard()

    def wait(parts: Parts, _message: Message) -> None:
        parts.poller.send(StreamFrame.RECALL, None)
        wait_for(parts, heard, lambda: heard.returned == [2])

    parts = threaded(wait)
    parts.give(parcel(1), parcel(2))
    assert parts.heard().acks == [1]


def test_a_successor_is_greeted_while_user_code_runs_long(threaded: Threaded) -> None:
    """The poller dies and the next one attaches within one message: it hears what runs and what waits."""
    heard = Heard()

    def wait(parts: Parts, message: Message) -> None:
        if message.id == "id-1":
            parts.poller.close()
            parts.send_attach(link=8)
            wait_for(parts, heard, lambda: heard.hellos == [{"running": [1], "unstarted": [2]}])

    parts = threaded(wait)
    parts.give(parcel(1), parcel(2))
    assert parts.heard().acks == [1, 2]
    assert [frame.header for frame in parts.control.receive()] == [{"link": 8}]


def test_a_stop_is_obeyed_while_user_code_runs_long(threaded: Threaded) -> None:
    """Unstarted messages go back at once, and the loop ends after what runs."""
    heard = Heard()

    def wait(parts: Parts, _message: Message) -> None:
        parts.control.send(ControlFrame.STOP, None)
        wait_for(parts, heard, lambda: heard.returned == [2])

    parts = threaded(wait)
    parts.give(parcel(1), parcel(2))
    assert parts.loop.stopped
    assert parts.heard().acks == [1]


def test_a_sleeping_thread_wakes_for_the_next_long_message(threaded: Threaded) -> None:
    """After a quiet time it sleeps without a tick, and user code that then runs long is served all the same."""

    def wait(parts: Parts, message: Message) -> None:
        parts.poller.send(StreamFrame.LOST, [int(message.id[3:])])
        eventually(lambda: message.lease_lost)

    parts = threaded(wait)
    for seq in (1, 2, 3):
        eventually(lambda: parts.thread._asleep)
        parts.give(parcel(seq))
        assert parts.heard().acks == [seq]


def test_the_supervisors_death_is_noticed_while_user_code_runs(threaded: Threaded) -> None:
    """Where the kernel does not kill us with our parent, this does: the thread ends the process."""

    def wait(parts: Parts, _message: Message) -> None:
        parts.control.close()
        eventually(lambda: parts.errors)

    parts = threaded(wait)
    parts.give(parcel(1))
    assert [type(error) for error in parts.errors] == [SupervisorGone]


def test_short_messages_are_never_handed_over(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the thread looks, only the second look at the same message makes it talk."""
    talks: list[int] = []

    def look(message: Message) -> None:
        looks = 2 if message.id == "id-7" else 1
        for _ in range(looks):
            parts.thread.step()

    parts = build(look)

    def talk() -> None:
        talks.append(parts.thread._lent)
        parts.thread._io.release()

    monkeypatch.setattr(parts.thread, "_talk", talk)
    parts.give(*map(parcel, range(1, 11)))
    for _ in range(5):
        parts.thread.step()  # idle: the main thread has the links
    assert talks == [7]


def test_messages_arrive_after_a_hand_over_as_before(threaded: Threaded) -> None:
    """The main thread has the links back when the long message has ended."""

    def wait(parts: Parts, message: Message) -> None:
        if message.id == "id-1":
            parts.poller.send(StreamFrame.LOST, [1])
            eventually(lambda: message.lease_lost)

    parts = threaded(wait)
    parts.give(parcel(1))
    send_messages(parts.poller, [parcel(2)])
    parts.step()
    assert parts.heard().acks == [1, 2]
