"""Test process: worker.AsyncProducer against the strict SQS server; see worker/producer/async_producer.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.producer.conftest import FIFO, Queue
from worker.producer.async_producer import AsyncProducer
from worker.producer.sending import SendError, Sending
from worker.testing.sqs_server.process import SqsServerProcess

Faults = Callable[..., None]


def test_a_send_returns_the_message_id(queue: Queue) -> None:
    """Once SQS has the message; body, attributes and delay as Producer.send has them."""

    async def main() -> str:
        async with AsyncProducer(queue.url) as producer:
            return await producer.send("a", attributes={"n": 1}, group_id="g")

    message_id = asyncio.run(main())
    (message,) = queue.messages()
    assert (message["MessageId"], message["Body"]) == (message_id, "a")
    assert message["MessageAttributes"]["n"]["StringValue"] == "1"


def test_sends_at_once_share_batches(queue: Queue) -> None:
    """A thousand tasks, a hundred requests; each task gets its own id."""

    async def main() -> list[str]:
        async with AsyncProducer(queue.url, linger=1.0) as producer:
            return await asyncio.gather(*(producer.send(str(number)) for number in range(1000)))

    assert len(set(asyncio.run(main()))) == 1000
    assert queue.batches() == [10] * 100


def test_the_order_of_the_calls_is_the_order_of_a_group(make_queue: Callable[..., Queue], faults: Faults) -> None:
    """Also of those that came while the client was being made, and while the buffer was full."""
    queue = make_queue(**FIFO)
    faults("fail_entries", share=0.3, probability=0.5)

    async def main() -> None:
        async with AsyncProducer(queue.url, max_buffer=7) as producer:
            await asyncio.gather(*(producer.send(str(number), group_id="g") for number in range(40)))

    asyncio.run(main())
    assert queue.bodies() == [str(number) for number in range(40)]


def test_the_loop_goes_on_while_the_buffer_is_full(queue: Queue, faults: Faults, sqs_server: SqsServerProcess) -> None:
    """Messages and bytes: only the sends wait."""
    faults("throttle")

    async def main(**bounds: int) -> None:
        async with AsyncProducer(queue.url, **bounds) as producer:
            sends = [asyncio.ensure_future(producer.send("x" * 1000)) for _ in range(20)]
            for _ in range(100):
                await asyncio.sleep(0)
            assert not any(send.done() for send in sends)
            sqs_server.clear_faults()
            assert len(set(await asyncio.gather(*sends))) == 20

    asyncio.run(main(max_buffer=3))
    faults("throttle")
    asyncio.run(main(max_buffer_bytes=2500))
    assert queue.depth() == 40


def test_send_many_tells_of_each(make_queue: Callable[..., Queue]) -> None:
    """By its index; a queue that takes less than SQS does refuses some."""
    queue = make_queue(MaximumMessageSize="1024")

    async def main() -> None:
        async with AsyncProducer(queue.url) as producer:
            result = await producer.send_many([Sending("a"), Sending("x" * 2000), Sending("c")])
            assert [index for index, _ in result.successful] == [0, 2]
            assert [(index, code) for index, code, _ in result.failed] == [(1, "InvalidParameterValue")]
            with pytest.raises(ValueError, match=r"item 1: .*0 bytes"):
                await producer.send_many([Sending("d"), Sending("")])

    asyncio.run(main())
    assert sorted(queue.bodies()) == ["a", "c"]


def test_a_cancelled_send_is_not_sent(queue: Queue) -> None:
    """While it lingers or waits for room; its room is free again."""

    async def main() -> None:
        async with AsyncProducer(queue.url, linger=30.0, max_buffer=2) as producer:
            first = asyncio.ensure_future(producer.send("kept"))
            lingers, waits = (asyncio.ensure_future(producer.send(body)) for body in ("lingers", "waits"))
            await asyncio.sleep(0)
            lingers.cancel()
            waits.cancel()
            await asyncio.wait([lingers, waits])
            await producer.flush()
            assert await first
            more = [asyncio.ensure_future(producer.send(body)) for body in "bc"]
            await asyncio.sleep(0)
            await producer.flush()
            assert all(send.done() for send in more)

    asyncio.run(main())
    assert sorted(queue.bodies()) == ["b", "c", "kept"]


def test_a_close_ends_though_all_tasks_were_cancelled(queue: Queue) -> None:
    """As some programs do it when they shut down: also the one in which the client is being made."""

    async def main() -> None:
        producer = AsyncProducer(queue.url)
        sending = asyncio.create_task(producer.send("cancelled"))
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        assert isinstance((await asyncio.gather(sending, return_exceptions=True))[0], asyncio.CancelledError)
        await asyncio.wait_for(producer.close(), 20)

    asyncio.run(main())
    assert queue.bodies() == []


def test_a_flush_waits_for_what_was_there(queue: Queue, faults: Faults, sqs_server: SqsServerProcess) -> None:
    """Not for what comes later; a cancelled send in front, while the buffer is full, holds up nobody."""
    faults("throttle")

    async def main() -> None:
        async with AsyncProducer(queue.url, linger=50.0, max_buffer=1) as producer:
            sends = [asyncio.ensure_future(producer.send(body)) for body in "abcd"]
            await asyncio.sleep(0)
            sends[3].cancel()
            flush = asyncio.ensure_future(producer.flush())
            impatient = asyncio.ensure_future(producer.flush())
            await asyncio.sleep(0)
            impatient.cancel()
            late = asyncio.ensure_future(producer.send("late"))
            sqs_server.clear_faults()
            await flush
            assert all(send.done() for send in sends)
            await producer.flush()
            assert late.done()

    asyncio.run(main())
    assert sorted(queue.bodies()) == ["a", "b", "c", "late"]


def test_errors_reach_who_awaits(queue: Queue, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQS's, bad input, settings that make no client, and use after close."""

    async def main() -> None:
        faults("throttle")
        producer = AsyncProducer(queue.url, timeout=0.2)
        with pytest.raises(SendError, match="RequestThrottled"):
            await producer.send("a")
        with pytest.raises(ValueError, match="0 bytes"):
            await producer.send("")
        await producer.close()
        await producer.close()
        with pytest.raises(RuntimeError, match="is closed"):
            await producer.send("b")
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        nowhere = AsyncProducer("orders")
        sends = (nowhere.send(body) for body in "ab")
        errors = await asyncio.gather(*sends, return_exceptions=True)
        assert ["region" in str(error) for error in errors] == [True, True]
        await nowhere.close()

    asyncio.run(main())


def test_close_sends_what_waits_for_room(queue: Queue) -> None:
    """Also what was not handed over yet."""

    async def main() -> None:
        producer = AsyncProducer(queue.url, max_buffer=2)
        sends = [asyncio.ensure_future(producer.send(str(number))) for number in range(50)]
        await asyncio.sleep(0)
        await producer.close()
        assert all(send.done() for send in sends)

    asyncio.run(main())
    assert queue.depth() == 50


def test_one_loop_after_the_other(queue: Queue) -> None:
    """A producer of a module outlives its first loop, as under a test runner; two loops at once are refused."""
    producer = AsyncProducer(queue.url)

    async def send(body: str) -> str:
        return await producer.send(body)

    async def other() -> None:
        await producer.send("c")
        with pytest.raises(RuntimeError, match="one event loop at a time"):
            await asyncio.to_thread(asyncio.run, send("d"))
        await producer.close()

    assert asyncio.run(send("a")) != asyncio.run(send("b"))
    asyncio.run(other())
    assert sorted(queue.bodies()) == ["a", "b", "c"]
