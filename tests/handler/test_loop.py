"""Test process: one message after the other, named in the slot while it runs; see worker/handler/loop.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from tests.handler.conftest import Build
from tests.handler.parts import EXPIRES, START, TIMEOUT, Parts, parcel
from worker.message import Forward, Kind, LeaseLost, Message, Reject, Retry
from worker.protocol import ControlFrame, StreamFrame, send_messages
from worker.slots import ChildState, Running, Written

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


class Handler:
    """A handler function that looks at the world while it runs."""

    def __init__(self, look: Callable[[Parts, Message], Any]) -> None:
        self.parts: Parts
        self.seen: list[Any] = []
        self._look = look

    def __call__(self, message: Message) -> None:
        self.seen.append(self._look(self.parts, message))


def seeing(build: Build, look: Callable[[Parts, Message], Any]) -> tuple[Parts, list[Any]]:
    handler = Handler(look)
    handler.parts = build(handler)
    return handler.parts, handler.seen


def test_the_slot_names_a_message_exactly_while_it_runs(build: Build) -> None:
    """A death inside user code leaves the message named, with its start and deadline; a death outside leaves none."""
    parts, seen = seeing(build, lambda parts, _message: parts.slot.running())
    parts.give(parcel(1), parcel(2))
    assert seen == [[Running(1, START, START + TIMEOUT)], [Running(2, START, START + TIMEOUT)]]
    assert parts.slot.running() == []


def test_the_ring_tells_every_outcome(build: Build) -> None:
    """Kind and seconds are in shared memory before the stream has them; below 0 means the queue's backoff."""
    outcomes = {"1": None, "2": Retry(after=7), "3": Retry(), "4": Reject("no"), "5": Forward(queue="q", body="x")}
    parts = build(lambda message: outcomes[message.id[3:]])
    parts.give(*map(parcel, range(1, 6)))
    assert parts.slot.outcomes() == [
        Written(1, Kind.ACK, 0.0, 1),
        Written(2, Kind.RETRY, 7.0, 1),
        Written(3, Kind.RETRY, -1.0, 1),
        Written(4, Kind.REJECT, -1.0, 1),
        Written(5, Kind.FORWARD, -1.0, 1),
    ]


def test_the_message_is_what_the_poller_sent(build: Build) -> None:
    """Every field of a parcel is where a handler function looks for it."""
    parts, seen = seeing(
        build,
        lambda _parts, message: (
            message.id,
            message.json(),
            message.queue,
            message.group,
            message.receive_count,
            message.sent_at,
            message.attempt,
            message.remaining,
            message.message_attributes["n"].value,
            message.lease_lost,
        ),
    )
    attributes = {"ApproximateReceiveCount": "3", "MessageGroupId": "g", "SentTimestamp": "1500"}
    raw = {"n": {"DataType": "Number", "StringValue": "4"}}
    parts.give(parcel(1, b'{"a":1}', attempt=2, attributes=attributes, message_attributes=raw))
    assert seen == [("id-1", {"a": 1}, "orders", "g", 3, 1.5, 2, TIMEOUT, "4", False)]


def test_acks_travel_ten_a_frame(build: Build) -> None:
    """Fast messages cost one frame for ten of them, and the rest goes when the inbox is empty."""
    parts = build()
    parts.give(*map(parcel, range(1, 26)))
    heard = parts.heard()
    assert heard.acks == list(range(1, 26))
    assert heard.outcome_frames == 3


def test_a_forward_is_told_before_the_next_message_starts(build: Build) -> None:
    """Its body is in no shared memory: were we killed in the next message, a finished one would run again."""

    def forward(message: Message) -> Forward:
        heard.append([outcome.seq for outcome in parts.heard().others])
        return Forward(queue="events", body=message.body)

    heard: list[list[int]] = []
    parts = build(forward)
    parts.give(parcel(1), parcel(2), parcel(3))
    assert heard == [[], [1], [2]]


def test_an_outcome_waits_5_ms_at_most_before_the_next_message_starts(build: Build) -> None:
    """Slow messages: what is done is told, and what has arrived is read, between any two of them."""

    def slow(_message: Message) -> None:
        parts.clock.time += 0.003

    parts = build(slow)
    send_messages(parts.poller, list(map(parcel, range(1, 6))))
    waits = [parts.step(), parts.step(), parts.step(), parts.step()]
    assert waits == [0.0, 0.0, None, None]
    assert parts.heard().outcome_frames == 3


def test_a_recall_is_heard_between_two_rounds(build: Build) -> None:
    """A poller gets back what stands behind a slow message, not behind all of them."""

    def slow(_message: Message) -> None:
        parts.clock.time += 1.0

    parts = build(slow)
    send_messages(parts.poller, list(map(parcel, range(1, 6))))
    parts.step()
    parts.poller.send(StreamFrame.RECALL, None)
    parts.step()
    heard = parts.heard()
    assert heard.acks == [1]
    assert heard.returned == [2, 3, 4, 5]


def test_extend_moves_the_deadline_in_the_slot(build: Build) -> None:
    """The poller judges by the slot; 12 hours from the receive are the limit."""

    def extend(parts: Parts, message: Message) -> list[float]:
        found = []
        for seconds in (1000.0, 10.0, 90_000.0):
            message.extend(seconds)
            found.append(parts.slot.running()[0].deadline)
        return found

    parts, seen = seeing(build, extend)
    parts.give(parcel(1))
    assert seen == [[START + 1000.0, START + 10.0, EXPIRES]]


