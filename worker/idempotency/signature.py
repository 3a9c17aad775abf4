"""Handler process: what a handler function that is to be idempotent asks for, by its parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from worker.idempotency.attempt import KeyedAttempt
from worker.idempotency.claim import Claim
from worker.message import Message

#: Annotations that could not be evaluated, for instance since their names are imported for type checkers only.
_CLAIM = re.compile(r"(\w+\.)*Claim")
_MESSAGE = re.compile(r"(\w+\.)*Message")
_MESSAGES = re.compile(r"(\w+\.)*([Ll]ist|Sequence)\[(\w+\.)*Message\]")


@dataclass(frozen=True, slots=True)
class Asked:
    """Of one function."""

    name: str  #: its module and its name
    claim: str  #: the parameter that gets the claim; empty: none
    signature: inspect.Signature  #: without that parameter

    def told(self, attempt: KeyedAttempt) -> dict[str, Claim]:
        """What it is called with beside its own arguments."""
        return {self.claim: attempt.claim} if self.claim else {}


def asked_of(function: Callable[..., Any]) -> Asked:
    """Raises TypeError for a function that cannot be made idempotent as a whole."""
    name = f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', type(function).__name__)}"
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception:  # noqa: BLE001 - an annotation is any expression
        signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    claims = [one for one in parameters if _is(one.annotation, Claim, _CLAIM)]
    others = [one for one in parameters if one not in claims]
    if len(claims) > 1 or any(one.kind is one.POSITIONAL_ONLY for one in claims):
        raise TypeError(f"{name} asks for a Claim by one parameter that has a name, such as claim: Claim")
    if any(_is_list(one.annotation) for one in others):
        raise TypeError(
            f"{name} takes a list of messages, each of which has a key of its own: make the function of one message "
            "idempotent, and call that for each of the list"
        )
    if not any(_is(one.annotation, Message, _MESSAGE) for one in others) and not _is_open(others):
        raise TypeError(f"{name} takes no Message, which has its key and its deadline: add message: Message")
    return Asked(name, claims[0].name if claims else "", signature.replace(parameters=others))


def _is(annotation: Any, kind: type, text: re.Pattern[str]) -> bool:
    if isinstance(annotation, str):
        return text.fullmatch(annotation.strip("\"'")) is not None
    return annotation is kind


def _is_list(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return _MESSAGES.fullmatch(annotation.strip("\"'")) is not None
    return get_origin(annotation) in (list, Sequence) and get_args(annotation) == (Message,)


def _is_open(parameters: list[inspect.Parameter]) -> bool:
    """Whether the first one may well be the message: it is not annotated, or by anything at all."""
    return bool(parameters) and parameters[0].annotation in (inspect.Parameter.empty, Any, object)
