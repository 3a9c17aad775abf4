"""Test process: bodies are decoded by annotations, and misfits named; see worker/handler/decoding.py."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile.corpus import CORPUS
from worker import Reject, Retry
from worker.handler.decoding import decoder
from worker.handler.parameters import Unfit


class Kind(enum.Enum):
    NEW = "new"


@dataclass
class Item:
    price: float
    kind: Kind = Kind.NEW
    label: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        if self.price == -1:
            raise ValueError(f"secret - at `$.secret` {self.price}")
        if self.price == -2:
            raise Retry(after=5)
        if self.price == -3:
            raise KeyError("secret")


@dataclass
class Order:
    items: list[Item]
    notes: dict[str, int] | None = None


class Struct(msgspec.Struct, forbid_unknown_fields=True):
    id: int


class Cat(msgspec.Struct, tag=True):
    lives: Annotated[int, msgspec.Meta(ge=1)]


class Dog(msgspec.Struct, tag=True):
    name: str


class Mapped(TypedDict):
    id: int


class Pair(NamedTuple):
    left: int
    right: str


class Model(pydantic.BaseModel):
    id: int
    tags: list[Literal["a", "b"]] = []

    @pydantic.field_validator("id")
    @classmethod
    def positive(cls, value: int) -> int:
        if value < 0:
            raise ValueError(f"secret {value}")
        return value


class StrictModel(pydantic.BaseModel, extra="forbid"):
    by_mail: dict[str, dict[str, Model]] = pydantic.Field(alias="by-mail")


@dataclass
class HoldsModel:
    model: Model


ITEM, OTHER = '{"price": 1}', '{"price": "secret"}'


@pytest.mark.parametrize(
    ("annotation", "body", "value"),
    [
        (bytes, b"\xff\x00", b"\xff\x00"),
        (Annotated[int, ["no hash"]], b"7", 7),
        (str, "h\u00e9 {".encode(), "h\u00e9 {"),
        (dict, b'{"a": [1]}', {"a": [1]}),
        (list, b"[1]", [1]),
        (dict[str, int], b'{"a": 1}', {"a": 1}),
        (Order, f'{{"items": [{ITEM}], "more": 1}}'.encode(), Order([Item(1.0)])),
        (list[Item], f"[{ITEM}]".encode(), [Item(1.0)]),
        (Struct, b'{"id": 7}', Struct(7)),
        (Struct | None, b"null", None),
        (Cat | Dog, b'{"type": "Dog", "name": "rex"}', Dog("rex")),
        (Mapped, b'{"id": 7}', {"id": 7}),
        (Pair, b'[1, "x"]', Pair(1, "x")),
        (Model, b'{"id": "7"}', Model(id=7)),
        (list[Model], b'[{"id": 7}]', [Model(id=7)]),
        (HoldsModel, b'{"model": {"id": 7}}', HoldsModel(Model(id=7))),
        (datetime.datetime, b'"2026-01-02T03:04:05Z"', datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)),
        (decimal.Decimal, b'"1.10"', decimal.Decimal("1.10")),
        (Kind, b'"new"', Kind.NEW),
        (int, b"7", 7),
    ],
)
def test_a_body_becomes_what_its_annotation_says(annotation: Any, body: bytes, value: Any) -> None:
    """Bytes and text as they are, all else as JSON; unknown fields are let pass where the type does not forbid them."""
    found = decoder(annotation)(body)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("annotation", "body", "reason"),
    [
        (str, b"ab\xff", "$: the body is not UTF-8 at byte 2"),
        (dict, b"[1]", "$: the body is no JSON object"),
        (list, b"{}", "$: the body is no JSON array"),
        (dict, b"{", "$: the body is not JSON: unexpected end of data at character 1"),
        (dict, b'"secret \\ud800"', "$: the body is not JSON: "),
        (Order, b"no JSON", "$: the body is not JSON: "),
        (Order, b"", "$: the body is not JSON: Input data was truncated"),
        (Mapped, b'{"id": 1} secret', "$: the body is not JSON: trailing characters"),
        (Order, b"[]", "$: Expected `object`, got `array`"),
        (Order, b"{}", "$: Object missing required field `items`"),
        (Order, f'{{"items": [{ITEM}, {OTHER}]}}'.encode(), "$.items[1].price: Expected `float`, got `str`"),
        (Order, b'{"items": [{"price": 1, "kind": "secret"}]}', "$.items[0].kind: none of the values that are allowed"),
        (Order, b'{"items": [{"price": 1, "label": "secret"}]}', "$.items[0].label: none of the values that are allow"),
        (Order, b'{"items": [{"price": -1}]}', "$.items[0]: ValueError in a check of its class"),
        (Item, b'{"price": -1}', "$: ValueError in a check of its class"),
        (Order, b'{"items": [], "notes": {"secret": "x"}}', "$.notes[...]: Expected `int`, got `str`"),
        (Struct, b'{"id": 1, "more": 2}', "$: Object contains unknown field `more`"),
        (Struct, b'{"id": "7"}', "$.id: Expected `int`, got `str`"),
        (Cat | Dog, b'{"type": "secret"}', "$.type: none of the values that are allowed"),
        (Cat | Dog, b'{"type": "Cat", "lives": 0}', "$.lives: Expected `int` >= 1"),
        (Kind, b'"secret - at `$.secret`"', "$: none of the values that are allowed"),
        (dict[Kind, int], b'{"secret": 1}', "$: a key: none of the values that are allowed"),
        (Struct, b'{"id": ' + b"9" * 5000 + b"}", "$.id: Integer value out of range"),
        (list[Any], b"[NaN]", "$: the body is not JSON: invalid character (byte 1)"),
        (list[str], b'["\xff"]', "$: a string is not UTF-8: invalid start byte"),
        (list[str], b'["\\ud800"]', "$: the body is not JSON: "),
        (Order, b'{"secret":' + b"[" * 100_000, "$: nested too deeply"),
        (list[Any], b"[" * 100_000, "$: nested too deeply"),
        (Model, b'{"id": "secret"}', "$.id: int parsing (pydantic)"),
        (Model, b'{"id": -1}', "$.id: value error (pydantic)"),
        (Model, b'{"id": 1, "tags": ["a", "secret"]}', "$.tags[1]: literal error (pydantic)"),
        (list[Model], b'[{"id": 1}, {}]', "$[1].id: missing (pydantic)"),
        (dict[str, Model], b'{"secret": {"id": "a"}}', "$[...].id: int parsing (pydantic)"),
        (StrictModel, b'{"by-mail": {"secret": {"secret": {}}}}', "$.by-mail[...][...].id: missing (pydantic)"),
        (StrictModel, b'{"by-mail": {}, "other": 1}', "$.other: extra forbidden (pydantic)"),
        (Model, b"\xff", "$: Invalid JSON: "),
        (Model, b"[" * 100_000, "$: Invalid JSON: recursion limit exceeded"),
    ],
)
def test_a_misfit_is_rejected_by_its_path_and_without_its_values(annotation: Any, body: bytes, reason: str) -> None:
    """Reasons stand in logs: a value, or what a check of the user's said of it, has no place in one."""
    with pytest.raises(Reject) as caught:
        decoder(annotation)(body)
    assert caught.value.reason.startswith(f"decode: {reason}")
    assert "secret" not in caught.value.reason
    assert caught.value.__cause__ is None


