"""Producer process: `worker.AsyncProducer`: the same for one event loop, which never waits for anything but results."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from worker.message import MessageAttribute
from worker.producer.desk import Desk
from worker.producer.engine import Engine
from worker.producer.packing import pack, pack_all
from worker.producer.sending import SendError, Sending, SendResult
from worker.producer.target import Target


class AsyncProducer:
    """As `Producer`, with the same arguments and promises, for one event loop at a time.

    `await send(...)` returns the MessageId once SQS has the message, or raises SendError: send many at once with
    asyncio.gather, a TaskGroup, or `send_many`. While the buffer is full, a send awaits its turn as well; turns are in
    the order of the calls. A send that is cancelled before its message is in a request cancels the message.
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
        self._desk: Desk | None = None

    async def send(
        self,
        body: bytes | str,
        *,
        attributes: Mapping[str, str | bytes | int | float | MessageAttribute] | None = None,
        group_id: str | None = None,
        deduplication_id: str | None = None,
        delay: int | None = None,
    ) -> str:
        """Send one message; its MessageId. Raises SendError, ValueError and RuntimeError as Producer.send does."""
        item = Sending(body, attributes=attributes, group_id=group_id, deduplication_id=deduplication_id, delay=delay)
        return await self._here().take(pack(item, self._queue))

    async def send_many(self, items: Iterable[Sending]) -> SendResult:
        """Send all, in this order; done when each is sent or given up. Raises ValueError with nothing sent."""
        desk = self._here()
        futures = [desk.take(parcel) for parcel in pack_all(items, self._queue)]
        await desk.hurry()
        result = SendResult([], [])
        for index, outcome in enumerate(await asyncio.gather(*futures, return_exceptions=True)):
            if isinstance(outcome, SendError):
                result.failed.append((index, outcome.code, outcome.reason))
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                result.successful.append((index, outcome))
        return result

    async def flush(self) -> None:
        """Send at once what was handed over so far; done when each of it is sent or given up."""
        await self._here().flush()

    async def close(self) -> None:
        """Flush, and end. More than once does no harm; a send after it raises RuntimeError."""
        await self._here().close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _here(self) -> Desk:
        """The desk in the running loop. Raises RuntimeError while another loop has one."""
        loop = asyncio.get_running_loop()
        if self._desk is None or self._desk.loop is not loop:
            if self._desk is not None and not self._desk.loop.is_closed():
                raise RuntimeError("an AsyncProducer is of one event loop at a time, and its first one is not closed")
            self._desk = Desk(self._engine, loop)
        return self._desk
