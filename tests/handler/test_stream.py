"""Test process: outcomes are told until a poller cannot miss them; see worker/handler/stream.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import eventually
from tests.handler.conftest import Build
from tests.handler.parts import Heard, Parts, parcel
from worker.message import Forward, Message, Reject, Retry
from worker.protocol import StreamFrame, send_messages
from worker.slots import RING

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


def answer(message: Message) -> object:
    """The body says what becomes of the message."""
    return {
        b"ack": None,
        b"retry": Retry(after=5, reason="busy"),
        b"reject": Reject("no"),
        b"forward": Forward(queue="events", body=b"forwarded " + message.id.encode()),
    }.get(message.body)


def successor(parts: Parts) -> Heard:
    """The poller dies, the next one attaches; gives what it hears."""
    parts.poller.close()
    parts.serve()
    parts.attach()
    return parts.heard()


def hear(parts: Parts, enough: Callable[[Heard], bool]) -> Heard:
    """What the newest poller hears until it is enough, while the handler writes on."""
    heard = Heard()

    def heard_enough() -> bool:
        parts.serve()
        return enough(heard.take(parts.poller.receive()))

    eventually(heard_enough)
    return heard


def test_a_hello_comes_first_and_names_nothing_at_first(build: Build) -> None:
    """A fresh handler says hello with empty lists, and the supervisor may close its copies."""
    parts = build(attached=False)
    parts.attach(link=9)
    assert [(frame.kind, frame.header) for frame in parts.heard().frames] == [
        (StreamFrame.HELLO, {"running": [], "unstarted": []})
    ]
    assert [frame.header for frame in parts.control.receive()] == [{"link": 9}]


def test_a_successor_hears_what_is_unstarted(build: Build) -> None:
    """Messages that wait stay here when their poller dies, and the hello names them in order."""
    parts = build()
    send_messages(parts.poller, [parcel(1), parcel(2)])
    parts.serve()
    assert successor(parts).hellos == [{"running": [], "unstarted": [1, 2]}]


def test_whole_frames_of_a_dead_poller_count_as_unstarted(build: Build) -> None:
    """The old stream is read to its end before the hello; half a frame vanishes with it."""
    parts = build()
    send_messages(parts.poller, [parcel(1)])
    send_messages(parts.poller, [parcel(2, b"x" * 100_000)])
    send_messages(parts.poller, [parcel(3, b"y" * 1_000_000)])  # more than the kernel takes
    assert parts.poller.pending
    parts.poller.close()
    parts.attach()
    assert parts.heard().hellos == [{"running": [], "unstarted": [1, 2]}]


def test_rejects_and_forwards_are_told_again_until_they_are_confirmed(build: Build) -> None:
    """They stay in memory with their bodies: each successor hears them, till a CONFIRM names them."""
    parts = build(answer)
    parts.give(parcel(1, b"forward"), parcel(2, b"reject"))
    first = parts.heard()
    assert [outcome.seq for outcome in first.others] == [1, 2]
    second = successor(parts)
    assert second.others == first.others
    assert second.others[0].body == b"forwarded id-1"
    assert second.others[1].body == b"reject"
    parts.poller.send(StreamFrame.CONFIRM, [1])
    parts.serve()
    assert [outcome.seq for outcome in successor(parts).others] == [2]
    parts.poller.send(StreamFrame.CONFIRM, [2, 99])
    parts.serve()
    assert successor(parts).others == []


def test_acks_and_retries_are_told_again_to_a_successor(build: Build) -> None:
    """Nobody confirms them, and the dead poller may not have read them: the last ring's worth is told again."""
    parts = build(answer)
    parts.give(parcel(1, b"ack"), parcel(2, b"retry"), parcel(3, b"ack"))
    first = parts.heard()
    again = successor(parts)
    assert again.acks == first.acks == [1, 3]
    assert again.others == first.others
    assert again.others[0].after == 5.0


@pytest.mark.parametrize("noticed", [True, False])
def test_what_ended_without_a_poller_is_told_to_the_next_one_once(build: Build, *, noticed: bool) -> None:
    """Outcomes gather while no stream lives, and survive being written into a stream that nobody reads any more."""
    parts = build(answer)
    send_messages(parts.poller, [parcel(1, b"ack"), parcel(2, b"retry"), parcel(3, b"forward")])
    parts.poller.close()
    parts.serve()
    if noticed:
        parts.serve()
    assert (parts.stream.channel is None) is noticed
    parts.step()
    assert parts.stream.channel is None
    parts.attach()
    heard = parts.heard()
    assert heard.hellos == [{"running": [], "unstarted": []}]
    assert heard.acks == [1]
    assert sorted(outcome.seq for outcome in heard.others) == [2, 3]


