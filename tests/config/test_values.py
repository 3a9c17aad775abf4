"""Values of keys: types, limits, and the text of environment variables."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.config.environment import BadReference
from worker.config.queue_keys import QUEUE, RETRY
from worker.config.schema import Key, Type
from worker.config.values import MISSING, BadValue, Given, convert
from worker.config.worker_keys import WORKER

ANY_TOML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def key(kind: Type, **limits: Any) -> Key:
    return Key(name="k", type=kind, meaning="", example="k = 1", **limits)


def from_environment(kind: Type, text: str, **limits: Any) -> Any:
    return convert(key(kind, **limits), "${V}", {"V": text})


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_a_whole_number_survives_the_environment(value: int) -> None:
    """str() of a number, put into a variable, is that number again, as the same type."""
    result = from_environment(Type.NUMBER, str(value))
    assert result == value
    assert type(result) is int


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_seconds_survive_the_environment(value: float) -> None:
    """repr() of a float, put into a variable, is that float again."""
    result = from_environment(Type.SECONDS, repr(value))
    assert result == value
    assert type(result) is float


@pytest.mark.parametrize(("text", "value"), [("true", True), ("YES", True), ("1", True), ("off", False), ("0", False)])
def test_switches_survive_the_environment(text: str, value: bool) -> None:
    """The usual words for true and false are taken."""
    assert from_environment(Type.SWITCH, text) is value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Type.NUMBER, "4.0"),
        (Type.NUMBER, "four"),
        (Type.SECONDS, "nan"),
        (Type.SECONDS, "inf"),
        (Type.SECONDS, "1e999"),
        (Type.WHOLE_SECONDS, "1.5"),
        (Type.SWITCH, "maybe"),
    ],
)
def test_a_variable_of_the_wrong_form_is_named(kind: Type, text: str) -> None:
    """The complaint says what is expected, gives an example, and names the variable."""
    with pytest.raises(BadValue) as caught:
        from_environment(kind, text)
    assert "such as k = 1" in str(caught.value)
    assert "(from V)" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (Type.NUMBER, "4"),
        (Type.NUMBER, 4.0),
        (Type.NUMBER, True),
        (Type.SECONDS, "4"),
        (Type.SECONDS, False),
        (Type.SECONDS, math.nan),
        (Type.SECONDS, math.inf),
        (Type.SECONDS, 10**400),
        (Type.WHOLE_SECONDS, 0.5),
        (Type.TEXT, 4),
        (Type.TEXT, ["a"]),
        (Type.TEXT, {"a": 1}),
        (Type.SWITCH, 1),
        (Type.SWITCH, "true"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: Type, raw: Any) -> None:
    """Only a text with a variable in it is converted; what the file says outright must have the key's type."""
    with pytest.raises(BadValue, match="expected"):
        convert(key(kind), raw, {})


def test_whole_numbers_are_seconds_too() -> None:
    """`wait = 10` is 10.0 seconds."""
    assert type(convert(key(Type.SECONDS), 10, {})) is float


@pytest.mark.parametrize(
    ("limits", "value", "told"),
    [
        ({"least": 1, "most": 10}, 0, "1 to 10"),
        ({"least": 1, "most": 10}, 11, "1 to 10"),
        ({"least": 1_048_576}, 5, "at least 1,048,576"),
        ({"above": 0}, 0, "more than 0"),
        ({"above": 0, "most": 43_195}, 50_000, "43,195"),
    ],
)
def test_limits_are_told_with_the_value(limits: dict[str, float], value: int, told: str) -> None:
    """A number out of its limits is refused with both."""
    with pytest.raises(BadValue) as caught:
        convert(key(Type.NUMBER, **limits), value, {})
    assert told in str(caught.value)
    assert f"{value:,}" in str(caught.value)


def test_an_empty_text_from_the_environment_counts_as_not_written() -> None:
    """`${NAME:-}` can leave a key out."""
    assert convert(key(Type.NUMBER), "${V:-}", {}) is MISSING
    assert convert(key(Type.TEXT), " ${V:-} ", {}) is MISSING


def test_an_empty_text_in_the_file_is_a_fault() -> None:
    """`name = ""` says nothing, so it is not silently ignored."""
    with pytest.raises(BadValue, match="empty"):
        convert(key(Type.TEXT), "", {})


def test_choices_may_be_written_in_any_case() -> None:
    """LOG_LEVEL=INFO is what most environments hold."""
    assert convert(key(Type.TEXT, choices=("info", "debug")), "${V}", {"V": "INFO"}) == "info"
    with pytest.raises(BadValue, match="did you mean 'debug'"):
        convert(key(Type.TEXT, choices=("info", "debug")), "debgu", {})


def test_a_text_given_outside_the_file_is_not_expanded() -> None:
    """`--set` values come from a shell, which has expanded them already."""
    assert convert(key(Type.TEXT), Given("${V}"), {"V": "x"}) == "${V}"
    assert convert(key(Type.NUMBER), Given("4"), {}) == 4
    with pytest.raises(BadValue, match="from --set"):
        convert(key(Type.NUMBER), Given("x"), {})


@given(raw=ANY_TOML, which=st.sampled_from(QUEUE + RETRY + WORKER))
def test_any_value_of_any_key_is_taken_or_refused(raw: Any, which: Key) -> None:
    """No value makes the conversion fail otherwise, and a refusal is one line of modest length."""
    told = ""
    try:
        convert(which, raw, {})
    except (BadValue, BadReference) as error:
        told = str(error)
    assert told == "" or told.isprintable()
    assert len(told) < 300


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ([], ()),
        (["a", "b"], ("a", "b")),
        (["${V}", "${W:-}", "${X:-c}"], ("v", "c")),
        (Given("a, b"), ("a", "b")),
    ],
)
def test_a_list_of_texts_has_items_as_texts_are(raw: object, value: tuple[str, ...]) -> None:
    """Each may come from the environment, and one that comes out empty is none; --set separates them by commas."""
    assert convert(key(Type.TEXTS), raw, {"V": "v"}) == value


@pytest.mark.parametrize(("raw", "word"), [("a", "list of texts"), ([1], "got 1"), ([["a"]], "text"), ([" "], "empty")])
def test_a_list_of_texts_holds_nothing_else(raw: object, word: str) -> None:
    """A single text is no list: the complaint shows how one is written."""
    with pytest.raises(BadValue, match=word):
        convert(key(Type.TEXTS), raw, {})
