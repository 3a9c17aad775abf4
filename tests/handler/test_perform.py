"""Test process: the outcomes of a batch, a message at a time; see worker/handler/perform.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.handler.parts import parcel
from worker.handler.attempt import Attempt
from worker.handler.perform import perform
from worker.message import Forward, Kind, Message, Reject, Retry

Told = list[tuple[Kind, Any] | None]


def batch(function: Callable[[list[Message]], Any], *, size: int = 3) -> tuple[Told, list[str]]:
    """Kind and reason of each message's outcome, None for an ack; and what was reported."""
    parcels = [parcel(seq) for seq in range(1, size + 1)]
    messages = [Message(id=one.id, body=one.body, queue="q") for one in parcels]
    attempt = Attempt(parcels=parcels, messages=messages, places=list(range(size)))
    reported: list[str] = []
    outcomes = perform(function, attempt, batch=True, report=lambda _, error: reported.append(repr(error)))
    assert [one.seq for one in outcomes if one] == [seq for seq, one in enumerate(outcomes, 1) if one]
    return [one and (one.kind, one.reason) for one in outcomes], reported


def test_attributes_that_no_sqs_sends_are_a_retry_of_their_message() -> None:
    """Whatever they are: an error of ours would end the process, and all that runs in it."""
    parcels = [parcel(1, message_attributes={"n": {"DataType": 7}}), parcel(2)]  # of an endpoint that is none
    messages = [Message(id=one.id, body=one.body, queue="q") for one in parcels]
    attempt = Attempt(parcels=parcels, messages=messages, places=[0, 1])
    first, second = perform(lambda _messages: None, attempt, batch=True, report=lambda *_: None)
    assert (first and first.kind, second) == (Kind.RETRY, None)


def test_none_acks_all() -> None:
    """Most batches end so."""
    assert batch(lambda _messages: None) == ([None, None, None], [])


def test_a_mapping_has_an_outcome_for_each_and_acks_the_rest() -> None:
    """Outcomes and exceptions by message; an exception is reported, an outcome is not."""
    told, reported = batch(
        lambda m: {m[0]: Retry(reason="busy"), m[1]: ValueError("bad"), m[2]: Reject("no"), m[3]: None}, size=5
    )
    assert told == [(Kind.RETRY, "busy"), (Kind.RETRY, "ValueError: bad"), (Kind.REJECT, "no"), None, None]
    assert reported == ["ValueError('bad')"]


def test_a_forward_in_a_mapping_is_one() -> None:
    """Each message may go elsewhere."""
    told, _ = batch(lambda m: {m[0]: Forward(queue="q", body="x")})
    assert told == [(Kind.FORWARD, ""), None, None]


def test_an_outcome_that_cannot_be_is_a_retry_of_its_message_alone() -> None:
    """A failure of one is not the failure of all."""
    told, reported = batch(lambda m: {m[0]: "failed", m[1]: Forward(queue="", body="x")})
    assert [one and one[0] for one in told] == [Kind.RETRY, Kind.RETRY, None]
    assert len(reported) == 2


@pytest.mark.parametrize("how", ["return", "raise"])
@pytest.mark.parametrize(("outcome", "kind"), [(Retry(reason="all"), Kind.RETRY), (Reject("all"), Kind.REJECT)])
def test_one_outcome_speaks_for_all(how: str, outcome: Retry | Reject, kind: Kind) -> None:
    """`raise Retry(after=30)` is what a batch does whose database is away."""

    def handle(_messages: list[Message]) -> Any:
        if how == "raise":
            raise outcome
        return outcome

    assert batch(handle) == ([(kind, "all")] * 3, [])


def test_an_exception_retries_all_and_is_reported_once() -> None:
    """Nobody knows how far it came."""
    told, reported = batch(lambda _messages: 1 // 0)
    assert told == [(Kind.RETRY, "ZeroDivisionError: integer division or modulo by zero")] * 3
    assert len(reported) == 1


@pytest.mark.parametrize(
    "result",
    [
        [Retry()],
        True,
        Forward(queue="q", body="x"),
        Reject,
        {"batchItemFailures": []},
        {Message(id="id-1", body=b"", queue="q"): Retry()},
        {(): None},
    ],
    ids=lambda result: type(result).__name__,
)
def test_what_says_nothing_retries_all(result: Any) -> None:
    """Nothing is deleted because it was not understood: another framework's answer, or somebody else's message."""
    told, reported = batch(lambda _messages: result)
    assert [one and one[0] for one in told] == [Kind.RETRY] * 3
    assert len(reported) == 1


def test_an_async_function_that_hides_is_told_so() -> None:
    """A plain wrapper around it returns a coroutine, which never ran."""

    async def later() -> None: ...

    told, _ = batch(lambda _messages: later())
    assert [one and one[0] for one in told] == [Kind.RETRY] * 3


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_an_exit_passes_through(error: BaseException) -> None:
    """It ends the process; no outcome is made of it."""

    def leave(_messages: list[Message]) -> None:
        raise error

    with pytest.raises(type(error)):
        batch(leave)
