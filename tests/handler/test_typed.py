"""Test process: handler functions get what their annotations ask for; see worker/handler/typed.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.envelopes.samples import bus_event, cloud_event, notification
from tests.handler.conftest import Launch
from tests.handler.parts import parcel
from worker import Forward, Message, Reject, Retry
from worker.handler.form import Form, form_of
from worker.handler.typed import typed
from worker.message import Kind
from worker.settings import BatchSettings
from worker.testing.run_inline import run_inline, run_inline_batch


@dataclass
class Order:
    id: int

    def __post_init__(self) -> None:
        if self.id == -1:
            raise KeyError("of the class's own code")


def test_a_function_of_a_message_is_left_alone() -> None:
    """What asks for nothing else costs no call more."""

    def handle(message: Message) -> None: ...
    def bare(message): ...  # type: ignore[no-untyped-def]
    def many(messages: list[Message]) -> None: ...

    for function in (handle, bare, many):
        assert typed(function) is function


def one(order: Order) -> None: ...
async def one_async(order: Order, message: Message) -> None: ...
def lists(orders: list[Order], messages: list[Message]) -> None: ...
async def lists_async(orders: list[Order], messages: list[Message]) -> None: ...


@pytest.mark.parametrize(
    ("function", "form"),
    [
        (one, Form(False, False)),
        (one_async, Form(True, False)),
        (lists, Form(False, True)),
        (lists_async, Form(True, True)),
    ],
)
def test_what_is_made_has_the_form_of_the_function(function: Callable[..., Any], form: Form) -> None:
    """So a process runs it as it would run the function."""
    assert form_of(typed(function)) == form


def test_a_function_gets_the_body_and_the_message() -> None:
    """And its outcome is what it is without annotations."""

    def handle(order: Order, message: Message) -> Forward:
        return Forward(queue="events", body=f"{order.id} {message.id[-1]}")

    assert run_inline(handle, {"id": 7}).body == b"7 0"


def test_the_body_alone_will_do() -> None:
    """Most functions need no more."""

    def handle(order: Order) -> None:
        raise Retry(after=order.id)

    async def later(order: Order) -> None:
        handle(order)

    assert run_inline(handle, {"id": 7}).after == 7.0
    assert run_inline(later, {"id": 8}).after == 8.0


def test_a_misfit_is_rejected_and_the_function_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    """With the body as it was sent, for the dead-letter queue; nothing is reported as an error of the function."""

    def handle(order: Order) -> None:
        raise AssertionError

    outcome = run_inline(handle, '{"id": "x"}')
    assert (outcome.kind, outcome.reason) == (Kind.REJECT, "decode: $.id: Expected `int`, got `str`")
    assert outcome.body == b'{"id": "x"}'
    assert capsys.readouterr().err == ""


def test_an_error_of_the_class_is_a_retry(capsys: pytest.CaptureFixture[str]) -> None:
    """It is a mistake of code, and may be mended."""
    assert run_inline(one, {"id": -1}).kind is Kind.RETRY
    assert "of the class's own code" in capsys.readouterr().err


ASYNC = pytest.mark.parametrize("asynchronous", [False, True])


def batch(function: Callable[[list[Order], list[Message]], Any], *, asynchronous: bool) -> Callable[..., Any]:
    def handle(orders: list[Order], messages: list[Message]) -> Any:
        return function(orders, messages)

    async def later(orders: list[Order], messages: list[Message]) -> Any:
        return function(orders, messages)

    return later if asynchronous else handle


MIXED = [{"id": 0}, {"id": "x"}, {"id": 2}]
MISFIT = (Kind.REJECT, "decode: $.id: Expected `int`, got `str`")


@ASYNC
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda _orders, _messages: None, [(Kind.ACK, ""), MISFIT, (Kind.ACK, "")]),
        (lambda _orders, messages: {messages[1]: Retry(reason="busy")}, [(Kind.ACK, ""), MISFIT, (Kind.RETRY, "busy")]),
        (lambda _orders, _messages: Retry(reason="all"), [(Kind.RETRY, "all"), MISFIT, (Kind.RETRY, "all")]),
        (lambda _orders, _messages: Retry, [(Kind.RETRY, ""), MISFIT, (Kind.RETRY, "")]),
        (
            lambda orders, _messages: 1 // orders[0].id,
            [(Kind.RETRY, "ZeroDivisionError: integer division or modulo by zero")] * 2,
        ),
    ],
)
def test_a_misfit_of_a_batch_is_rejected_alone(
    answer: Callable[..., Any],
    told: list[tuple[Kind, str]],
    asynchronous: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The function gets the others; what it says is said of those, and an exception is shown once."""
    if len(told) == 2:
        told = [told[0], MISFIT, told[1]]
    outcomes = run_inline_batch(batch(answer, asynchronous=asynchronous), MIXED)
    assert [(one.kind, one.reason) for one in outcomes] == told
    assert capsys.readouterr().err.count("Traceback") == (1 if "Zero" in told[0][1] else 0)


@ASYNC
def test_a_batch_gets_bodies_and_messages_in_one_order(asynchronous: bool) -> None:
    """One of each, for every message that fits."""
    seen: list[tuple[int, str]] = []

    def look(orders: list[Order], messages: list[Message]) -> None:
        seen.extend((order.id, message.text) for order, message in zip(orders, messages, strict=True))

    run_inline_batch(batch(look, asynchronous=asynchronous), MIXED)
    assert seen == [(0, '{"id":0}'), (2, '{"id":2}')]


