"""Every process: the settings of one pool, frozen and already valid. `worker.config` reads and checks them."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from typing import Any

#: Seconds that a long poll may take longer than its wait before it counts as lost (the receive client's read timeout).
POLL_GRACE = 5.0
#: Seconds that a receive, and a pause after one, may take at most in a run that ends when all queues are empty.
UNTIL_EMPTY_WAIT = 1.0
#: Messages that one handler process may run at once. Its slot, which names them, has 300 KB then.
MOST_RUNNING = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """How long a message is hidden after a retry: full jitter below min(most, first * 2 ** (attempt - 1)) seconds."""

    first: float = 2.0  #: seconds
    most: float = 900.0  #: seconds, at most 43,200
    attempts: int = 0  #: FIFO: attempts before the message is rejected; 0: the queue's maxReceiveCount, or 5 without


@dataclass(frozen=True, slots=True, kw_only=True)
class RecycleSettings:
    """When a handler process is replaced by a spare that is ready; 0: never."""

    max_messages: int = 0
    max_age: float = 0.0  #: seconds
    max_rss: int = 0  #: bytes, found in three looks a second apart


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """How messages gather for a handler function that takes a list of them."""

    size: int = 1  #: messages in one call, at most; 1: the handler function takes one message
    wait: float = 0.5  #: seconds for which the first waits for the others


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudWatchSettings:
    """What a poller tells CloudWatch, and the log, of its deletes."""

    namespace: str = ""  #: empty: no metrics
    period: float = 60.0  #: seconds between two puts
    deleted: str = "MessagesDeleted"  #: names of metrics
    delete_failed: str = "SQSDeleteError"
    not_resolved: str = "SQSGetURLError"
    log_deletes_as: str = ""  #: the action of a log line for each delete; empty: none


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """One `[queues.NAME]` table. Exactly one of url, queue_name and ssm is set."""

    name: str
    handler: str  #: "package.module:function"
    middleware: tuple[str, ...] = ()  #: the same, of functions around the handler function, outermost first
    envelope: str = ""  #: what bodies come in: "sns", "eventbridge", "cloudevents"; empty: nothing
    on_start: str = ""  #: the same, of what each handler process calls before its first message
    on_stop: str = ""  #: and after its last
    url: str = ""
    queue_name: str = ""  #: `name` in the file
    ssm: str = ""  #: an SSM parameter that holds the URL
    when: str = "on"  #: what the file's `when` came to; tables that are left out are none of these
    handlers: int = field(default_factory=lambda: os.cpu_count() or 1)  #: processes
    pollers: int = 1  #: processes; a FIFO queue has one
    threads: int = 1  #: calls of a plain handler function at once, in one handler process
    concurrency: int = 0  #: the same of an async def; 0: not said, so the handler function must be a plain one
    batch: BatchSettings = field(default_factory=BatchSettings)
    spares: int = 1  #: handler processes that are ready and hold nothing
    preload: bool = False  #: a template process imports the application once and forks the handlers (Linux)
    wait: float = 10.0  #: seconds, the long poll, 0 to 20
    pause: float = 0.0  #: seconds between an empty long poll and the next
    max_messages: int = 10  #: per receive, 1 to 10
    visibility_timeout: float = 60.0  #: seconds
    handler_timeout: float = 300.0  #: seconds, then the hung-handler ladder
    dead_letter: str = ""  #: URL or name; empty: as the queue's redrive policy says
    role_arn: str = ""  #: assumed for this queue
    retry: RetrySettings = field(default_factory=RetrySettings)
    recycle: RecycleSettings = field(default_factory=RecycleSettings)
    cloudwatch: CloudWatchSettings = field(default_factory=CloudWatchSettings)
    client: str = "auto"  #: "lean", "boto3", or "auto": lean where it can
    polls: int = 32  #: parallel long polls at most, per poller
    ready_messages: int = 1000  #: the ready line's bound per poller
    ready_bytes: int = 32 * 1024 * 1024  #: the same in body bytes

    @property
    def places(self) -> int:
        """Messages that one handler process may run at once."""
        return max(self.threads, self.concurrency, 1) * self.batch.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A whole config file."""

    name: str
    queues: tuple[QueueSettings, ...]
    config: str = ""  #: path of the file
    drain_timeout: float = 25.0  #: seconds from signal to exit, the whole budget
    control_socket: str = ""  #: path; empty: no control socket
    region: str = ""  #: empty: as boto3 finds it
    endpoint_url: str = ""  #: empty: as boto3 finds it
    allow_insecure_endpoint: bool = False  #: plain http to other machines
    log_level: str = "info"
    left_out: tuple[str, ...] = ()  #: tables of queues whose `when` says no
    until_empty: bool = False  #: the command line's: end when all queues are empty
    paths: tuple[str, ...] = ()  #: folders the application is found in: the config's and the working directory

    def queue(self, name: str) -> QueueSettings:
        """The queue of that table name; KeyError if there is none."""
        for queue in self.queues:
            if queue.name == name:
                return queue
        raise KeyError(name)


def until_empty(settings: Settings) -> Settings:
    """The same pool, for a run that ends when all queues are empty: nobody is to wait for a long poll to say so."""
    queues = (
        replace(queue, wait=min(queue.wait, UNTIL_EMPTY_WAIT), pause=min(queue.pause, UNTIL_EMPTY_WAIT))
        for queue in settings.queues
    )
    return replace(settings, until_empty=True, queues=tuple(queues))


def in_clear(url: str) -> bool:
    """True if requests to this URL can be read on their way: not https, and not to this machine."""
    # Not at the top: handlers never ask, and the two would cost each handler's start 3 ms.
    import ipaddress
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https" or host == "localhost" or host.endswith(".localhost"):
            return False  # RFC 6761: these names are never looked up elsewhere
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def to_json(settings: Settings) -> dict[str, Any]:
    """The settings as they travel to a child process."""
    return asdict(settings)


def from_json(data: dict[str, Any]) -> Settings:
    """The settings as a child process gets them; the parent made them, so they are not checked again."""
    inner = (
        ("retry", RetrySettings),
        ("recycle", RecycleSettings),
        ("batch", BatchSettings),
        ("cloudwatch", CloudWatchSettings),
    )
    queues = tuple(
        QueueSettings(
            **{
                **queue,
                "middleware": tuple(queue["middleware"]),
                **{name: kind(**queue[name]) for name, kind in inner},
            }
        )
        for queue in data["queues"]
    )
    lists = {name: tuple(data[name]) for name in ("paths", "left_out")}
    return Settings(**{**data, "queues": queues, **lists})
