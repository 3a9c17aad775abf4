"""Command line: the queues of a config as `worker dev` makes them, and the keys that lead the pool to them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.config.shapes import name_from_url
from worker.settings import QueueSettings, Settings

#: The longest name of a queue in SQS, `.fifo` included.
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class LocalQueue:
    """A queue to make for one `[queues.*]` table."""

    table: str
    name: str
    dead_letter: str
    named_dead_letter: bool  #: the config names it; else only the redrive policy does


def local_queues(settings: Settings) -> list[LocalQueue]:
    """One for each table: named by the last part of the URL, the name, or the last part of the SSM parameter's."""
    return [_local(queue) for queue in settings.queues]


def overrides(queues: Sequence[LocalQueue], urls: Mapping[str, str], *, endpoint: str) -> list[str]:
    """`--set` texts that put the local queues in place of the config's; roles are of no use here and dropped."""
    sets = [f"worker.endpoint_url={endpoint}"]
    for queue in queues:
        sets += [f"queues.{queue.table}.url={urls[queue.name]}", f"queues.{queue.table}.role_arn="]
        if queue.named_dead_letter:
            sets.append(f"queues.{queue.table}.dead_letter={urls[queue.dead_letter]}")
    return sets


def dead_letter_name(name: str) -> str:
    """`orders-dlq` for `orders`, `orders-dlq.fifo` for `orders.fifo`, no longer than a queue's name may be."""
    suffix = "-dlq.fifo" if name.endswith(".fifo") else "-dlq"
    return name.removesuffix(".fifo")[: _LONGEST_NAME - len(suffix)] + suffix


def _local(queue: QueueSettings) -> LocalQueue:
    name = queue.queue_name or name_from_url(queue.url or queue.ssm)
    named = queue.dead_letter
    if named.startswith("arn:"):
        named = named.rpartition(":")[2]
    return LocalQueue(queue.name, name, name_from_url(named) or dead_letter_name(name), bool(named))