def test_a_deadline_lies_within_12_hours_of_the_receive(build: Build) -> None:
    """SQS gives the message to others then, whatever the handler timeout says."""
    parts, seen = seeing(build, lambda parts, _message: parts.slot.running()[0].deadline)
    parts.give(parcel(1, expires=START + 20.0))
    assert seen == [START + 20.0]


def test_a_message_kept_for_later_moves_nobodys_deadline(build: Build) -> None:
    """User code may keep a message in a thread; extending it after its end leaves its successor alone."""
    kept: list[Message] = []

    def keep(parts: Parts, message: Message) -> float:
        kept.append(message)
        kept[0].extend(5000.0)
        return parts.slot.running()[0].deadline

    parts, seen = seeing(build, keep)
    parts.give(parcel(1), parcel(2))
    assert seen == [START + 5000.0, START + TIMEOUT]


def test_a_lost_lease_is_visible_to_the_running_handler_function(build: Build) -> None:
    """A LOST frame that is read while user code runs sets the flag, and extend says so."""

    def lose(parts: Parts, message: Message) -> tuple[bool, bool]:
        before = message.lease_lost
        parts.poller.send(StreamFrame.LOST, [1])
        parts.serve()  # in a process the stream thread does it
        with pytest.raises(LeaseLost):
            message.extend(10.0)
        return before, message.lease_lost

    parts, seen = seeing(build, lose)
    parts.give(parcel(1))
    assert seen == [(False, True)]
    assert parts.heard().acks == [1]


def test_a_successor_hears_what_runs_and_then_its_outcome(build: Build) -> None:
    """A poller that attaches while user code runs learns what is running, and hears the outcome like any other."""

    def change(parts: Parts, _message: Message) -> list[dict[str, list[int]]]:
        parts.poller.close()
        parts.attach()
        return parts.heard().hellos

    parts, seen = seeing(build, change)
    parts.give(parcel(1))
    assert seen == [[{"running": [1], "unstarted": []}]]
    assert parts.heard().acks == [1]


def test_progress_is_in_the_slot_after_each_round(build: Build) -> None:
    """Messages done, failed (not acked nor forwarded), seconds in user code, memory, the time, the state."""

    def busy(message: Message) -> object:
        parts.clock.time += 2.0
        return {"1": None, "2": Retry(), "3": Reject("no"), "4": Forward(queue="q", body="x")}[message.id[3:]]

    parts = build(busy)
    assert parts.slot.look().state is ChildState.STARTING
    parts.step()
    idle = parts.slot.look()
    assert idle.state is ChildState.READY
    assert idle.progress == START
    assert idle.resident > 1_000_000
    send_messages(parts.poller, list(map(parcel, range(1, 5))))
    parts.step()
    assert parts.slot.look().state is ChildState.BUSY
    for _ in range(4):
        parts.step()
    facts = parts.slot.look()
    assert (facts.done, facts.failed, facts.busy, facts.progress) == (4, 2, 8.0, START + 8.0)
    assert facts.state is ChildState.READY


def test_a_stop_ends_the_loop_after_the_running_message(build: Build) -> None:
    """What runs is finished and told; what has not started goes back and never runs."""

    def stop(parts: Parts, message: Message) -> str:
        parts.control.send(ControlFrame.STOP, None)
        parts.serve()
        send_messages(parts.poller, [parcel(9)])  # it was on its way
        parts.serve()
        return message.id

    parts, seen = seeing(build, stop)
    parts.give(parcel(1), parcel(2))
    heard = parts.heard()
    assert seen == ["id-1"]
    assert heard.acks == [1]
    assert heard.returned == [2, 9]
    assert parts.loop.stopped
    assert parts.slot.look().state is ChildState.DRAINING


def test_a_stop_without_a_poller_ends_the_loop_too(build: Build) -> None:
    """A spare has no stream."""
    parts = build(attached=False)
    parts.control.send(ControlFrame.STOP, None)
    parts.step()
    assert parts.loop.stopped


def test_a_failure_is_logged_with_its_message_and_without_the_body(
    build: Build, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line: message id, attempt, error and traceback; the body is in none of them."""

    def fail(_message: Message) -> None:
        raise ValueError("bad\x1b[2J order \ud800")

    parts = build(fail)
    parts.give(parcel(1, b"secret body", attempt=3, attributes={"ApproximateReceiveCount": "4"}))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "secret" not in lines[0]
    assert lines[0].isprintable()
    line = orjson.loads(lines[0])
    assert line["event"] == "message_failed"
    assert line["level"] == "error"
    shown = str(line)
    assert "id-1" in shown
    assert "ValueError: bad" in shown
    assert "raise ValueError" in shown
    [outcome] = parts.heard().others
    assert outcome.reason.startswith("ValueError: bad")


def test_user_code_that_exits_finds_the_links_with_the_main_thread(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last flush is the main thread's alone, and the message that exits is still named in the slot."""

    def leave(_message: Message) -> None:
        raise SystemExit(3)

    def look(error: BaseException, message: Message) -> None:
        seen.append((type(error), message.id, parts.thread._io.locked(), [one.seq for one in parts.slot.running()]))
        raise RuntimeError("the process would have ended")

    seen: list[Any] = []
    parts = build(leave)
    monkeypatch.setattr(parts.endings, "by_user_code", look)
    with pytest.raises(RuntimeError):
        parts.give(parcel(1))
    assert seen == [(SystemExit, "id-1", True, [1])]


def test_an_outcome_nobody_asked_for_does_not_stop_the_loop(build: Build) -> None:
    """The next message runs after a failed one."""
    parts = build(lambda message: message.json())
    parts.give(parcel(1, b"not JSON"), parcel(2, b"{}"))
    heard = parts.heard()
    assert [outcome.seq for outcome in heard.others] == [1]
    assert heard.acks == [2]
