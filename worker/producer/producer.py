"""Producer process: `worker.Producer`: one queue, any number of threads, one thread of its own that sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from worker.message import MessageAttribute
from worker.policy.parcel import Parcel
from worker.producer.engine import Engine
from worker.producer.packing import pack, pack_all
from worker.producer.sending import SendError, Sending, SendResult
from worker.producer.target import Target


class Producer:
    """Sends messages to one queue, in batches across calls. Any thread may use it; it is made once and kept.

    `queue` is a URL, an ARN or a name (then looked up by GetQueueUrl). Region, credentials and endpoint are boto3's own
    environment, or `region`, `role_arn` and `endpoint_url`; they are looked at with the first send. `client` and
    `allow_insecure_endpoint` are those of the config file: plain http goes to this machine only.

    A batch goes when it has 10 messages or 1 MiB (limits of SQS), or when its first message has waited `linger`
    seconds. `max_buffer` messages and `max_buffer_bytes` may be handed over and unresolved: a send beyond that waits.

    What fails for a reason that may pass (no connection, 5xx, throttling, credentials, a failed entry that is not the
    sender's fault) is tried again, with a growing and jittered backoff, for `timeout` seconds from its send; a request
    that is then on its way may take 8 s longer. What fails for another reason fails at once.

    Standard queue: a retry after a lost answer may put a message there twice, as SQS itself may. FIFO queue: one
    message of a group is on its way at a time, so that a retry never changes the order within a group; other groups go
    on meanwhile. All tries of a message have the same deduplication id: the caller's; or the hash of its body, if the
    queue has content-based deduplication; or one of our own, if the queue refuses messages without (which is noticed
    once, at the first of them). So a retry never makes two messages of one there. A message that is given up does not
    stop those of its group behind it.

    Futures are resolved in the producer's thread: their callbacks should be short, and a send in one of them never
    waits for room. At exit of the interpreter what is left is sent (not after os._exit or a signal that kills). After
    os.fork() a child sends through connections of its own; what was handed over before is the parent's, and its futures
    fail in the child.

    Inside a handler function wait for the future before you return: to return is to have the message deleted.
    """

    def __init__(
        self,
        queue: str,
        *,
        linger: float = 0.01,
        max_buffer: int = 10_000,
        max_buffer_bytes: int = 64 * 1024 * 1024,
        timeout: float = 60.0,
        region: str | None = None,
        endpoint_url: str | None = None,
        role_arn: str | None = None,
        client: str = "auto",
        allow_insecure_endpoint: bool = False,
    ) -> None:
        target = Target(
            queue=queue,
            linger=linger,
            timeout=timeout,
            max_buffer=max_buffer,
            max_buffer_bytes=max_buffer_bytes,
            region=region or "",
            endpoint_url=endpoint_url or "",
            role_arn=role_arn or "",
            client=client,
            allow_insecure_endpoint=allow_insecure_endpoint,
        )
        self._queue = target.queue
        self._engine = Engine(target)

    def send(
        self,
        body: bytes | str,
        *,
        attributes: Mapping[str, str | bytes | int | float | MessageAttribute] | None = None,
        group_id: str | None = None,
        deduplication_id: str | None = None,
        delay: int | None = None,
    ) -> Future[str]:
        """Send one message soon; the future has its MessageId, or raises SendError.

        Waits while the buffer is full. Raises ValueError for what SQS would never take, and RuntimeError after close().
        A future that is cancelled before its message is in a request cancels the message.
        """
        item = Sending(body, attributes=attributes, group_id=group_id, deduplication_id=deduplication_id, delay=delay)
        return self._admit(pack(item, self._queue))

    def send_many(self, items: Iterable[Sending]) -> SendResult:
        """Send all, in this order, and wait until each is sent or given up.

        Raises ValueError, with nothing sent, if SQS would never take one of them: the text has its index.
        """
        futures = [self._admit(parcel) for parcel in pack_all(items, self._queue)]
        self._engine.hurry()
        result = SendResult([], [])
        for index, future in enumerate(futures):
            try:
                result.successful.append((index, future.result()))
            except SendError as error:
                result.failed.append((index, error.code, error.reason))
        return result

    def flush(self) -> None:
        """Send at once what was handed over so far, and wait until each of it is sent or given up."""
        self._engine.flush()

    def close(self) -> None:
        """Flush, and end. More than once does no harm; a send after it raises RuntimeError."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _admit(self, parcel: Parcel) -> Future[str]:
        future: Future[str] = Future()
        parcel.ticket = future
        self._engine.admit(parcel, wait=True)
        return future
