"""Test process: what answers of a channel mean, for a recipient and for the message."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.notifications.answers import Answer, Delivered, Later, Refused, give_up, of_status, seconds_of, verdict
from worker import Reject, Retry

NOW = 1_800_000_000.0
answers = st.sampled_from([Delivered(), Refused("no"), Later("busy"), Later("wait", 5.0), Later("wait", 70.0)])


def meaning(status: int, retry_after: str | None = None) -> Answer:
    return of_status(status, retry_after=retry_after, now=NOW, name="it")


def test_every_status_has_a_meaning() -> None:
    """2xx delivered; 429 and 5xx later; any other 4xx never; a redirect is the operator's affair, so later."""
    for status in range(100, 600):
        expected = Later
        if 200 <= status < 300:
            expected = Delivered
        elif 400 <= status < 500 and status != 429:
            expected = Refused
        assert type(meaning(status)) is expected, status
    assert meaning(404) == Refused("it answered 404")
    assert meaning(503) == Later("it answered 503")
    assert "redirects are not followed" in str(meaning(308))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("999999999999999999999999", 39_600.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        ("Fri, 15 Jan 2027 08:01:30 GMT", 90.0),
        ("Friday, 15-Jan-27 08:01:30 GMT", 90.0),
        ("Fri Jan 15 08:01:30 2027", 90.0),
        (formatdate(NOW + 10_000_000, usegmt=True), 39_600.0),
        (formatdate(NOW - 90, usegmt=True), None),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("\u0661", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    """All three forms of a date; what says nothing, or at once, leaves it to our own backoff; 11 hours at most."""
    assert seconds_of(text, now=NOW) == seconds
    assert meaning(429, text) == Later("it answered 429", seconds)
    assert meaning(503, text) == Later("it answered 503", seconds)


@given(st.text())
def test_no_header_does_anything_else(text: str) -> None:
    """Whatever it says: seconds that SQS can wait, or None."""
    seconds = seconds_of(text, now=NOW)
    assert seconds is None or 0 < seconds <= 39_600


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], False),
        ([Delivered()], False),
        ([Later("x")], False),
        ([Later("x"), Later("x")], False),
        ([Later("x"), Later("y"), Later("x")], True),
        ([Later("x"), Delivered(), Later("x"), Later("x")], False),
        ([Refused("x"), Refused("x"), Refused("x")], False),
        ([Delivered(), Later("x", 5.0)], True),
        ([Later("x", 5.0), Delivered()], False),
    ],
)
def test_it_gives_up_when_told_to_wait_and_when_all_fails(given: list[Answer], expected: bool) -> None:
    """A wait that the service asks for, or three failures in a row; one who refuses stops nobody."""
    assert give_up(given) is expected


def test_all_delivered_is_an_ack() -> None:
    """Also where nobody was left to send to."""
    assert verdict({}, untried=0) is None
    assert verdict({0: Delivered(), 4: Delivered()}, untried=0) is None


def test_one_who_refuses_rejects_the_message_when_all_others_have_it() -> None:
    """With the reason and the place in the message."""
    outcome = verdict({0: Delivered(), 3: Refused("it answered 404"), 1: Delivered()}, untried=0)
    assert isinstance(outcome, Reject)
    assert outcome.reason == "it answered 404 (recipient 3)"


def test_as_long_as_somebody_may_get_it_later_it_is_a_retry() -> None:
    """After the longest wait that was asked for; who refuses is told of at the end."""
    outcome = verdict(
        {5: Later("it answered 503", 7.0), 1: Refused("it answered 404"), 2: Later("it answered 503", 30.0)}, untried=2
    )
    assert isinstance(outcome, Retry)
    assert (outcome.after, outcome.reason) == (30.0, "it answered 503 (recipients 2, 5); 2 not tried")


def test_a_reason_has_an_end() -> None:
    """A hundred recipients are not a hundred numbers in the log."""
    outcome = verdict({place: Refused("no phone") for place in range(100)}, untried=0)
    assert isinstance(outcome, Reject)
    assert outcome.reason == "no phone (recipients 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 90 more)"


@given(st.dictionaries(st.integers(0, 20), answers), st.integers(0, 3))
def test_a_message_is_acked_only_when_all_have_it(given: dict[int, Answer], untried: int) -> None:
    """Rejected only if nobody may get it later; in every other case it comes again."""
    kinds = {type(answer) for answer in given.values()}
    expected = Retry if untried or Later in kinds else Reject if Refused in kinds else type(None)
    assert type(verdict(given, untried=untried)) is expected
