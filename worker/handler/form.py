"""Handler process: what form a handler function has: plain or async def, of one message or of a list of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from worker.message import Message
from worker.settings import QueueSettings

#: Annotations that could not be evaluated, for instance since their names are imported for type checkers only.
_LIST_OF_MESSAGES = re.compile(r"(\w+\.)*([Ll]ist|Sequence)\[(\w+\.)*Message\]")


@dataclass(frozen=True, slots=True)
class Form:
    """How a handler function is to be called."""

    asynchronous: bool  #: it is an async def
    batch: bool  #: its argument is annotated as list[Message] or Sequence[Message]


def form_of(function: Callable[..., Any]) -> Form:
    """The form of a function, a method, a partial, or an object that can be called."""
    return Form(is_async(function), _takes_list(function))


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call of it gives a coroutine."""
    call = getattr(function, "__call__", None)  # noqa: B004 - an object's method is what is looked at
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def yields(function: Callable[..., Any]) -> str:
    """Why a generator function is of no use, or nothing."""
    for one in (function, getattr(function, "__call__", None)):  # noqa: B004 - an object's method is what is looked at
        if inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one):
            return "it has a yield, so calling it runs nothing"
    return ""


def uncallable(function: Callable[..., Any]) -> str:
    """Why a function could never be called with a message, or nothing."""
    try:
        inspect.signature(function).bind(None)
    except ValueError:
        return ""  # written in C, without a signature: only a call can tell
    except TypeError as error:
        return (
            f"it is called with one argument, the message: {error} (with two, the body and the message, if the first "
            "is annotated with the body's type)"
        )
    return ""


def several(form: Form, queue: QueueSettings) -> bool:
    """Whether it takes a hand-over between threads. One plain call after the other must not pay for one."""
    return form.asynchronous or queue.places > 1


def misfit(form: Form, queue: QueueSettings) -> str:
    """Why a handler function of this form cannot serve this queue's table, or nothing."""
    if form.asynchronous and queue.threads > 1:
        return f"it is an async def, which runs on one event loop: write concurrency = {queue.threads}, and no threads"
    if form.asynchronous and not queue.concurrency:
        return "it is an async def: say how many messages may run at once in a process, such as concurrency = 100"
    if queue.concurrency and not form.asynchronous:
        return "it is a plain function, and concurrency is for async def ones: write threads instead"
    if form.batch and queue.batch.size == 1:
        return "it takes a list of messages: say how many, such as batch = { size = 10 }"
    if queue.batch.size > 1 and not form.batch:
        return (
            "batch needs a handler function whose argument is annotated as list[Message], or one of two lists, such as "
            "orders: list[Order], messages: list[Message]"
        )
    return ""


def _takes_list(function: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception:  # noqa: BLE001 - an annotation is any expression
        try:
            signature = inspect.signature(function)
        except (ValueError, TypeError):
            return False  # written in C, without a signature
    return takes_messages(next(iter(signature.parameters.values())).annotation if signature.parameters else None)


def of_messages(function: Callable[..., Any]) -> bool:
    """Whether a first look says that a function takes messages, and nothing that has to be decoded for it."""
    try:
        parameters = inspect.signature(function, eval_str=True).parameters
    except Exception:  # noqa: BLE001 - an annotation is any expression
        return False
    annotation = next(iter(parameters.values())).annotation if parameters else Message
    return annotation is inspect.Parameter.empty or annotation is Message or takes_messages(annotation)


def takes_messages(annotation: Any) -> bool:
    """Whether a parameter that is annotated so takes a list of messages."""
    if isinstance(annotation, str):
        return _LIST_OF_MESSAGES.fullmatch(annotation.strip("\"'")) is not None
    return get_origin(annotation) in (list, Sequence) and get_args(annotation) == (Message,)
