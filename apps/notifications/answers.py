"""Handler process: what the answers of a channel mean for one recipient, and together for the message; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from worker import Reject, Retry

#: So many failures in a row, and the rest of the message is not tried now: it is the service, not the recipients.
_HOPELESS = 3
#: Seconds that a message is kept away at most, whatever a service asks: SQS takes 12 hours from the receive.
_LONGEST = 39_600.0
#: Recipients that a reason names by their places; a line of the log has an end.
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Delivered:
    """The recipient has it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """This recipient will never get it, however often it is tried."""

    why: str


@dataclass(frozen=True, slots=True)
class Later:
    """Not now. `after`: seconds, if the service said so."""

    why: str
    after: float | None = None


Answer = Delivered | Refused | Later


def of_status(status: int, *, retry_after: str | None, now: float, name: str) -> Answer:
    """What an HTTP status says; `now` in seconds since 1970, `name` as the reason has it.

    2xx delivered; 429 and 5xx later; any other 4xx refused. A redirect is later too: it is not followed, since the
    token would go along, and it is the URL that has to be changed, not the message.
    """
    why = f"{name} answered {status}"
    if 200 <= status < 300:
        return Delivered()
    if status == 429 or status >= 500:
        return Later(why, after=seconds_of(retry_after, now=now))
    if 400 <= status < 500:
        return Refused(why)
    return Later(f"{why}: redirects are not followed, so its URL has to be changed")


def seconds_of(retry_after: str | None, *, now: float) -> float | None:
    """A Retry-After header in seconds from `now`: a number of them, or a date; None if it says nothing of use.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        seconds = float(text[:10])
    else:
        try:
            date = parsedate_to_datetime(text)
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, OverflowError):
            return None
    # At once would only use up the receives that the queue allows: our own backoff is better.
    return min(seconds, _LONGEST) if seconds > 0 else None


def give_up(answers: Sequence[Answer]) -> bool:
    """True if the rest of the message should not be tried now: it was told to wait, or all fails."""
    last = answers[-_HOPELESS:]
    told = isinstance(answers[-1], Later) and answers[-1].after is not None if answers else False
    return told or (len(last) == _HOPELESS and all(isinstance(answer, Later) for answer in last))


def verdict(answers: Mapping[int, Answer], *, untried: int) -> Retry | Reject | None:
    """The message's outcome, from the answer of each recipient (by its place) and the number of those not tried.

    As long as there is someone who may get it later it is a retry. Only then those who never will reject it.
    """
    later = {place: answer for place, answer in answers.items() if isinstance(answer, Later)}
    refused = {place: answer for place, answer in answers.items() if isinstance(answer, Refused)}
    if later or untried:
        reason = f"{_told(later)}; {untried} not tried" if untried else _told(later)
        return Retry(max((answer.after for answer in later.values() if answer.after), default=None), reason)
    return Reject(_told(refused)) if refused else None


def _told(answers: Mapping[int, Refused | Later]) -> str:
    """The reasons, each with the places of its recipients; never their ids, which may be addresses."""
    places: dict[str, list[int]] = {}
    for place, answer in sorted(answers.items()):
        places.setdefault(answer.why, []).append(place)
    return "; ".join(f"{why} ({_named(found)})" for why, found in places.items())


def _named(places: Sequence[int]) -> str:
    shown = ", ".join(map(str, places[:_MOST_NAMED]))
    more = f" and {len(places) - _MOST_NAMED} more" if len(places) > _MOST_NAMED else ""
    return f"recipient{'s' if len(places) > 1 else ''} {shown}{more}"
