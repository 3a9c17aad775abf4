"""Test process: what one process tells another arrives as it was; see worker/protocol.py."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.channel import Channel, Frame, pair
from worker.message import Kind
from worker.protocol import (
    ControlFrame,
    Outcome,
    Parcel,
    StreamFrame,
    read_messages,
    read_outcomes,
    send_messages,
    send_outcomes,
)

pytestmark = pytest.mark.usefixtures("no_descriptor_left")

seconds = st.floats(0, 1e9)
sequences = st.integers(1, 2**63)
wire_attributes = st.dictionaries(st.text(), st.dictionaries(st.text(), st.text(), max_size=3), max_size=3)
parcels = st.builds(
    Parcel,
    seq=sequences,
    attempt=st.integers(1, 1000),
    expires=seconds,
    id=st.text(),
    attributes=st.dictionaries(st.text(), st.text(), max_size=4),
    message_attributes=wire_attributes,
    body=st.binary(),
)
outcomes = st.builds(
    Outcome,
    seq=sequences,
    kind=st.sampled_from([Kind.RETRY, Kind.REJECT, Kind.FORWARD]),
    after=st.none() | seconds,
    reason=st.text(),
    queue=st.text(),
    body=st.binary(),
    attributes=st.none() | wire_attributes,
    group_id=st.none() | st.text(),
    deduplication_id=st.none() | st.text(),
    delay=st.none() | st.integers(0, 900),
)


def through(send: object, *arguments: Sequence[object]) -> Frame:
    """One frame, sent over a real stream and read at its other end."""
    here, there = (Channel(sock) for sock in pair())
    try:
        assert callable(send)
        send(here, *arguments)
        (frame,) = there.receive()
        return frame
    finally:
        here.close()
        there.close()


@given(st.lists(parcels, max_size=10))
@example([Parcel(1, 1, 0.5, "id", {}, {}, b"x" * 65_536), Parcel(2, 1, 0.5, "id", {}, {}, b"")])
def test_messages_round_trip(sent: list[Parcel]) -> None:
    """Every field of every message arrives unchanged, bodies byte for byte, whatever they hold."""
    frame = through(send_messages, sent)
    assert frame.kind == StreamFrame.MESSAGES
    assert read_messages(frame) == sent


@given(st.lists(sequences, max_size=50), st.lists(outcomes, max_size=6))
def test_outcomes_round_trip(acks: list[int], others: list[Outcome]) -> None:
    """Acks arrive in order as bare numbers, the others with every field of their kind."""
    frame = through(send_outcomes, acks, others)
    assert frame.kind == StreamFrame.OUTCOMES
    assert read_outcomes(frame) == (acks, others)


def test_a_hundred_acks_are_a_small_frame() -> None:
    """An ack costs about its number: a hundred fit into 2 KiB, so that acking never fills a socket."""
    here, there = pair()
    channel = Channel(here)
    send_outcomes(channel, [(7 << 40) + number for number in range(100)], [])
    assert len(there.recv(10_000)) < 2048
    channel.close()
    there.close()


def test_an_outcome_with_hostile_text_is_told_all_the_same() -> None:
    """An exception's text with a lone surrogate must not kill the handler that reports it."""
    told = Outcome(3, Kind.RETRY, reason="can't handle '\ud800'\x1b[2J\0")
    _, others = read_outcomes(through(send_outcomes, [], [told]))
    assert others == [Outcome(3, Kind.RETRY, reason="can't handle '?'\x1b[2J\0")]


def test_frame_kinds_differ_and_fit_a_byte() -> None:
    """No kind means two things, on whichever stream it comes; each fits the one byte it travels in."""
    kinds = [*StreamFrame, *ControlFrame]
    assert len({int(kind) for kind in kinds}) == len(kinds)
    assert all(0 < kind < 256 for kind in kinds)
