"""Command line: where the messages of `worker tune` come from: an embedded SQS for each trial, or a real queue."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from worker.cli import exits
from worker.cli.local_queues import LocalQueue, local_queues, overrides
from worker.settings import QueueSettings, Settings

#: Calls whose answers are delayed.
_ACTIONS = ["ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessageBatch"]

#: Seconds to think again before a real queue's messages are taken.
_HESITATION = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """What leads a pool to its messages."""

    environ: dict[str, str]
    sets: list[str]  #: `--set` texts
    count: int  #: messages that lie there; 0: nobody knows


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSource:
    """A new server with a full queue for each trial, so that no trial finds what another left."""

    queues: Sequence[LocalQueue]
    table: str
    bodies: Sequence[str]
    latency: float

    @contextmanager
    def place(self, count: int) -> Iterator[Place]:
        """Make the queues, send, and only then put the latency between."""
        from worker.aws.provision import NotProvisioned, Provisioner, QueuePlan, Sending
        from worker.cli.embedded import REGION, embedded_sqs, environment

        target = next(queue for queue in self.queues if queue.table == self.table)
        fifo = target.name.endswith(".fifo")
        with embedded_sqs(port=0) as server:
            provisioner = Provisioner(server.url, region=REGION)
            try:
                urls = provisioner.make(QueuePlan(name=one.name, dead_letter=one.dead_letter) for one in self.queues)
                for _ in provisioner.send(
                    urls[target.name],
                    (
                        Sending(body=body, group_id=f"g{place % 64}", deduplication_id=str(place))
                        if fifo
                        else Sending(body=body)
                        for place, body in zip(range(count), itertools.cycle(self.bodies), strict=False)
                    ),
                ):
                    pass
            except NotProvisioned as error:
                raise exits.Quit(exits.UNAVAILABLE, str(error)) from None
            finally:
                provisioner.close()
            server.set_faults({"effect": "delay", "seconds": self.latency, "action": _ACTIONS})
            yield Place(environment(server.url), overrides(self.queues, urls, endpoint=server.url), count)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealSource:
    """A queue of the user's, whose messages are used up."""

    table: str
    url: str

    @contextmanager
    def place(self, count: int) -> Iterator[Place]:
        """Whatever is there."""
        del count
        yield Place(dict(os.environ), [f"queues.{self.table}.url={self.url}"], 0)


@contextmanager
def choose(args: argparse.Namespace, settings: Settings, queue: QueueSettings) -> Iterator[EmbeddedSource | RealSource]:
    """The source that the arguments name."""
    if args.queue_url:
        print(
            f"WARNING: every trial takes messages from {args.queue_url}, handles them for real and deletes them.\n"
            f"Ctrl-C within {_HESITATION:g} s stops this. Messages must keep coming: an empty queue measures nothing.",
            file=sys.stderr,
        )
        time.sleep(_HESITATION)
        yield RealSource(table=queue.name, url=args.queue_url)
        return
    yield EmbeddedSource(
        queues=local_queues(settings), table=queue.name, bodies=bodies(args.messages, args.size), latency=args.latency
    )


def bodies(path: str | None, size: int) -> list[str]:
    """The lines of a file, or made-up JSON of so many bytes. Raises Quit if the file cannot be used."""
    if path is None:
        empty = len(json.dumps({"id": 1000, "padding": ""}))
        return [json.dumps({"id": number, "padding": "x" * max(0, size - empty)}) for number in range(1000, 1100)]
    try:
        lines = [line for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise exits.Quit(exits.USAGE, f"--messages {path}: {reason}") from None
    if not lines:
        raise exits.Quit(exits.USAGE, f"--messages {path}: no line, so no message")
    return lines
