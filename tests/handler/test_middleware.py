"""Test process: middleware around a handler function; see worker/handler/middleware.py."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.handler.conftest import Build, Launch
from tests.handler.parts import parcel
from worker import Forward, Message, Reject, Retry
from worker.handler.form import Form, form_of
from worker.handler.middleware import misfit, wrap
from worker.message import Kind
from worker.settings import BatchSettings

Next = Callable[[Any], Any]


def named(name: str, log: list[str]) -> Callable[[Any, Next], Any]:
    """Middleware that writes down when it is entered and left."""

    def middleware(message: Any, call_next: Next) -> Any:
        log.append(f"{name} in")
        try:
            return call_next(message)
        finally:
            log.append(f"{name} out")

    return middleware


def test_the_first_is_the_outermost() -> None:
    """It sees the message first and the result last."""
    log: list[str] = []
    function = wrap(lambda message: log.append(message), [named("a", log), named("b", log)])
    function("message")
    assert log == ["a in", "b in", "message", "b out", "a out"]


def test_without_middleware_nothing_is_in_the_way() -> None:
    """The handler function itself is what the loop calls."""

    def handle(_message: Message) -> None:
        return

    assert wrap(handle, []) is handle


@pytest.mark.parametrize("result", [None, 7, Retry(after=3), Reject("no"), Forward(queue="events", body="x")])
def test_call_next_returns_what_the_function_returned(result: object) -> None:
    """As it is: outcomes are made outside of all middleware."""
    seen: list[object] = []

    def look(message: Any, call_next: Next) -> Any:
        seen.append(call_next(message))
        return seen[-1]

    assert wrap(lambda _message: result, [look])("message") is result
    assert seen == [result]


def test_it_sees_and_translates_exceptions(build: Build) -> None:
    """A failure of the handler function's becomes the outcome that the middleware makes of it."""

    def translate(message: Message, call_next: Next) -> Any:
        try:
            return call_next(message)
        except ZeroDivisionError as error:
            raise Reject("divided") from error

    parts = build(wrap(lambda _message: 1 / 0, [translate]))
    parts.give(parcel(1))
    [outcome] = parts.heard().others
    assert (outcome.kind, outcome.reason) == (Kind.REJECT, "divided")


def test_one_that_does_not_go_on_decides_alone(build: Build) -> None:
    """The handler function never runs, and what the middleware returns is the outcome."""
    ran: list[Message] = []
    parts = build(wrap(ran.append, [lambda _message, _call_next: Retry(after=9)]))
    parts.give(parcel(1))
    [outcome] = parts.heard().others
    assert (outcome.kind, outcome.after) == (Kind.RETRY, 9.0)
    assert ran == []


def test_an_async_def_awaits_the_next() -> None:
    """Its middleware is entered and left around the whole of it, not around the making of a coroutine."""
    log: list[str] = []

    async def handle(message: Message) -> str:
        await asyncio.sleep(0)
        log.append("handled")
        return "result"

    async def around(message: Message, call_next: Next) -> Any:
        log.append("in")
        result = await call_next(message)
        log.append(f"out with {result}")
        return result

    assert asyncio.run(wrap(handle, [around, around])("message")) == "result"
    assert log == ["in", "in", "handled", "out with result", "out with result"]


async def one_async(_message: Message) -> None: ...
async def list_async(_messages: list[Message]) -> None: ...
def one_plain(_message: Message) -> None: ...
def list_plain(_messages: list[Message]) -> None: ...
async def async_middleware(_message: Any, _call_next: Next) -> None: ...
def plain_middleware(_message: Any, _call_next: Next) -> None: ...


def three(_message: Any, _call_next: Next, _more: int) -> None: ...
def three_at_most(_message: Any, _call_next: Next, _more: int = 1) -> None: ...
def any_number(*_arguments: Any) -> None: ...


class Counting:
    """Middleware may be an object that counts, say."""

    async def __call__(self, message: Any, call_next: Next) -> Any:
        return await call_next(message)


@pytest.mark.parametrize("function", [one_async, list_async, one_plain, list_plain, Counting().__call__])
def test_the_form_is_the_functions(function: Callable[[Any], Any]) -> None:
    """Whether it takes a list and whether it is an async def decides how the process runs it."""
    form = form_of(function)
    middleware = async_middleware if form.asynchronous else plain_middleware
    wrapped = wrap(function, [middleware, middleware])
    assert form_of(wrapped) == form
    assert form_of(wrap(list_plain, [plain_middleware])) == Form(asynchronous=False, batch=True)


@pytest.mark.parametrize(
    ("middleware", "asynchronous", "fault"),
    [
        (plain_middleware, False, ""),
        (async_middleware, True, ""),
        (Counting(), True, ""),
        (plain_middleware, True, "write async def, and await call_next"),
        (async_middleware, False, "write def"),
        (Counting(), False, "write def"),
        (one_plain, False, "called with two arguments"),
        (one_async, True, "called with two arguments"),
        (three, False, "called with two arguments"),
        (three_at_most, False, ""),
        (any_number, False, ""),
    ],
)
def test_what_cannot_go_around_is_told(middleware: Any, asynchronous: bool, fault: str) -> None:
    """A mix of plain and async, and a wrong number of arguments."""
    found = misfit(middleware, asynchronous=asynchronous)
    assert fault in found
    assert bool(fault) == bool(found)


@pytest.mark.parametrize(
    ("function", "keys"),
    [
        ("user_code:handle", {}),
        ("user_code:handle", {"threads": 4}),
        ("user_code:handle_list", {"batch": BatchSettings(size=2)}),
        ("user_code_async:handle", {"concurrency": 4}),
    ],
    ids=["plain", "threads", "batch", "async"],
)
def test_every_kind_of_process_has_it(launch: Launch, function: str, keys: dict[str, Any]) -> None:
    """Two of them around each call, and the outcomes are the handler function's."""
    around = "tests.handler.user_code_around:around" + ("_async" if "concurrency" in keys else "")
    handler = launch(handler=f"tests.handler.{function}", middleware=(around, around), **keys).start()
    done, failed = handler.do("nothing"), handler.do("no_such_function")
    said = handler.hear(lambda said: len(said.acks) + len(said.others) == 2)
    output = os.read(handler.output, 1000).decode().split()
    if "batch" in keys:
        assert [one.seq for one in said.others] == [done, failed], "an exception speaks for the whole batch"
        assert output == ["in", "in", "out", "out"]
    else:
        assert (said.acks, [(one.seq, one.kind) for one in said.others]) == ([done], [(failed, Kind.RETRY)])
        assert sorted(output) == ["in"] * 4 + ["out"] * 4
