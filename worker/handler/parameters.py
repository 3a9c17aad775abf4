"""Handler process: what a handler function wants to be called with, by the annotations of its parameters.

| parameters | it gets |
|---|---|
| `message`, `message: Message`, `messages: list[Message]` | the message, or a batch of them |
| `order: Order` | the body, decoded |
| `order: Order, message: Message` (or without annotation) | both |
| `orders: list[Order], messages: list[Message]` | both, of a batch |
"""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from worker.handler.form import takes_messages
from worker.message import Message

#: Annotations that could not be evaluated, for instance since their names are imported for type checkers only.
_MESSAGE = re.compile(r"(\w+\.)*Message( *\| *None)?")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NONE = inspect.Parameter.empty


class Unfit(TypeError):
    """The parameters of a handler function cannot be served; the text says which, and what to write."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a handler function is to be called with."""

    body: Any = None  #: the annotation to decode a body by; None: it wants messages alone
    name: str = ""  #: of that parameter
    message: bool = True  #: it wants the message, too
    batch: bool = False  #: it wants lists


def wanted(function: Callable[..., Any]) -> Wanted:
    """Read the annotations, once. Raises Unfit. What Python itself refuses to call is not judged here."""
    parameters = _parameters(function)
    if not parameters or parameters[0].kind not in _POSITIONAL:
        return Wanted()
    first, *others = parameters
    body = _annotation(first, function)
    if takes_messages(body):
        return Wanted(batch=True)
    if _takes_message(body):
        return Wanted()
    if _mentions_message(body):
        raise Unfit(
            f"its parameter {first.name!r} mixes Message with something else: annotate the body's type, and "
            "take the message as a second parameter"
        )
    second = others[0] if others and others[0].kind in _POSITIONAL else None
    for other in others[1 if second else 0 :]:
        if other.default is _NONE and other.kind not in (other.VAR_POSITIONAL, other.VAR_KEYWORD):
            raise Unfit(f"it is called with the body and the message: nothing is known of its parameter {other.name!r}")
    if second is None:
        return Wanted(body, first.name, message=False)
    return _with_second(first, second, body, function)


def _with_second(
    first: inspect.Parameter, second: inspect.Parameter, body: Any, function: Callable[..., Any]
) -> Wanted:
    annotation = _annotation(second, function, must=second.default is _NONE)
    if takes_messages(annotation):
        if get_origin(body) not in (list, Sequence) or len(get_args(body)) != 1:
            raise Unfit(
                f"it takes a list of messages, so its parameter {first.name!r} must be a list of bodies, such as "
                "list[Order]"
            )
        return Wanted(get_args(body)[0], first.name, batch=True)
    if annotation is _NONE or not _takes_message(annotation):
        if second.default is not _NONE:
            return Wanted(body, first.name, message=False)  # its own affair
        if annotation is not _NONE:
            raise Unfit(f"its second parameter, {second.name!r}, gets the message: annotate it as Message")
    return Wanted(body, first.name)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return []  # written in C, without a signature
    except NameError as error:  # Python 3.14 evaluates annotations only here
        raise Unfit(f"an annotation cannot be evaluated ({error}): {_REMEDY}") from None


_REMEDY = "import what it names at the top of the module, and not for type checkers only"


def _annotation(parameter: inspect.Parameter, function: Callable[..., Any], *, must: bool = True) -> Any:
    """The annotation, evaluated; text that names Message may stay text, and where it need not be known, all text."""
    annotation = parameter.annotation
    for _ in range(2):  # in quotes, in a module whose annotations are text anyway, it is text twice
        if isinstance(annotation, str):
            annotation = _evaluated(annotation, parameter, function, must=must)
    return annotation


def _evaluated(text: str, parameter: inspect.Parameter, function: Callable[..., Any], *, must: bool) -> Any:
    probe: Any = types.FunctionType((lambda: None).__code__, {})
    probe.__annotations__ = {"annotation": text}
    try:
        # The way to evaluate one annotation alone: that another one cannot be is no fault of this one.
        return inspect.get_annotations(probe, globals=_globals(function), eval_str=True)["annotation"]
    except Exception as error:  # noqa: BLE001 - an annotation is any expression
        if not must or _takes_message(text) or takes_messages(text):
            return text
        raise Unfit(
            f"the annotation {text!r} of its parameter {parameter.name!r} cannot be evaluated "
            f"({type(error).__name__}: {error}): {_REMEDY}"
        ) from None


def _globals(function: Any) -> dict[str, Any]:
    """The names of the module that a function was written in: below partials, decorators, methods and objects."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif hasattr(function, "__func__"):
            function = function.__func__
        elif hasattr(function, "__globals__"):
            return dict(function.__globals__)
        elif hasattr(type(function).__call__, "__globals__"):
            return dict(type(function).__call__.__globals__)
        else:
            return {}


def _takes_message(annotation: Any) -> bool:
    """Whether a message is what is meant, or nothing in particular."""
    if isinstance(annotation, str):
        return _MESSAGE.fullmatch(annotation.strip("\"'")) is not None
    if any(annotation is one for one in (_NONE, Any, object, Message)):
        return True
    if get_origin(annotation) in (Union, types.UnionType):
        return all(one is Message or one is type(None) for one in get_args(annotation))
    if not isinstance(annotation, type):
        return False
    # A protocol says what of a message the function uses.
    return issubclass(annotation, Message) or getattr(annotation, "_is_protocol", False)


def _mentions_message(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return _mentions_message(get_args(annotation)[0])
    return annotation is Message or any(map(_mentions_message, get_args(annotation)))