def test_a_long_field_name_is_clipped() -> None:
    """A producer may have chosen it."""
    with pytest.raises(Reject) as caught:
        decoder(Struct)(json.dumps({"id": 1, "x" * 100_000: 1}).encode())
    assert len(caught.value.reason) < 300


def test_outcomes_and_errors_of_a_class_pass_through() -> None:
    """A class may raise Retry or Reject itself; an error of its code is no misfit, so it is a retry."""
    with pytest.raises(Retry):
        decoder(Item)(b'{"price": -2}')
    with pytest.raises(KeyError):
        decoder(Item)(b'{"price": -3}')


class Unknown: ...


@dataclass
class HoldsUnknown:
    inner: list[Unknown]


@dataclass
class Unresolved:
    inner: Nowhere  # type: ignore[name-defined]  # noqa: F821 - that is the point


class UnresolvedModel(pydantic.BaseModel):
    inner: "Nowhere"  # type: ignore[name-defined]  # noqa: F821, UP037 - likewise


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Unknown, "Unknown cannot be decoded: nothing is known of Unknown. Take a dataclass"),
        (HoldsUnknown, "HoldsUnknown cannot be decoded: nothing is known of Unknown"),
        (complex, "nothing is known of complex"),
        (Callable[[], None], "nothing is known of"),
        (Unresolved, "Unresolved cannot be decoded: NameError: name 'Nowhere' is not defined"),
        (UnresolvedModel, "UnresolvedModel cannot be decoded: PydanticUndefinedAnnotation"),
        (list[int] | set[int], "cannot be decoded: TypeError"),
    ],
)
def test_a_type_that_nothing_can_decode_is_refused(annotation: Any, words: str) -> None:
    """When the application is loaded, and not with the first message."""
    with pytest.raises(Unfit) as caught:
        decoder(annotation)
    assert words in str(caught.value)


