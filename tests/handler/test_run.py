"""Test process: what a handler function returns or raises, and the outcome it becomes; see worker/handler/run.py."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.handler.parts import parcel
from worker.handler.run import HandlerFunction, run
from worker.handler.signals import Alarm
from worker.message import Forward, Kind, LeaseLost, Message, MessageAttribute, Reject, Retry, SoftTimeout
from worker.protocol import Outcome, Parcel

ATTRIBUTES = {"color": {"DataType": "String", "StringValue": "red"}}
PARCEL = parcel(7, b"body", message_attributes=ATTRIBUTES)


class Unshowable(Exception):
    """Text and formatting fail, as they may in user code."""

    def __str__(self) -> str:
        raise SystemExit("from __str__")


class HalfRetry(Retry):
    """A subclass that forgot its parent's __init__."""

    def __init__(self) -> None:
        pass


class Result:
    """What a run gave and reported."""

    def __init__(self, function: HandlerFunction, given: Parcel = PARCEL) -> None:
        self.reported: list[BaseException] = []
        self.alarm = Alarm()
        self.message = Message(id=given.id, body=given.body, queue="orders")
        self.outcome = run(function, self.message, given, alarm=self.alarm, report=self._report)

    def _report(self, message: Message, error: BaseException) -> None:
        assert message is self.message
        self.reported.append(error)


def unreported(_message: Message, error: BaseException) -> None:
    pytest.fail(f"reported: {error!r}")


def raising(error: BaseException | type[BaseException]) -> HandlerFunction:
    def function(_message: Message) -> None:
        raise error

    return function


def returning(value: object) -> HandlerFunction:
    return lambda _message: value


def recursing(message: Message) -> None:
    recursing(message)


@pytest.mark.parametrize("value", [None, 0, False, True, "done", {"statusCode": 500}, ValueError("returned"), object()])
def test_returning_is_an_ack_whatever_the_value(value: object) -> None:
    """A returned value that is no outcome is ignored: the message is done."""
    result = Result(returning(value))
    assert result.outcome is None
    assert result.reported == []


@pytest.mark.parametrize("how", [raising, returning])
@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        (Retry(), Outcome(7, Kind.RETRY, None, "")),
        (Retry(after=0), Outcome(7, Kind.RETRY, 0.0, "")),
        (Retry(after=43_200, reason="busy"), Outcome(7, Kind.RETRY, 43_200.0, "busy")),
        (Retry, Outcome(7, Kind.RETRY, None, "")),
        (Reject("unknown"), Outcome(7, Kind.REJECT, None, "unknown", body=b"body", attributes=ATTRIBUTES)),
    ],
)
def test_retry_and_reject_may_be_raised_or_returned(how: Any, asked: Any, outcome: Outcome) -> None:
    """Both ways are the same outcome; a reject carries what a successor of the poller needs to send it."""
    result = Result(how(asked))
    assert result.outcome == outcome
    assert result.reported == []


def test_a_returned_forward_is_a_forward() -> None:
    """The outcome carries what is to be sent."""
    outcome = Result(returning(Forward(queue="events", body="x"))).outcome
    assert outcome == Outcome(7, Kind.FORWARD, queue="events", body=b"x")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("bad order"), "ValueError: bad order"),
        (ValueError(), "ValueError"),
        (KeyError("id"), "KeyError: 'id'"),
        (MemoryError("no room"), "MemoryError: no room"),
        (SoftTimeout("late"), "SoftTimeout: late"),
        (LeaseLost("gone"), "LeaseLost: gone"),
        (asyncio.CancelledError(), "CancelledError"),
        (GeneratorExit(), "GeneratorExit"),
        (StopIteration(), "StopIteration"),
        (Unshowable(), "Unshowable: <a Unshowable that cannot be shown>"),
        (ExceptionGroup("two", [ValueError("a"), TypeError("b")]), "ExceptionGroup: two (2 sub-exceptions)"),
    ],
)
def test_any_other_exception_is_a_retry_by_the_queues_backoff(error: BaseException, reason: str) -> None:
    """The exception is reported once, and its type and text are the reason."""
    result = Result(raising(error))
    assert result.outcome == Outcome(7, Kind.RETRY, None, reason)
    assert result.reported == [error]


def test_a_recursion_without_end_is_a_retry() -> None:
    """RecursionError does not reach the loop."""
    result = Result(recursing)
    assert result.outcome is not None
    assert result.outcome.kind is Kind.RETRY
    assert result.outcome.reason.startswith("RecursionError")


