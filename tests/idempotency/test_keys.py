"""Test process: a message has a key, or an error that names it and shows no body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from worker import Message
from worker.idempotency.keys import KeyMissing, check, key_of

Make = Callable[..., Message]


def test_a_key_is_the_id_a_place_in_the_body_or_what_a_function_says(message: Make) -> None:
    """Text or an integer."""
    one = message(b'{"order": {"id": "o-7", "number": 7}}', id="m-1")
    assert key_of(one, None) == "m-1"
    assert key_of(one, "order.id") == "o-7"
    assert key_of(one, "order.number") == "7"
    assert key_of(one, lambda asked: f"{asked.queue}/{asked.id}") == "orders/m-1"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"not json: secret", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "'order' is not there"),
        (b"{}", "'order' is not there"),
        (b'{"order": "secret"}', "'id' is not there"),
        (b'{"order": {"id": null}}', "null"),
        (b'{"order": {"id": ""}}', "empty"),
        (b'{"order": {"id": true}}', "a bool"),
        (b'{"order": {"id": 1.5}}', "a float"),
        (b'{"order": {"id": {"secret": 1}}}', "a dict"),
        (b'{"order": {"id": ["secret"]}}', "a list"),
        (b'{"order": {"id": "' + b"secret" * 200 + b'"}}', "1,024 bytes"),
    ],
)
def test_without_a_key_there_is_an_error_that_names_the_message(message: Make, body: bytes, why: str) -> None:
    """And not the body, in no part of its traceback."""
    with pytest.raises(KeyMissing) as error:
        key_of(message(body, id="m-9"), "order.id")
    assert "message m-9 of queue orders" in str(error.value)
    assert why in str(error.value)
    assert "secret" not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_a_key_function_that_finds_none_is_no_key(message: Make) -> None:
    """Never an unkeyed run."""
    for nothing in (None, "", 0.5, b"bytes"):
        with pytest.raises(KeyMissing):
            key_of(message(), lambda _, nothing=nothing: nothing)


@pytest.mark.parametrize("source", ["", ".", "order..id", ".id", 7, b"order"])
def test_a_source_that_can_find_no_key_is_refused_at_once(source: Any) -> None:
    """When the function is decorated, not at its first message."""
    with pytest.raises((TypeError, ValueError), match="key="):
        check(source)