def test_memory_of_told_outcomes_is_bounded_by_the_ring(build: Build) -> None:
    """Of many thousand acks and forwards, only the last ring's worth of acks is told again."""
    parts = build(answer)
    for start in range(0, 4000, 100):
        parts.give(*(parcel(start + number + 1, b"forward" if number % 50 == 0 else b"ack") for number in range(100)))
        heard = parts.heard()
        parts.poller.send(StreamFrame.CONFIRM, [outcome.seq for outcome in heard.others])
    parts.serve()
    again = successor(parts)
    assert RING - 100 <= len(again.acks) <= RING
    assert again.acks == [number for number in range(1, 4001) if number % 50 != 1][-len(again.acks) :]
    assert again.others == []
    forwards = [parcel(number, b"forward") for number in range(5001, 5001 + 2 * RING)]
    for one in forwards:
        parts.give(one)
        parts.heard()
    assert len(parts.stream._told) <= RING


def test_what_the_kernel_did_not_take_is_never_forgotten(build: Build) -> None:
    """While a living poller does not read, every ack is kept, however many: it may die without having read one."""
    big = Forward(queue="q", body="x" * 200_000)
    parts = build(lambda message: big if message.body == b"forward" else None)
    parts.give(*(parcel(number, b"forward") for number in range(1, 9)))
    assert parts.stream.channel is not None
    assert parts.stream.channel.pending
    acked = list(range(100, 100 + RING + 500))
    parts.stream.inbox.extend(map(parcel, acked))
    eventually(lambda: parts.step() is None)
    parts.poller.close()
    parts.serve()
    parts.attach()
    heard = hear(parts, lambda heard: len(heard.others) == 8 and len(heard.acks) == len(acked))
    assert sorted(heard.acks) == acked
    assert {outcome.seq for outcome in heard.others} == set(range(1, 9))


def test_told_again_bodies_are_cut_into_frames_by_bytes(build: Build) -> None:
    """Unconfirmed forwards of 1 MiB each travel one a frame, in any number: no frame grows past what a reader takes."""
    parts = build(lambda _message: Forward(queue="q", body="x" * 1024 * 1024))
    parts.poller.close()
    parts.serve()
    parts.stream.inbox.extend(map(parcel, range(1, 6)))
    eventually(lambda: parts.step() is None)
    parts.attach()
    heard = hear(parts, lambda heard: len(heard.others) == 5)
    assert heard.outcome_frames == 5
    assert [len(outcome.body) for outcome in heard.others] == [1024 * 1024] * 5


def test_a_recall_returns_what_has_not_started(build: Build) -> None:
    """The answer names the unstarted ones, also when there are none, and they never run here."""
    ran: list[str] = []
    parts = build(lambda message: ran.append(message.id))
    send_messages(parts.poller, [parcel(1), parcel(2)])
    parts.poller.send(StreamFrame.RECALL, None)
    parts.step()
    parts.poller.send(StreamFrame.RECALL, None)
    parts.step()
    frames = parts.heard().frames
    assert [(frame.kind, frame.header) for frame in frames] == [
        (StreamFrame.RETURNED, [1, 2]),
        (StreamFrame.RETURNED, []),
    ]
    assert ran == []


def test_a_dead_pollers_recall_is_not_obeyed(build: Build) -> None:
    """The answer would reach nobody; its successor finds the messages where they are."""
    parts = build()
    send_messages(parts.poller, [parcel(1)])
    parts.poller.send(StreamFrame.RECALL, None)
    assert successor(parts).hellos == [{"running": [], "unstarted": [1]}]


def test_a_lost_message_never_starts_and_is_returned(build: Build) -> None:
    """Somebody else may have it: it leaves the inbox, and the poller hears that it may forget it."""
    ran: list[str] = []
    parts = build(lambda message: ran.append(message.id))
    send_messages(parts.poller, [parcel(1), parcel(2), parcel(3)])
    parts.poller.send(StreamFrame.LOST, [2, 77])
    parts.step()
    heard = parts.heard()
    assert ran == ["id-1", "id-3"]
    assert heard.returned == [2]
    assert heard.acks == [1, 3]


def test_a_new_stream_replaces_one_that_did_not_end(build: Build) -> None:
    """A descriptor that somebody still holds must not keep a successor waiting: the newest stream is the stream."""
    parts = build()
    send_messages(parts.poller, [parcel(1)])
    parts.poller.send(StreamFrame.RECALL, None)  # of a poller that is dead: its successor may have it run
    parts.attach(link=2)
    assert parts.heard().hellos == [{"running": [], "unstarted": [1]}]
    assert parts.pollers[0].receive() == []
    assert parts.pollers[0].closed
