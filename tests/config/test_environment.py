"""Environment references in values, and `.env` files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.config.environment import BadReference, expand

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(st.sampled_from("${}:-ab \\\"'#=") | st.characters(codec="utf-8"), max_size=30)


@given(TEXTS)
def test_escaped_text_comes_out_as_it_was(text: str) -> None:
    """`$${` is the only thing to escape: any text survives, and no variable is asked for."""
    result = expand(text.replace("${", "$${"), {})
    assert result.text == text
    assert result.names == ()


@given(name=NAMES, value=TEXTS.filter(bool), before=TEXTS, after=TEXTS)
def test_a_variable_is_put_in_as_it_is(name: str, value: str, before: str, after: str) -> None:
    """What a variable holds is never expanded again, whatever it looks like."""
    around = [part.replace("${", "$${").rstrip("$") for part in (before, after)]
    result = expand(f"{around[0]}${{{name}}}{around[1]}", {name: value})
    assert result.text == expand(around[0], {}).text + value + expand(around[1], {}).text
    assert result.names == (name,)


@given(text=TEXTS)
def test_nothing_but_bad_reference_comes_out_of_any_text(text: str) -> None:
    """Hostile text gives a text or a BadReference, never another exception."""
    told = ""
    try:
        told = expand(text, {"a": "1"}).text
    except BadReference as error:
        told = str(error)
    assert isinstance(told, str)


@pytest.mark.parametrize(
    ("text", "environ", "expected", "names"),
    [
        ("${A:-x}", {}, "x", ("A",)),
        ("${A:-x}", {"A": ""}, "x", ("A",)),
        ("${A:-x}", {"A": "y"}, "y", ("A",)),
        ("${A:-}", {}, "", ("A",)),
        ("${A:-${B}}", {"B": "b"}, "b", ("A", "B")),
        ("${A:-${B}}", {"A": "a"}, "a", ("A",)),
        ("${A:-${B:-c}}/d", {}, "c/d", ("A", "B")),
        ("${A}${A}", {"A": "1"}, "11", ("A",)),
        ("$A and $$A", {"A": "1"}, "$A and $$A", ()),
        ("$${A}", {"A": "1"}, "${A}", ()),
        ("}", {}, "}", ()),
    ],
)
def test_references(text: str, environ: dict[str, str], expected: str, names: tuple[str, ...]) -> None:
    """Each form of reference gives what a shell's user expects."""
    result = expand(text, environ)
    assert (result.text, result.names) == (expected, names)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("${A}", "variable A is not set"),
        ("${A}${B}${A}", "variables A, B are not set"),
        ("${A:-${B}}", "variable A or B is not set (or empty); set it, or write ${B:-default}"),
        ("${A:-${B}${C}}", "variables A or B, A or C are not set"),
        ("${1A}", "'1A}'"),
        ("${}", "'}'"),
        ("${A", "'${A' is not closed"),
        ("${A:-b", "'${A' is not closed"),
        ("${A:b}", "'${A' is not closed"),
        ("${A-b}", "'${A' is not closed"),
    ],
)
def test_a_bad_reference_is_named(text: str, told: str) -> None:
    """The complaint names what is missing or malformed."""
    with pytest.raises(BadReference) as caught:
        expand(text, {})
    assert told in str(caught.value)
