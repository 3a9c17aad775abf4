"""Handler process: makes of an annotation what decodes a body by it. A misfit is a Reject that names the field.

| annotation | the body is |
|---|---|
| `bytes` | taken as it is |
| `str` | text |
| `dict`, `list` without more | a JSON object, a JSON array |
| a pydantic model, or what holds one | validated by pydantic |
| everything else | JSON, decoded and validated by msgspec |

Reasons go to logs, so they hold field names and nothing else of a body: what a user's own check says is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, get_args

import orjson

from worker.handler.describe import show
from worker.handler.parameters import Unfit
from worker.message import Reject

#: Gives the value that a body holds. Raises Reject.
Decoder = Callable[[bytes], Any]

#: Characters of a field's name, or of a path, that a reason shows.
_LONGEST = 200
#: How msgspec names the place, behind the reason.
_PLACE = re.compile(r" - at (?P<key>`key` in )?`(?P<path>\$[^`]*)`$")
#: Reasons of msgspec that show a value.
_SHOWING = re.compile(r"Invalid (enum )?value ")
_JSON_NAMES: dict[Any, str] = {dict: "object", list: "array"}


def decoder(annotation: Any) -> Decoder:
    """What decodes a body by this annotation. Raises Unfit, which says why that cannot be."""
    if annotation is bytes:
        return bytes
    if annotation is str:
        return _text
    if annotation is dict or annotation is list:  # annotations need not be hashable
        return _bare(annotation)
    if any(map(_is_pydantic, _parts(annotation))):
        return _by_pydantic(annotation)
    return _by_msgspec(annotation)


def misfit(path: str, why: str) -> Reject:
    """The outcome of a body that is not what was asked for."""
    return Reject(f"decode: {path[:_LONGEST]}: {why[:_LONGEST]}")


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise misfit("$", f"the body is not UTF-8 at byte {error.start}") from None


def _bare(kind: type) -> Decoder:
    def decode(body: bytes) -> Any:
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            # The error holds the whole body, so it does not go along.
            raise misfit("$", f"the body is not JSON: {error.msg} at character {error.pos}") from None
        if type(value) is not kind:
            raise misfit("$", f"the body is no JSON {_JSON_NAMES[kind]}")
        return value

    return decode


def _by_msgspec(annotation: Any) -> Decoder:
    try:
        import msgspec
    except ImportError:
        raise Unfit(f"{_shown(annotation)} is decoded by msgspec: pip install 'worker[typed]'") from None
    try:
        decode = msgspec.json.Decoder(annotation).decode
        classes = dict(_classes(msgspec.inspect.type_info(annotation), set()))
    except Exception as error:  # noqa: BLE001 - the annotations of a user's class are any expressions
        raise Unfit(f"{_shown(annotation)} cannot be decoded: {type(error).__name__}: {error}") from None
    if any(map(_is_pydantic, classes)):
        return _by_pydantic(annotation)
    for one, known in classes.items():
        if not known:
            raise Unfit(
                f"{_shown(annotation)} cannot be decoded: nothing is known of {_shown(one)}. Take a dataclass, a "
                "msgspec.Struct, a TypedDict, a NamedTuple, a pydantic model, or a type that msgspec knows"
            )

    def call(body: bytes) -> Any:
        try:
            return decode(body)
        except msgspec.ValidationError as error:
            raise _invalid(error) from None
        except msgspec.DecodeError as error:
            raise misfit("$", f"the body is not JSON: {str(error).removeprefix('JSON is malformed: ')}") from None
        except UnicodeDecodeError as error:
            raise misfit("$", f"a string is not UTF-8: {error.reason}") from None
        except RecursionError:
            raise misfit("$", "nested too deeply") from None

    return call


def _classes(info: Any, seen: set[int]) -> Iterator[tuple[Any, bool]]:
    """The classes in what msgspec knows of a type, and whether it can decode them."""
    if isinstance(info, list | tuple):
        for one in info:
            yield from _classes(one, seen)
    elif type(info).__module__ == "msgspec.inspect" and id(info) not in seen:
        seen.add(id(info))  # types may hold themselves
        if hasattr(info, "cls"):
            yield info.cls, type(info).__name__ != "CustomType"
        for name in info.__struct_fields__:
            yield from _classes(getattr(info, name), seen)


def _invalid(error: Exception) -> Reject:
    """What a ValidationError of msgspec says, without the values and the texts that it shows."""
    text = show(error)
    check = error.__cause__
    said = show(check) if check is not None else ""
    # Behind what a check said, since that may look like a place. A value that is shown ends in a quote.
    place = _PLACE.search(text.removeprefix(said) if check is not None else text)
    path, key = (place["path"], place["key"]) if place else ("$", None)
    why = text[: place.start()] if place and check is None else text
    if check is not None:
        why = f"{type(check).__name__} in a check of its class"
    elif _SHOWING.match(text):
        why = "none of the values that are allowed"
    return misfit(path, f"a key: {why}" if key else why)


def _by_pydantic(annotation: Any) -> Decoder:
    import pydantic  # there, since a model is

    try:
        adapter = pydantic.TypeAdapter(annotation)
        if not getattr(adapter, "pydantic_complete", True):
            adapter.rebuild(raise_errors=True)
        known = set(_texts(adapter.core_schema))
    except Exception as error:  # noqa: BLE001 - as above
        said = str(error).partition("\n")[0]
        raise Unfit(f"{_shown(annotation)} cannot be decoded: {type(error).__name__}: {said}") from None

    def call(body: bytes) -> Any:
        try:
            return adapter.validate_json(body)
        except pydantic.ValidationError as error:
            found = error.errors(include_input=False, include_url=False, include_context=False)[0]
            loc = found["loc"]
            # A name that the classes have not is a key of the body's own, as of a dict; msgspec hides those itself.
            shown = known if found["type"] != "extra_forbidden" else {*known, loc[-1]}
            path = "".join(
                f"[{one}]" if isinstance(one, int) else f".{one}" if one in shown else "[...]" for one in loc
            )
            # The kind alone: texts of pydantic and of a model's own checks may show values.
            why = found["msg"] if found["type"] == "json_invalid" else found["type"].replace("_", " ")
            raise misfit(f"${path}", f"{why} (pydantic)") from None

    return call


def _texts(schema: Any) -> Iterator[str]:
    """All names in what pydantic knows of a type."""
    if isinstance(schema, str):
        yield schema
    elif isinstance(schema, dict | list | tuple):
        for one in (*schema, *schema.values()) if isinstance(schema, dict) else schema:
            yield from _texts(one)


def _is_pydantic(annotation: Any) -> bool:
    """A model, or a dataclass of pydantic's: whoever has one has the package."""
    return isinstance(annotation, type) and hasattr(annotation, "__pydantic_validator__")


def _parts(annotation: Any) -> Iterator[Any]:
    """The annotation, and all that stands in its brackets."""
    yield annotation
    for one in get_args(annotation):
        yield from _parts(one)


def _shown(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
