"""HTTP answers off a connection: cut anywhere they read the same, and what lies is no answer."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.aws import answers
from worker.aws.answers import AnswerReader, BadAnswer, Reply

HEAD = b"HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nx-amzn-RequestId: 1\r\n"


def read(data: bytes, cuts: list[int] | None = None) -> list[Reply]:
    """The answers in these bytes, which come cut at these places."""
    reader, found = AnswerReader(), []
    places = [0, *sorted({min(cut, len(data)) for cut in cuts or []}), len(data)]
    for start, end in itertools.pairwise(places):
        if end > start and (reply := reader.feed(memoryview(data)[start:end])) is not None:
            found.append(reply)
            if not reply.reusable:
                break
    return found


def plain(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(pieces: list[bytes]) -> bytes:
    coded = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n"


CUTS = st.lists(st.integers(0, 600), max_size=12)


@given(st.binary(max_size=300), CUTS, st.booleans())
def test_a_body_is_the_same_however_it_is_cut(body: bytes, cuts: list[int], interim: bool) -> None:
    """With and without a `100 Continue` before it; the headers as well."""
    data = (b"HTTP/1.1 100 Continue\r\n\r\n" if interim else b"") + plain(body)
    (reply,) = read(data, cuts)
    assert (reply.status, reply.body, reply.reusable) == (200, body, True)
    assert reply.headers["date"].endswith("10:00:00 GMT")


@given(st.lists(st.binary(max_size=60), max_size=6), CUTS)
def test_a_chunked_body_is_put_together(pieces: list[bytes], cuts: list[int]) -> None:
    """Whatever the chunks, and however they are cut."""
    (reply,) = read(chunked(pieces), cuts)
    assert (reply.body, reply.reusable) == (b"".join(pieces), True)


def test_every_single_cut_is_harmless() -> None:
    """One after the other, and all of them together."""
    data = plain(b'{"Messages": []}')
    for place in range(1, len(data)):
        assert len(read(data, [place])) == 1
    assert len(read(data, list(range(len(data))))) == 1


@given(st.binary(min_size=1, max_size=100), st.integers(0, 400))
def test_a_part_is_never_an_answer(body: bytes, kept: int) -> None:
    """Whatever is missing at the end, nothing is given out."""
    data = plain(body)
    assert read(data[: min(kept, len(data) - 1)]) == []


def test_answers_follow_each_other_on_a_connection() -> None:
    """Each with its own headers and body."""
    reader = AnswerReader()
    first = reader.feed(b"HTTP/1.1 400 Bad\r\nx-amzn-query-error: A;Sender\r\nContent-Length: 2\r\n\r\n{}")
    second = reader.feed(plain(b"[]"))
    assert first is not None
    assert second is not None
    assert (first.status, first.body, first.headers["x-amzn-query-error"]) == (400, b"{}", "A;Sender")
    assert (second.status, second.body, second.headers.get("x-amzn-query-error")) == (200, b"[]", None)
    assert not reader.begun


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (b"x", b"{}"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"{}"),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", b"{}"),
        (b"HTTP/1.1 101 Other\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", b"{}"),
        (b'"}', b'{"a": "b'),
    ],
    ids=["junk", "another answer", "one without a length", "a change of protocol", "a length that is too small"],
)
def test_what_follows_unasked_costs_the_connection(after: bytes, said: bytes) -> None:
    """The answer is what its length says; a connection that says more is out of step, and takes no other request."""
    (reply,) = read(plain(said) + after)
    assert (reply.body, reply.reusable) == (said, False)


@pytest.mark.parametrize("extra", [b"Connection: close\r\n", b"Connection: Close\r\n"])
def test_a_server_may_ask_to_close(extra: bytes) -> None:
    (reply,) = read(HEAD + extra + b"Content-Length: 2\r\n\r\n{}")
    assert not reply.reusable


@pytest.mark.parametrize(
    "data",
    [
        b"<html>",
        b"\x16\x03\x01",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        HEAD + b"\r\n{}",
        HEAD + b"Connection: close\r\n\r\n{}",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEAD + b"Content-Length: -2\r\n\r\n{}",
        HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
        HEAD + b"Content-Length: 99999999999\r\n\r\n{}",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        HEAD + b"x: a\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        HEAD + b"x: " + b"y" * 100_000,
        HEAD + b"x: y\r\n" * 20_000,
    ],
    ids=lambda data: repr(data[-40:]),
)
def test_what_lies_or_never_ends_is_refused(data: bytes) -> None:
    """No guess is made of where an answer ends; heads and bodies have bounds."""
    with pytest.raises(BadAnswer):
        read(data, list(range(0, len(data), 8192)))


def test_a_body_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks name no length beforehand: they are counted."""
    monkeypatch.setattr(answers, "LONGEST_BODY", 1000)
    assert len(read(chunked([b"x" * 500] * 2))) == 1
    with pytest.raises(BadAnswer, match="more than"):
        read(chunked([b"x" * 500] * 3))


def test_ten_megabytes_are_an_answer() -> None:
    """Ten messages of 1 MiB in one receive."""
    body = b"x" * (10 * 1024 * 1024 + 5000)
    (reply,) = read(plain(body), list(range(0, len(body), 262_144)))
    assert reply.body == body


@given(st.binary(max_size=200), CUTS)
def test_noise_is_refused_or_waited_for(noise: bytes, cuts: list[int]) -> None:
    """Nothing but BadAnswer is ever raised."""
    try:
        found = read(b"HTTP/1.1 " + noise, cuts)
    except BadAnswer:
        return
    assert all(isinstance(reply, Reply) for reply in found)