@ASYNC
def test_a_batch_of_misfits_calls_nothing(asynchronous: bool) -> None:
    """There is nothing to call it with."""

    def never(_orders: list[Order], _messages: list[Message]) -> None:
        raise AssertionError

    outcomes = run_inline_batch(batch(never, asynchronous=asynchronous), ["", "x"])
    assert [one.kind for one in outcomes] == [Kind.REJECT] * 2


@ASYNC
def test_an_error_of_the_class_retries_its_own_message(asynchronous: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """In a batch as well."""
    outcomes = run_inline_batch(batch(lambda *_: None, asynchronous=asynchronous), [{"id": -1}, {"id": 1}])
    assert [one.kind for one in outcomes] == [Kind.RETRY, Kind.ACK]
    assert "of the class's own code" in capsys.readouterr().err


@ASYNC
def test_what_says_nothing_retries_all_of_a_batch(asynchronous: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """As without annotations."""
    outcomes = run_inline_batch(batch(lambda *_: ["?"], asynchronous=asynchronous), MIXED)
    assert {one.kind for one in outcomes} == {Kind.RETRY}


@pytest.mark.parametrize(
    ("envelope", "body", "look"),
    [
        ("sns", notification('{"id": 7}', Subject="s"), lambda around: around.subject == "s"),
        ("eventbridge", bus_event({"id": 7}), lambda around: around.detail_type == "Order Placed"),
        ("cloudevents", cloud_event(data={"id": 7}), lambda around: around.type == "order.placed"),
    ],
)
def test_an_envelope_is_taken_off_first(envelope: str, body: Any, look: Callable[[Any], bool]) -> None:
    """The function sees the payload; the envelope, and the body as it was sent, stay in reach."""
    seen: list[Message] = []

    def handle(order: Order, message: Message) -> None:
        assert order.id == message.json()["id"] == 7
        seen.append(message)

    def plain(message: Message) -> None:
        assert message.json() == {"id": 7}

    def many(messages: list[Message]) -> None:
        assert [message.json() for message in messages] == [{"id": 7}] * 2

    assert run_inline(handle, body, envelope=envelope).kind is Kind.ACK
    assert run_inline(plain, body, envelope=envelope).kind is Kind.ACK
    assert {one.kind for one in run_inline_batch(many, [body, body], envelope=envelope)} == {Kind.ACK}
    assert look(seen[0].envelope)
    assert json.loads(seen[0].envelope.original) == body


def test_a_body_without_its_envelope_is_rejected_as_it_was_sent() -> None:
    """Alone, in a batch too; the dead letter has the whole body."""

    def many(messages: list[Message]) -> None:
        assert [message.body for message in messages] == [b"x"]

    outcome = run_inline(lambda _message: None, notification(Type=None), envelope="sns")
    assert (outcome.kind, outcome.reason) == (Kind.REJECT, "decode: $.Type: missing, so this is no SNS notification")
    assert json.loads(outcome.body) == notification(Type=None)
    outcomes = run_inline_batch(many, [notification("x"), {}], envelope="sns")
    assert [one.kind for one in outcomes] == [Kind.ACK, Kind.REJECT]


def test_an_envelope_that_nobody_knows_is_an_error() -> None:
    """Of the test that names it; a config names the known ones."""
    with pytest.raises(ValueError, match="known are sns, eventbridge, cloudevents"):
        run_inline(lambda _message: None, {}, envelope="snss")


def test_messages_without_annotations_are_no_batch() -> None:
    """A list of bodies alone is the body of one message."""

    def handle(orders: list[Order]) -> None:
        raise Reject(f"{len(orders)} orders")

    assert run_inline(handle, [{"id": 1}, {"id": 2}]).reason == "2 orders"
    with pytest.raises(TypeError, match="takes one message"):
        run_inline_batch(handle, [])


@pytest.mark.parametrize(
    ("function", "keys"),
    [
        ("handle", {}),
        ("handle", {"threads": 2}),
        ("handle_async", {"concurrency": 4}),
        ("handle_list", {"batch": BatchSettings(size=3, wait=0.0)}),
        ("handle_list", {"batch": BatchSettings(size=3, wait=0.0), "threads": 2}),
        ("handle_list_async", {"batch": BatchSettings(size=3, wait=0.0), "concurrency": 2}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or "one",
)
def test_in_a_real_process(function: str, keys: dict[str, Any], launch: Launch) -> None:
    """Loaded by its name, in every form: an ack, a retry and a misfit."""
    handler = launch(handler=f"tests.handler.user_code_typed:{function}", **keys).start()
    handler.give(parcel(1, b'{"id": 0}'), parcel(2, b'{"id": 30}'), parcel(3, b'{"id": null}'))
    said = handler.hear(lambda said: said.acks and len(said.others) == 2)
    assert said.acks == [1]
    told = {one.seq: (one.kind, one.after, one.reason) for one in said.others}
    assert told == {
        2: (Kind.RETRY, 30.0, "id-2"),
        3: (Kind.REJECT, None, "decode: $.id: Expected `int`, got `null`"),
    }


def test_an_envelope_in_a_real_process(launch: Launch) -> None:
    """The key of the queue's table reaches it."""
    handler = launch(handler="tests.handler.user_code_typed:handle", envelope="sns").start()
    handler.give(parcel(1, json.dumps(notification('{"id": 30}')).encode()), parcel(2, b'{"id": 30}'))
    said = handler.hear(lambda said: len(said.others) == 2)
    assert [(one.kind, one.reason[:15]) for one in sorted(said.others, key=lambda one: one.seq)] == [
        (Kind.RETRY, "id-1"),
        (Kind.REJECT, "decode: $.Type:"),
    ]
