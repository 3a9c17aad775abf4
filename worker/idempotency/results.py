"""Handler process: what a handler function returned, as JSON in the store, and back.

| the function returns | then |
|---|---|
| None | done, without a result |
| Forward, or anything that orjson writes | done; a duplicate returns an equal one (a tuple comes back as a list) |
| Retry, Reject, what can be no outcome (a coroutine, the class Reject) | not done: the key is free again |
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import Any

import orjson

from worker.message import Forward, MessageAttribute, Reject, Retry

#: Bytes of a result. An item of DynamoDB has 400 KB at most, of which the key and the other attributes take a little.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
_LONGEST = 300_000


class ResultNotStorable(TypeError):
    """What the function returned cannot be kept for its duplicates."""


def is_end(result: object) -> bool:
    """Whether the work is done. After a reject it is not: whoever redrives the dead letter wants it to run."""
    if isinstance(result, Retry | Reject | Awaitable | Generator | AsyncGenerator):
        return False
    return result not in (Retry, Reject, Forward) if isinstance(result, type) else True


def encode(result: object) -> str | None:
    """As JSON, for `decode`. Raises ResultNotStorable."""
    if result is None:
        return None
    try:
        told = {"forward": _forward(result)} if isinstance(result, Forward) else {"value": result}
        text = orjson.dumps(told)
    except TypeError as error:  # orjson.JSONEncodeError is one; it names types, and shows no value
        raise ResultNotStorable(
            f"a result is kept as JSON, and this {type(result).__name__} is none: {error}"
        ) from None
    if len(text) > _LONGEST:
        raise ResultNotStorable(
            f"a result is kept with at most {_LONGEST:,} bytes, and this {type(result).__name__} has {len(text):,}: "
            "put it elsewhere, and return where it is"
        )
    return text.decode()


def decode(text: str | None) -> Any:
    """What the function returned the first time."""
    if text is None:
        return None
    told = orjson.loads(text)
    return _as_forward(told["forward"]) if "forward" in told else told["value"]


def _forward(forward: Forward) -> dict[str, Any]:
    return {
        "queue": forward.queue,
        "body": _text(forward.body),
        "attributes": {name: _attribute(value) for name, value in forward.attributes.items()},
        "group_id": forward.group_id,
        "deduplication_id": forward.deduplication_id,
        "delay": forward.delay,
    }


def _as_forward(told: dict[str, Any]) -> Forward:
    attributes = {name: _as_attribute(value) for name, value in told["attributes"].items()}
    return Forward(**(told | {"body": _as_text(told["body"]), "attributes": attributes}))


def _attribute(value: str | bytes | int | float | MessageAttribute) -> Any:
    if isinstance(value, MessageAttribute):
        return {"type": value.type, "value": _text(value.value)}
    return value if isinstance(value, int | float) else _text(value)


def _as_attribute(told: Any) -> str | bytes | int | float | MessageAttribute:
    if isinstance(told, dict) and "type" in told:
        return MessageAttribute(told["type"], _as_text(told["value"]))
    return told if isinstance(told, int | float) else _as_text(told)


def _text(value: str | bytes) -> str | dict[str, str]:
    return value if isinstance(value, str) else {"base64": base64.b64encode(value).decode()}


def _as_text(told: str | dict[str, str]) -> str | bytes:
    return told if isinstance(told, str) else base64.b64decode(told["base64"])
