"""Handler process: the user's middleware around the handler function, put together once, when both are loaded.

The outermost sees the message (or the list of a batch) first, and the handler function's result or exception last.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

from worker.handler.form import form_of

#: `middleware(message, call_next)`; an async def where the handler function is one.
Middleware = Callable[[Any, Callable[[Any], Any]], Any]


def wrap(function: Callable[[Any], Any], middleware: Sequence[Middleware]) -> Callable[[Any], Any]:
    """The handler function with its middleware around it, outermost first; its form is the handler function's.

    Without middleware it is the handler function itself, which then costs no call more.
    """
    asynchronous = form_of(function).asynchronous
    for one in reversed(middleware):
        function = _around_async(one, function) if asynchronous else _around(one, function)
    return function


def wrap_fitting(function: Callable[[Any], Any], middleware: Sequence[Middleware]) -> Callable[[Any], Any]:
    """The same outside of a pool. Raises TypeError for middleware that a handler process would refuse."""
    asynchronous = form_of(function).asynchronous
    for one in middleware:
        if fault := misfit(one, asynchronous=asynchronous):
            raise TypeError(f"cannot use middleware {one!r}: {fault}")
    return wrap(function, middleware)


def misfit(middleware: Middleware, *, asynchronous: bool) -> str:
    """Why it could never be called around a handler function, or nothing.

    A mix is refused, not adapted: around an async def a plain one would get a coroutine from call_next, and be over
    before there is a result or an exception to see.
    """
    form = form_of(middleware)
    if form.asynchronous and not asynchronous:
        return "it is an async def, and the handler function a plain one: write def, and call_next(message)"
    if asynchronous and not form.asynchronous:
        return "it is a plain function, and the handler function an async def: write async def, and await call_next"
    try:
        inspect.signature(middleware).bind(None, None)
    except ValueError:
        return ""  # written in C, without a signature: only a call can tell
    except TypeError as error:
        return f"it is called with two arguments, the message and call_next: {error}"
    return ""


def _around(middleware: Middleware, inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def call(argument: Any) -> Any:
        return middleware(argument, inner)

    return _as(inner, call)


def _around_async(middleware: Middleware, inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def call(argument: Any) -> Any:
        return await middleware(argument, inner)

    return _as(inner, call)


def _as(inner: Callable[[Any], Any], call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """With `__wrapped__`, by which the annotation is found that says whether it takes a list."""
    return update_wrapper(call, inner, assigned=(), updated=())
