"""Test process: users test their handler functions without a process; see worker/testing/run_inline.py."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from worker import Forward, Message, MessageAttribute, Reject, Retry
from worker.testing.run_inline import Kind, Outcome, run_inline, run_inline_batch


def seeing(look: Any) -> tuple[Any, list[Any]]:
    seen: list[Any] = []
    return lambda message: seen.append(look(message)), seen


@pytest.mark.parametrize(
    ("body", "arrived"),
    [("text é", "text é".encode()), (b"\xff", b"\xff"), ({"order": 7}, b'{"order":7}'), ([], b"[]")],
)
def test_a_body_arrives_as_bytes(body: object, arrived: bytes) -> None:
    """Text and bytes arrive as they were sent, anything else as JSON."""
    function, seen = seeing(lambda message: message.body)
    assert run_inline(function, body) == Outcome(1, Kind.ACK)
    assert seen == [arrived]


def test_a_handler_function_sees_what_sqs_would_say() -> None:
    """Receive count, group, sent time, attributes and message attributes are those of the call."""
    function, seen = seeing(
        lambda message: (
            message.queue,
            message.receive_count,
            message.group,
            message.sent_at > 1_600_000_000,
            message.attributes["SenderId"],
            message.message_attributes,
        )
    )
    run_inline(
        function,
        "x",
        attributes={"SenderId": "me"},
        message_attributes={"n": 4},
        receive_count=3,
        group="g",
        queue="orders",
    )
    assert seen == [("orders", 3, "g", True, "me", {"n": MessageAttribute("Number", "4")})]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Retry(after=5, reason="busy"), Outcome(1, Kind.RETRY, 5.0, "busy")),
        (Reject("no"), Outcome(1, Kind.REJECT, None, "no", body=b"x", attributes={})),
        (Forward(queue="events", body="y"), Outcome(1, Kind.FORWARD, queue="events", body=b"y")),
    ],
)
def test_outcomes_are_those_of_production(answer: object, outcome: Outcome) -> None:
    """A test can assert on kind, seconds, reason, queue and body."""
    assert run_inline(lambda _message: answer, "x") == outcome


def test_an_exception_is_a_retry_and_its_traceback_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """As in production; the developer sees why on standard error."""

    def fail(_message: Message) -> None:
        raise ValueError("bad order")

    assert run_inline(fail, "x") == Outcome(1, Kind.RETRY, None, "ValueError: bad order")
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith("ValueError: bad order\n")


def test_what_would_end_the_process_is_raised() -> None:
    """exit() in a handler function is no outcome."""

    def leave(_message: Message) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        run_inline(leave, "x")


def test_the_deadline_is_the_default_one_and_can_be_extended() -> None:
    """`remaining` and `extend` work as in a handler process."""

    def look(message: Message) -> tuple[bool, bool]:
        before = 299 < message.remaining <= 300
        message.extend(1000)
        return before, 999 < message.remaining <= 1000

    function, seen = seeing(look)
    run_inline(function, "x")
    assert seen == [(True, True)]


def test_message_attributes_that_sqs_refuses_are_errors_of_the_test() -> None:
    """A test must not feed what no queue could hold."""
    with pytest.raises(TypeError, match="bool"):
        run_inline(lambda _message: None, "x", message_attributes={"flag": True})


def test_an_async_function_runs_on_a_loop_of_its_own() -> None:
    """What it awaits is awaited; its outcome is judged as any other."""

    async def handle(message: Message) -> None:
        await asyncio.sleep(0)
        raise Retry(after=5, reason=message.text)

    assert run_inline(handle, "busy") == Outcome(1, Kind.RETRY, 5.0, "busy")


def reject_odd(messages: list[Message]) -> dict[Message, Reject]:
    return {message: Reject("odd") for message in messages if message.json() % 2}


def test_a_batch_has_an_outcome_for_each_message() -> None:
    """In the order of the bodies; each message is its own."""
    outcomes = run_inline_batch(reject_odd, [0, 1, 2, 3])
    assert [outcome.kind for outcome in outcomes] == [Kind.ACK, Kind.REJECT, Kind.ACK, Kind.REJECT]
    assert [outcome.seq for outcome in outcomes] == [1, 2, 3, 4]
    assert run_inline(reject_odd, 5).kind is Kind.REJECT


def test_an_async_batch_runs_too(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception retries all of it."""

    async def handle(messages: Sequence[Message]) -> None:
        raise ValueError(f"all {len(messages)}")

    assert {outcome.reason for outcome in run_inline_batch(handle, ["a", "b"])} == {"ValueError: all 2"}
    assert capsys.readouterr().err.count("raise ValueError") == 1


def test_a_batch_needs_a_function_that_takes_a_list() -> None:
    """The annotation is what a handler process goes by, so a test goes by it as well."""
    with pytest.raises(TypeError, match="annotated"):
        run_inline_batch(lambda _message: None, ["a"])


def test_middleware_goes_around() -> None:
    """As in a handler process, for one message and for a batch, and refused where that would refuse it."""

    def doubled(message: Any, call_next: Any) -> Any:
        call_next(message)
        return call_next(message)

    function, seen = seeing(lambda message: message.text)
    assert run_inline(function, "x", middleware=[doubled]).kind is Kind.ACK
    assert seen == ["x", "x"]

    def store(messages: list[Message]) -> dict[Message, object]:
        return {message: Reject("no") for message in messages}

    outcomes = run_inline_batch(store, [1, 2], middleware=[doubled])
    assert [outcome.kind for outcome in outcomes] == [Kind.REJECT, Kind.REJECT]

    async def late(_message: Message) -> None:
        return

    with pytest.raises(TypeError, match="await call_next"):
        run_inline(late, "x", middleware=[doubled])