def test_without_msgspec_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, bytes, bare objects and models need none."""
    monkeypatch.setitem(sys.modules, "msgspec", None)
    with pytest.raises(Unfit, match=r"Order is decoded by msgspec: pip install 'worker\[typed\]'"):
        decoder(Order)
    assert decoder(dict)(b"{}") == {}
    assert decoder(Model)(b'{"id": 1}') == Model(id=1)


@dataclass
class Everything:
    number: int
    ratio: float
    text: str
    flags: list[bool]
    names: dict[str, str]
    maybe: Item | None


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
EVERYTHING = st.builds(
    Everything,
    number=st.integers(-(2**63), 2**63 - 1),
    ratio=FLOATS,
    text=st.text(),
    flags=st.lists(st.booleans()),
    names=st.dictionaries(st.text(), st.text(), max_size=3),
    maybe=st.none() | st.builds(Item, price=FLOATS.filter(lambda price: price not in (-1, -2, -3))),
)


@given(EVERYTHING)
def test_a_value_comes_back_as_it_was_sent(value: Everything) -> None:
    """Through JSON, as producers write it."""
    body = json.dumps(dataclasses.asdict(value), default=lambda kind: kind.value).encode()
    assert decoder(Everything)(body) == value


#: -2 and -3 make Item raise what is no misfit.
NUMBERS = (st.integers() | FLOATS).filter(lambda number: number not in (-2, -3))
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["items", "price", "id"]), inner),
)
ANNOTATIONS = [bytes, str, dict, list, dict[str, int], Order, list[Item], Struct, Cat | Dog, Mapped, Model, uuid.UUID]
DECODERS = [decoder(annotation) for annotation in ANNOTATIONS]


def outcome(decode: Callable[[bytes], Any], body: bytes) -> str:
    """The reason of a Reject, or that it is a value; every other exception is a failure of the test."""
    try:
        decode(body)
    except Reject as reject:
        return reject.reason
    return "decode: $ is a value"


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_body_is_a_value_or_a_reject_and_nothing_else(body: bytes) -> None:
    """Whatever the bytes and whatever the annotation."""
    for decode in DECODERS:
        assert outcome(decode, body).startswith("decode: $")


@pytest.mark.parametrize("name", CORPUS)
def test_the_hostile_corpus_is_values_and_rejects(name: str) -> None:
    """Bodies that no producer should send."""
    body = CORPUS[name].body.encode("utf-8", "surrogatepass")
    for decode in DECODERS:
        assert outcome(decode, body).startswith("decode: $")
