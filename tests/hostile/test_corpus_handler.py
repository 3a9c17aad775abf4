"""Test process: hostile messages through a handler: boto3's parser, the stream, the handler function, the outcome."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import eventually
from tests.handler.conftest import Build
from tests.handler.parts import EXPIRES, Heard, Parts
from tests.hostile.corpus import ACTIVE, CORPUS, Hostile, Way, arrived
from worker import Message, Reject
from worker.message import Kind
from worker.protocol import Outcome, Parcel, send_messages
from worker.testing.run_inline import run_inline

RECEIVED = {
    name: found for name, hostile in CORPUS.items() if (found := arrived({"Messages": [hostile.shape("id", "r")]})[0])
}
HANDED_OUT = {name: found for name, found in RECEIVED.items() if found.intact}


def parcel(name: str, seq: int = 1) -> Parcel:
    """The message as a poller sends it to a handler."""
    found = HANDED_OUT[name]
    return Parcel(seq, 1, EXPIRES, found.message_id, found.attributes, found.message_attributes, found.body)


def give(parts: Parts, *parcels: Parcel) -> Heard:
    """Send messages and let the loop run until each has an outcome; bodies may be longer than a socket holds."""
    send_messages(parts.poller, parcels)
    heard = Heard()

    def all_told() -> bool:
        parts.poller.flush()
        parts.step()
        heard.take(parts.poller.receive())
        return len(heard.acks) + len(heard.others) == len(parcels)

    eventually(all_told)
    return heard


def decode(message: Message) -> None:
    message.json()


def decode_by_python(message: Message) -> None:
    """The standard library raises RecursionError where orjson has a limit, and takes NaN for a number."""
    json.loads(message.body)


def read_text(message: Message) -> None:
    message.text.encode()


def raise_all(message: Message) -> None:
    """User code that puts whatever it got into its exception."""
    raise ValueError(f"{message.id} {message.group} {message.attributes} {message.message_attributes}")


def reject_all(message: Message) -> None:
    raise Reject(f"cannot use {message.id} {ACTIVE} \ud800")


def test_the_corpus_has_every_way() -> None:
    """What the poller may not own, or must not hand out, never reaches a handler; everything else does, bytes whole."""
    assert {hostile.way for hostile in CORPUS.values()} == set(Way)
    for name, hostile in CORPUS.items():
        assert (name in RECEIVED) is (hostile.way is not Way.UNOWNED), name
        assert (name in HANDED_OUT) is (hostile.way not in (Way.UNOWNED, Way.DAMAGED)), name
        if name in HANDED_OUT:
            assert HANDED_OUT[name].body == hostile.body.encode("utf-8", "surrogatepass"), name


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """The log lines so far; each must be one JSON object without a character that acts."""

    def read() -> list[dict[str, Any]]:
        text = capfd.readouterr().err
        assert all(letter == "\n" or (letter.isprintable() and letter.isascii()) or letter > "\xa0" for letter in text)
        assert not any(letter in text for letter in "\u2028\u2029\u202e\u2066")
        found = [json.loads(line) for line in text.splitlines()]
        assert all(isinstance(line, dict) and line["event"] == "message_failed" for line in found)
        return found

    return read


@pytest.mark.parametrize("function", [decode, decode_by_python, read_text, raise_all, reject_all])
def test_one_handler_lives_through_the_whole_corpus(
    function: Callable[[Message], None], lines: Callable[[], list[dict[str, Any]]], build: Build
) -> None:
    """Each message is acked, retried or rejected, and no other; the last one finds the handler as the first did."""
    parts = build(function)
    told: dict[int, Kind] = {}
    for seq, name in enumerate(HANDED_OUT):
        heard = give(parts, parcel(name, seq))
        told |= dict.fromkeys(heard.acks, Kind.ACK) | {outcome.seq: outcome.kind for outcome in heard.others}
    assert sorted(told) == list(range(len(HANDED_OUT)))
    ways = {name: CORPUS[name].way for name in HANDED_OUT}
    kinds = dict(zip(HANDED_OUT, told.values(), strict=True))
    failed = len(lines())
    refused = [name for name, way in ways.items() if way is Way.REFUSED]
    assert all(kinds[name] is Kind.RETRY for name in refused)
    if function is decode:
        assert [name for name, kind in kinds.items() if kind is Kind.ACK] == [
            name for name, way in ways.items() if way is Way.DECODED
        ]
    if function is raise_all:
        assert set(kinds.values()) == {Kind.RETRY}
    if function is reject_all:
        assert {name for name, kind in kinds.items() if kind is Kind.REJECT} == kinds.keys() - set(refused)
    assert failed == sum(kind is Kind.RETRY for kind in kinds.values())


def test_ten_of_them_in_one_frame_have_ten_outcomes(build: Build, capfd: pytest.CaptureFixture[str]) -> None:
    """A header that no strict JSON can hold (lone surrogates) takes its neighbours along, unharmed."""
    parts = build(decode)
    names = [name for name in HANDED_OUT if len(CORPUS[name].body) < 1000]
    heard = give(parts, *(parcel(name, seq) for seq, name in enumerate(names)))
    acked = {names[seq] for seq in heard.acks}
    assert acked == {name for name in names if CORPUS[name].way is Way.DECODED}
    assert len(heard.others) == len(names) - len(acked)
    capfd.readouterr()


def test_a_rejected_message_leaves_whole(build: Build, capfd: pytest.CaptureFixture[str]) -> None:
    """A reject carries the body to the poller byte by byte, and its reason as text that can be sent on."""
    parts = build(reject_all)
    for name in ("a lone surrogate", "NUL", "a mebibyte of lists", "escape sequences"):
        (outcome,) = give(parts, parcel(name)).others
        assert outcome.body == HANDED_OUT[name].body
        outcome.reason.encode()
    capfd.readouterr()


@pytest.mark.parametrize("hostile", [one for one in CORPUS.values() if not one.members], ids=lambda one: one.name)
def test_inline(hostile: Hostile, capsys: pytest.CaptureFixture[str]) -> None:
    """A user's own test sees what production does: decoded is an ack, an exception a retry, and nothing else."""
    outcome: Outcome = run_inline(decode, hostile.body.encode("utf-8", "surrogatepass"))
    assert outcome.kind is (Kind.ACK if hostile.way is Way.DECODED else Kind.RETRY)
    capsys.readouterr()
