"""Command line: what `worker demo NAME` must know about an application: its queues, environment and messages.

`apps/NAME/demonstration.py` defines `DEMONSTRATION`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DemonstrationQueue:
    """A queue to make before the application runs."""

    name: str
    dead_letter: str = ""  #: its dead-letter queue, made as well
    receives: int = 3  #: maxReceiveCount, if it has a dead-letter queue
    source: bool = True  #: the application takes from it, so it must be empty at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """How an application is shown. Its messages are given by `messages` or sent by `send`, one of the two.

    `prepare`, `send`, `counts` and `faults` are called in the process of `worker demo`, whose os.environ is the pool's
    by then: endpoints, region, credentials that belong to nobody, and the variables of `environment`. Modules that read
    it when they are imported have to be imported inside of these functions. boto3's clients find everything by
    themselves. `worker demo` was installed as `worker[demo]` where `services` is true.
    """

    about: str  #: one sentence
    queues: tuple[DemonstrationQueue, ...]
    #: From queue URLs by name, and DEMO_FOLDER with `scratch`, to the pool's variables.
    environment: Callable[[Mapping[str, str]], Mapping[str, str]]
    messages: Callable[[int], Iterable[tuple[str, str]]] | None = (
        None  #: from their number to (queue name, body) of each
    )
    #: DynamoDB, S3, SNS and all else but SQS are at AWS_ENDPOINT_URL, in moto's server; SQS is the embedded one.
    services: bool = False
    prepare: Callable[[], None] | None = None  #: makes tables, buckets, topics, before anything is sent
    #: Sends so many messages by the application's own service, instead of `messages`; how many it really sent.
    send: Callable[[int], int] | None = None
    counts: Callable[[], Mapping[str, int]] | None = None  #: at the end: what is in the table, the bucket, the file
    #: What is wrong with these counts after so many messages were sent; none: all is well.
    faults: Callable[[int, Mapping[str, int]], Sequence[str]] | None = None
    scratch: bool = False  #: an empty temporary folder is at DEMO_FOLDER

    def __post_init__(self) -> None:
        if (self.messages is None) == (self.send is None):
            raise ValueError("a demonstration has either `messages` or `send`")
