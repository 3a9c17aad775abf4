"""Handler process: the key of a message. No error shows a key: it may come from the body, which no log may hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from worker.message import Message

#: How a key is found: a path into the body's JSON ("order.id"), a function of the message, or None: the message's id.
KeySource = str | Callable[[Message], Any] | None

#: Bytes of a key: a partition key of DynamoDB has 2,048 at most, and the scope stands before it.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
_LONGEST = 1024


class KeyMissing(ValueError):
    """The message has no key where it should be. It was not run: a retry, in the end a dead letter."""


def check(source: KeySource) -> None:
    """Raises TypeError or ValueError for a source that could never find a key."""
    if isinstance(source, str):
        if not all(source.split(".")):
            raise ValueError(f"key={source!r}: a path into the body's JSON has names between dots, as in 'order.id'")
    elif source is not None and not callable(source):
        raise TypeError(f"key={source!r}: a path such as 'order.id', a function of the message, or None (its id)")


def key_of(message: Message, source: KeySource) -> str:
    """The key: text that is not empty, or an integer as text. Raises KeyMissing, and what a function raises."""
    if source is None:
        return message.id
    found = _at(message, source) if isinstance(source, str) else source(message)
    where = f"at {source!r} of its body" if isinstance(source, str) else "from its key function"
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise _missing(message, f"{where} is {_shown(found)}, and a key is text or an integer")
    key = str(found)
    if len(key.encode("utf-8", "surrogatepass")) > _LONGEST:
        raise _missing(message, f"{where} is longer than {_LONGEST:,} bytes: make a hash of it in a key function")
    return key


def _at(message: Message, path: str) -> Any:
    try:
        found: Any = message.json()
    except ValueError:
        raise _missing(message, f"has no {path!r}: its body is not JSON") from None  # the cause would show the body
    for name in path.split("."):
        if not isinstance(found, dict) or name not in found:
            raise _missing(message, f"has no {path!r}: {name!r} is not there")
        found = found[name]
    return found


def _missing(message: Message, why: str) -> KeyMissing:
    return KeyMissing(f"message {message.id} of queue {message.queue} has no idempotency key, and was not run: {why}")


def _shown(found: object) -> str:
    if found is None or found == "":
        return "null" if found is None else "empty"
    return f"a {type(found).__name__}"
