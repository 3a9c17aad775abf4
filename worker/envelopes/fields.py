"""Handler process: reads the fields of an envelope's JSON; what does not fit is a Reject that names the field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from worker.message import Message, Reject

#: What an envelope is read from: a message, its body, or what json() gave of it.
Source = Message | bytes | str | Mapping[str, Any]

_NAMES = {str: "a string", bool: "a boolean", type(None): "null", dict: "an object", list: "an array"}


class Fields:
    """A JSON object of an envelope, and where it stands."""

    def __init__(self, raw: Mapping[str, Any], *, kind: str, path: str = "$") -> None:
        self.raw = raw
        self._kind = kind
        self._path = path

    def text(self, name: str) -> str:
        """A string that must be there, and not be empty. Raises Reject, as all of these do."""
        value = self.optional_text(name)
        if not value:
            raise self.misfit(name, "empty" if value == "" else "missing")
        return value

    def optional_text(self, name: str) -> str | None:
        """None if it is missing, or null."""
        value = self.raw.get(name)
        if value is not None and not isinstance(value, str):
            raise self.misfit(name, f"expected a string, got {name_of(value)}")
        return value

    def optional_number(self, name: str) -> int | None:
        """A whole number; None if it is missing, or null."""
        value = self.raw.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise self.misfit(name, f"expected a whole number, got {name_of(value)}")
        return value

    def inner(self, name: str) -> Fields:
        """An object that must be there."""
        if name not in self.raw:
            raise self.misfit(name, "missing")
        return self._below(self.raw[name], f"{self._path}.{name}")

    def objects(self, name: str) -> Iterator[Fields]:
        """The objects of an array that must be there."""
        for place, value in enumerate(self.array(name)):
            yield self._below(value, f"{self._path}.{name}[{place}]")

    def array(self, name: str) -> list[Any]:
        """An array that must be there."""
        if name not in self.raw:
            raise self.misfit(name, "missing")
        value = self.raw[name]
        if not isinstance(value, list):
            raise self.misfit(name, f"expected an array, got {name_of(value)}")
        return value

    def misfit(self, name: str, why: str) -> Reject:
        """To be raised; `why` must hold nothing of the body."""
        return misfit(f"{self._path}.{name}" if name else self._path, f"{why}, so this is no {self._kind}")

    def _below(self, value: object, path: str) -> Fields:
        if not isinstance(value, Mapping):
            raise misfit(path, f"expected an object, got {name_of(value)}, so this is no {self._kind}")
        return Fields(value, kind=self._kind, path=path)


def read(source: Source, kind: str) -> Fields:
    """The fields of an envelope; `kind` is what an error calls it."""
    if isinstance(source, Mapping):
        return Fields(source, kind=kind)
    try:
        value = orjson.loads(bytes_of(source))
    except orjson.JSONDecodeError as error:
        # The error holds the whole body, so it does not go along.
        raise misfit(
            "$", f"the body is not JSON ({error.msg} at character {error.pos}), so this is no {kind}"
        ) from None
    if not isinstance(value, dict):
        raise misfit("$", f"expected an object, got {name_of(value)}, so this is no {kind}")
    return Fields(value, kind=kind)


def bytes_of(source: Source) -> bytes:
    """The body, as it was sent. Raises Reject where text cannot be one."""
    if isinstance(source, Message):
        return source.body
    if isinstance(source, Mapping):
        try:
            return orjson.dumps(dict(source))
        except TypeError:
            raise misfit("$", "what was given cannot be JSON, so no message had it") from None
    try:
        return source if isinstance(source, bytes) else source.encode()
    except UnicodeEncodeError as error:
        raise misfit("$", f"the body is no text: a lone surrogate at character {error.start}") from None


def misfit(path: str, why: str) -> Reject:
    """The outcome of a body that is not what was asked for."""
    return Reject(f"decode: {path}: {why}")


def name_of(value: object) -> str:
    """What JSON calls it."""
    return _NAMES.get(type(value), "a number")
