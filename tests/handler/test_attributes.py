"""Test process: message attributes keep type and value both ways; see worker/handler/attributes.py."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.handler.attributes import decode, encode
from worker.message import MessageAttribute

names = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True).filter(
    lambda name: not name.lower().startswith(("aws.", "amazon."))
)
#: What SQS takes in a text (SendMessage).
characters = st.characters(codec="utf-8", exclude_characters="\ufffe\uffff", exclude_categories=("Cc", "Cs"))
values = (
    st.text(characters, min_size=1)
    | st.binary(min_size=1)
    | st.integers(-(10**37), 10**37)
    | st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30)
)


@given(attributes=st.dictionaries(names, values, max_size=10))
def test_what_a_forward_carries_is_what_the_next_handler_function_reads(attributes: dict[str, Any]) -> None:
    """encode and decode are inverse: text as String, bytes as Binary, numbers as Number in their Python form."""
    for name, attribute in decode(encode(attributes)).items():
        value = attributes[name]
        if isinstance(value, str | bytes):
            assert attribute == MessageAttribute("String" if isinstance(value, str) else "Binary", value)
        else:
            assert attribute.type == "Number"
            assert type(value)(attribute.value) == value


@pytest.mark.parametrize(
    "attribute",
    [MessageAttribute("String.json", "{}"), MessageAttribute("Number.int", "7"), MessageAttribute("Binary.png", b"\0")],
)
def test_an_attribute_of_the_source_passes_on_with_its_label(attribute: MessageAttribute) -> None:
    """A typed attribute keeps its custom type through a forward."""
    assert decode(encode({"kind": attribute})) == {"kind": attribute}


def test_binary_values_travel_as_base64() -> None:
    """SQS's JSON has BinaryValue in base64, in both directions."""
    raw = {"key": {"DataType": "Binary", "BinaryValue": "AP8="}}
    assert decode(raw) == {"key": MessageAttribute("Binary", b"\x00\xff")}
    assert encode({"key": b"\x00\xff"}) == raw


@pytest.mark.parametrize(
    ("attributes", "error", "words"),
    [
        ({"flag": True}, TypeError, "bool"),
        ({"none": None}, TypeError, "NoneType"),
        ({"list": [1]}, TypeError, "list"),
        ({"empty": ""}, ValueError, "empty"),
        ({"empty": b""}, ValueError, "empty"),
        ({"nan": math.nan}, ValueError, "number"),
        ({"inf": -math.inf}, ValueError, "number"),
        ({"long": 10**38}, ValueError, "number"),
        ({"": "x"}, ValueError, "''"),
        ({"a b": "x"}, ValueError, "a b"),
        ({".a": "x"}, ValueError, ".a"),
        ({"a.": "x"}, ValueError, "a."),
        ({"a..b": "x"}, ValueError, "a..b"),
        ({"AWS.Trace": "x"}, ValueError, "AWS.Trace"),
        ({"Amazon.x": "x"}, ValueError, "Amazon.x"),
        ({"n" * 257: "x"}, ValueError, "nnn"),
        ({f"a{number}": "x" for number in range(11)}, ValueError, "11 message attributes"),
        ({"t": MessageAttribute("Binary", "text")}, TypeError, "does not fit"),
        ({"t": MessageAttribute("String", b"bytes")}, TypeError, "does not fit"),
        ({"t": MessageAttribute("Text", "x")}, TypeError, "does not fit"),
        ({"t": "a\0b"}, ValueError, "'t' has control characters"),
        ({"t": "\uffff"}, ValueError, "'t' has control characters"),
        ({"t": MessageAttribute("Number", "seven")}, ValueError, "'t': SQS takes no such text as a number"),
        ({"t": MessageAttribute(f"String.{'x' * 250}", "x")}, ValueError, "256 bytes"),
    ],
)
def test_what_sqs_would_refuse_is_refused_by_name(
    attributes: dict[str, Any], error: type[Exception], words: str
) -> None:
    """An attribute that SQS takes in no case raises here and names itself, so that no batch fails for it later."""
    with pytest.raises(error, match=words.replace(".", r"\.")):
        encode(attributes)
