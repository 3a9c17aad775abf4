"""Command line: how `worker demo message_status` shows this application."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from worker.testing.demonstration import Demonstration, DemonstrationQueue

_STATUSES = ("SUCCESS", "SUCCESS", "SUCCESS", "FAILURE", "UNKNOWN")
#: Of so many messages one is broken, at most _MOST_BROKEN in all: each takes a few seconds on its retries.
_BROKEN_EVERY = 100
_MOST_BROKEN = 20
#: Of so many messages one arrives in the DLQ, as it would after failures elsewhere.
_DEAD_EVERY = 10


def messages(count: int) -> Iterator[tuple[str, str]]:
    """Delivery statuses of SNS, nearly all of them good; a few are no JSON, or lack a field."""
    for number in range(count):
        queue = "DLQ" if number % _DEAD_EVERY == 7 else "StatusUpdateQueue"
        broken = number // _BROKEN_EVERY < _MOST_BROKEN and number % _BROKEN_EVERY == 50
        yield queue, _broken(number) if broken else json.dumps(_status(number))


def _status(number: int) -> dict[str, str]:
    return {
        "snsMessageId": f"00000000-0000-4000-8000-{number:012}",
        "deliveryStatus": _STATUSES[number % len(_STATUSES)],
        "providerResponse": f"accepted by the carrier, reference {number}",
        "timestamp": f"2025-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000Z",
    }


def _broken(number: int) -> str:
    """By turns a message cut short, and one without its deliveryStatus."""
    whole = _status(number)
    if number // _BROKEN_EVERY % 2:
        return json.dumps(whole)[:-10]
    del whole["deliveryStatus"]
    return json.dumps(whole)


def environment(urls: Mapping[str, str]) -> dict[str, str]:
    """The variables of worker.toml."""
    return {
        "STATUS_UPDATE_QUEUE_URL": urls["StatusUpdateQueue"],
        "DLQ_URL": urls["DLQ"],
        "EVENT_QUEUE_URL": urls["EventQueue"],
    }


DEMONSTRATION = Demonstration(
    about="delivery statuses from StatusUpdateQueue and DLQ become events in EventQueue; a few are broken on purpose",
    queues=(
        # As in production, DLQ is both: the dead-letter queue of the first source, and a source itself.
        DemonstrationQueue(name="StatusUpdateQueue", dead_letter="DLQ"),
        DemonstrationQueue(name="DLQ", dead_letter="DLQ-dlq"),
        DemonstrationQueue(name="EventQueue", source=False),
    ),
    environment=environment,
    messages=messages,
)
