"""Command line: what the keys of a config must be to each other. Pure: settings in, complaints out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from worker.config.queue_keys import LONGEST_VISIBILITY
from worker.config.values import number
from worker.settings import MOST_RUNNING, POLL_GRACE, QueueSettings, RecycleSettings, Settings, in_clear

#: A drain waits for pending long polls, then releases what they brought (docs: the order of stopping).
_DRAIN_RESERVE = 7.0
#: A receive can take wait + POLL_GRACE; half of that again is left for the first beat.
_LEASE_FACTOR = 1.5


class Complaint(NamedTuple):
    """`keys` are all that take part; the first one is the one to change."""

    keys: tuple[str, ...]
    text: str


def check_queue(queue: QueueSettings, *, drain_timeout: float) -> Iterator[Complaint]:
    """Complaints about one `[queues.NAME]` table whose single values are fine."""
    if queue.wait + _DRAIN_RESERVE > drain_timeout:
        shortest, longest = number(queue.wait + _DRAIN_RESERVE), number(max(0, drain_timeout - _DRAIN_RESERVE))
        yield Complaint(
            ("wait", "poll_interval", "drain_timeout"),
            f"a long poll of {number(queue.wait)} s does not end within the drain: set drain_timeout in [worker] to "
            f"{shortest} or more (now {number(drain_timeout)}), or wait to {longest} or less",
        )
    least = math.ceil(_LEASE_FACTOR * (queue.wait + POLL_GRACE))
    if queue.visibility_timeout < least:
        yield Complaint(
            ("visibility_timeout", "wait", "poll_interval"),
            f"must be at least {least} with wait = {number(queue.wait)} (1.5 x (wait + 5 s): a message must not come "
            f"back before its first heartbeat), got {number(queue.visibility_timeout)}",
        )
    if queue.pollers > queue.handlers:
        yield Complaint(
            ("pollers", "handlers"),
            f"{queue.pollers} pollers need as many handlers, since each handler belongs to one; handlers is "
            f"{queue.handlers}",
        )
    if queue.max_messages > queue.ready_messages:
        yield Complaint(
            ("ready_messages", "max_messages"),
            f"must be at least {queue.max_messages}, what one receive may bring (max_messages)",
        )
    if queue.retry.first > queue.retry.most:
        yield Complaint(
            ("retry",),
            f"first ({number(queue.retry.first)}) must not be more than most ({number(queue.retry.most)}); both are "
            f"{number(LONGEST_VISIBILITY)} at most",
        )
    if queue.recycle != RecycleSettings() and not queue.spares:
        yield Complaint(("spares", "recycle"), "recycle needs a spare that is ready first: set spares to 1 or more")
    yield from _check_places(queue)
    yield from _check_fifo(queue)


def _check_places(queue: QueueSettings) -> Iterator[Complaint]:
    if queue.threads > 1 and queue.concurrency:
        yield Complaint(
            ("threads", "concurrency"),
            "threads are for plain handler functions and concurrency is for async def ones: keep one of the two",
        )
    elif queue.places > MOST_RUNNING:
        calls = max(queue.threads, queue.concurrency)
        yield Complaint(
            ("batch", "concurrency", "threads"),
            f"{calls:,} calls of {queue.batch.size:,} messages are more than the {MOST_RUNNING:,} that one handler "
            f"process may run at once",
        )


def _check_fifo(queue: QueueSettings) -> Iterator[Complaint]:
    if not (queue.url or queue.queue_name):
        return  # what an SSM parameter holds is known at start only
    fifo = is_fifo(queue)
    if fifo and queue.pollers > 1:
        yield Complaint(("pollers", "url", "name"), "a FIFO queue has one poller, which keeps its groups in order")
    if queue.dead_letter and queue.dead_letter.endswith(".fifo") != fifo:
        kind = "FIFO queue is a FIFO queue (its name ends in .fifo)" if fifo else "standard queue is a standard queue"
        yield Complaint(("dead_letter", "url", "name"), f"the dead-letter queue of a {kind}")


def check_endpoints(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[str, Complaint]]:
    """Complaints about URLs that are not https, with the table each belongs to ("" is `[worker]`)."""
    if settings.allow_insecure_endpoint:
        return
    remedy = "use https, or allow it with allow_insecure_endpoint = true in [worker]"
    if settings.endpoint_url and in_clear(settings.endpoint_url):
        yield "", Complaint(("endpoint_url",), f"plain http to another machine: {remedy}")
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true" and not settings.endpoint_url:
        for name in ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"):
            if environ.get(name) and in_clear(environ[name]):
                text = f"the environment variable {name} is plain http to another machine: {remedy}"
                yield "", Complaint(("endpoint_url",), text)
    for queue in settings.queues:
        if queue.url and in_clear(queue.url):
            yield queue.name, Complaint(("url",), f"plain http to another machine: {remedy}")
        if "/" in queue.dead_letter and in_clear(queue.dead_letter):
            yield queue.name, Complaint(("dead_letter",), f"plain http to another machine: {remedy}")


def is_fifo(queue: QueueSettings) -> bool:
    """True if the queue's URL or name says so; one behind an SSM parameter says it at start."""
    return (queue.url or queue.queue_name).endswith(".fifo")