@pytest.mark.parametrize("error", [SystemExit(0), SystemExit("text"), KeyboardInterrupt()])
def test_what_ends_a_process_passes_through(error: BaseException) -> None:
    """SystemExit and KeyboardInterrupt are no outcomes: they leave run(), unreported, with the alarm off."""
    alarm = Alarm()
    with pytest.raises(type(error)):
        run(raising(error), Message(id="x", body=b"", queue="q"), PARCEL, alarm=alarm, report=unreported)
    assert alarm.message is None


async def coroutine_function(_message: Message) -> None:
    pytest.fail("never awaited")


def generator_function(_message: Message) -> Iterator[None]:
    yield


async def async_generator_function(_message: Message) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda message: coroutine_function(message), "coroutine"),
        (lambda message: generator_function(message), "generator"),
        (lambda message: async_generator_function(message), "async_generator"),
        (lambda _message: Reject, "the class Reject"),
        (lambda _message: Forward, "the class Forward"),
        (lambda _message: Forward(queue="q", body=""), "0 bytes"),
        (raising(HalfRetry()), "AttributeError"),
        (raising(Reject), "TypeError"),
    ],
)
def test_a_mistake_is_a_retry_and_never_an_ack(function: HandlerFunction, words: str) -> None:
    """Work that never ran, or an outcome that cannot be, is reported and tried again: nothing is deleted for it."""
    result = Result(function)
    assert result.outcome is not None
    assert result.outcome.kind is Kind.RETRY
    assert words in result.outcome.reason
    assert len(result.reported) == 1


def test_a_future_is_work_that_has_not_ended() -> None:
    """An awaitable that was returned is no ack either."""

    async def main() -> Result:
        return Result(returning(asyncio.get_running_loop().create_future()))

    result = asyncio.run(main())
    assert result.outcome is not None
    assert result.outcome.kind is Kind.RETRY


def test_a_concurrent_future_is_an_ack() -> None:
    """It is no awaitable: whoever returns one has started the work, and answers for it."""
    assert Result(returning(concurrent.futures.Future())).outcome is None


def test_reasons_are_clipped_and_made_text() -> None:
    """A reason of any size or type becomes a text that fits a log line and an attribute."""
    long = Result(raising(ValueError("x" * 100_000))).outcome
    assert long is not None
    assert len(long.reason) == 1003
    wrong: Any = ValueError("why")
    assert Result(raising(Reject(wrong))).outcome == Outcome(
        7, Kind.REJECT, None, "why", body=b"body", attributes=ATTRIBUTES
    )


def test_message_attributes_are_decoded_before_the_handler_function_sees_them() -> None:
    """A handler function reads typed attributes."""
    seen: list[Any] = []
    Result(lambda message: seen.append(dict(message.message_attributes)))
    assert seen == [{"color": MessageAttribute("String", "red")}]


def test_attributes_that_no_sqs_sends_are_a_retry() -> None:
    """A hostile endpoint hurts nothing but its own message."""
    hostile = parcel(7, message_attributes={"x": {"DataType": "Binary", "BinaryValue": "!"}})
    result = Result(returning(None), hostile)
    assert result.outcome is not None
    assert result.outcome.kind is Kind.RETRY


def test_the_alarm_is_set_only_while_user_code_runs() -> None:
    """Between messages SIGUSR1 has nobody to interrupt."""
    alarm = Alarm()
    seen: list[object] = []
    message = Message(id="x", body=b"", queue="q")
    run(lambda _message: seen.append(alarm.message), message, PARCEL, alarm=alarm, report=unreported)
    assert seen == [message]
    assert alarm.message is None


def test_a_soft_timeout_is_a_retry_unless_it_is_caught() -> None:
    """A handler function that is past its deadline may clean up and say what becomes of its message."""

    def caught(message: Message) -> Retry:
        try:
            alarm.go_off(10, None)
        except SoftTimeout:
            return Retry(after=60, reason=message.id)
        pytest.fail("no SoftTimeout")

    def uncaught(_message: Message) -> None:
        alarm.go_off(10, None)

    alarm = Alarm()
    reported: list[BaseException] = []
    for function, outcome in (
        (caught, Outcome(7, Kind.RETRY, 60.0, "late")),
        (uncaught, Outcome(7, Kind.RETRY, None, "SoftTimeout: message late is past its deadline")),
    ):
        message = Message(id="late", body=b"", queue="q", deadline=1.0, clock=lambda: 2.0)
        told = run(function, message, parcel(7), alarm=alarm, report=lambda _message, error: reported.append(error))
        assert told == outcome
    assert [type(error) for error in reported] == [SoftTimeout]
