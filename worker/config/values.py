"""Command line: turns one value of a config file into the type of its key, environment variables included."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

from worker.config.environment import expand
from worker.config.problems import nearest
from worker.config.schema import Key, Type

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_IN_WORDS = {
    Type.TEXT: "text",
    Type.TEXTS: "a list of texts",
    Type.SECONDS: "a number of seconds",
    Type.WHOLE_SECONDS: "whole seconds, as SQS takes them",
    Type.NUMBER: "a whole number",
    Type.SWITCH: "true or false",
}
#: How much of a wrong value a complaint shows.
_SHOWN = 60


class BadValue(ValueError):
    """A value that its key cannot have; `str()` is the complaint, with an example."""


class Missing(Enum):
    """The only member says that a key counts as not written."""

    MISSING = 0


MISSING = Missing.MISSING


class Given(str):
    """The text of a key that was given outside the file, to be converted to the key's type as it is."""

    __slots__ = ()


def convert(key: Key, raw: Any, environ: Mapping[str, str]) -> Any:
    """The value of `key`: str, float, int, bool or, for TEXTS, a tuple; MISSING if a reference to the environment gave
    no text.

    Raises BadValue, or environment.BadReference if a variable is missing.
    """
    if key.type is Type.TEXTS:
        return _texts(key, raw, environ)
    source, given = "", False
    if isinstance(raw, Given):
        source, given, raw = " (from --set)", True, str(raw)
    elif isinstance(raw, str) and "${" in raw:
        expanded = expand(raw, environ)
        raw, given = expanded.text, bool(expanded.names)
        source = f" (from {', '.join(expanded.names)})" if given else ""
        if given and not raw.strip():
            return MISSING
    try:
        value = _typed(key, _parse(key, raw.strip()) if given and key.type is not Type.TEXT else raw)
        if complaint := _limits(key, value):
            raise BadValue(complaint)
    except BadValue as error:
        raise BadValue(f"{error}{source}") from None
    return value.lower() if key.choices else value


def _texts(key: Key, raw: Any, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Each item of a list is a text of its own; --set separates them by commas. Empty ones count as not written."""
    items = [Given(item.strip()) for item in raw.split(",")] if isinstance(raw, Given) else raw
    if not isinstance(items, list):
        raise BadValue(_expected(key, raw))
    one = replace(key, type=Type.TEXT)
    return tuple(text for item in items if (text := convert(one, item, environ)) is not MISSING)


def _parse(key: Key, text: str) -> bool | int | float:
    """The text of an environment variable as a value of the key's type."""
    try:
        if key.type is Type.SWITCH:
            return _WORDS[text.lower()]
        return int(text) if key.type is Type.NUMBER else float(text)
    except (KeyError, ValueError):
        raise BadValue(_expected(key, text)) from None


def _typed(key: Key, raw: Any) -> Any:
    """The value if its TOML type is the key's; whole numbers are seconds too."""
    if key.type is Type.TEXT and isinstance(raw, str):
        return raw
    if isinstance(raw, bool):
        if key.type is Type.SWITCH:
            return raw
    elif isinstance(raw, int) and key.type is Type.NUMBER:
        return raw
    elif isinstance(raw, int | float) and key.type in {Type.SECONDS, Type.WHOLE_SECONDS}:
        try:
            seconds = float(raw)
        except OverflowError:
            seconds = math.inf
        if math.isfinite(seconds) and (key.type is Type.SECONDS or seconds.is_integer()):
            return seconds
    raise BadValue(_expected(key, raw))


def _limits(key: Key, value: Any) -> str:
    """A complaint about a value of the right type, or ""."""
    if isinstance(value, str):
        return _text_limits(key, value)
    if key.above is not None and value <= key.above:
        return f"must be more than {number(key.above)}, got {number(value)}"
    if key.most is None and key.least is not None and value < key.least:
        return f"must be at least {number(key.least)}, got {number(value)}"
    if key.most is not None and not (key.least or 0) <= value <= key.most:
        return f"must be {number(key.least or 0)} to {number(key.most)}, got {number(value)}"
    return ""


def number(value: float) -> str:
    """A number as a complaint and the documentation show it: 43,200 or 0.5; huge ones short."""
    if abs(value) >= 1e15:
        return f"{value:g}" if isinstance(value, float) or abs(value) < 1e300 else "a number of hundreds of digits"
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,}"


def _text_limits(key: Key, text: str) -> str:
    if not text.strip():
        return f"is empty; an example: {key.example}"
    if "\0" in text:
        return "holds a zero byte"
    if key.choices and text.lower() not in key.choices:
        return f"unknown value {_show(text)}; {nearest(text.lower(), key.choices)}"
    return key.shape(text) if key.shape else ""


def _expected(key: Key, raw: Any) -> str:
    return f"expected {_IN_WORDS[key.type]}, such as {key.example}; got {_show(raw)}"


def _show(raw: Any) -> str:
    """A wrong value for a complaint: shortened, without control characters, its type in words where it is no text."""
    if isinstance(raw, dict):
        return "a table"
    if isinstance(raw, list):
        return "a list"
    text = ascii(raw) if isinstance(raw, str) and not raw.isprintable() else repr(raw)
    if isinstance(raw, bool):
        text = str(raw).lower()
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
