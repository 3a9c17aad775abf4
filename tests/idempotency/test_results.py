"""Test process: what a function returned comes back equal, or is refused before anybody relies on it."""

from __future__ import annotations

from typing import Any

import pytest

from worker import Forward, MessageAttribute, Reject, Retry
from worker.idempotency.results import ResultNotStorable, decode, encode, is_end


async def coroutine() -> None:
    return


@pytest.mark.parametrize(
    "result",
    [
        None,
        0,
        False,
        "",
        "text",
        [1, {"a": None}],
        {"forward": "is a name like any other"},
        Forward(queue="next", body="text"),
        Forward(queue="next", body=b"\xff\x00 bytes"),
        Forward(
            queue="next.fifo",
            body="b",
            attributes={
                "s": "text",
                "b": b"\x00",
                "i": 7,
                "f": 0.5,
                "m": MessageAttribute("String.json", "{}"),
                "n": MessageAttribute("Binary.gzip", b"\x1f"),
            },
            group_id="g",
            deduplication_id="d",
        ),
        Forward(queue="later", body="b", delay=900),
    ],
)
def test_a_result_comes_back_as_it_was(result: Any) -> None:
    """A Forward too, since the first one's may not have been sent."""
    assert decode(encode(result)) == result
    assert is_end(result)


@pytest.mark.parametrize("result", [object(), b"bytes", {1, 2}, "x" * 300_001, Forward(queue="q", body="x" * 300_001)])
def test_a_result_that_cannot_be_kept_is_refused(result: Any) -> None:
    """By its type, without its content."""
    with pytest.raises(ResultNotStorable, match=type(result).__name__) as error:
        encode(result)
    assert len(str(error.value)) < 300


def test_what_is_no_end_is_not_marked() -> None:
    """A retry, a reject (whoever redrives it wants it to run), and what says nothing."""
    started = coroutine()
    for result in (Retry(), Reject("no"), Retry, Reject, Forward, started, (one for one in ())):
        assert not is_end(result)
    started.close()
