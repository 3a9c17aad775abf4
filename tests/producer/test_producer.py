"""Test process: worker.Producer against the strict SQS server; see worker/producer/producer.py."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from tests.conftest import eventually
from tests.producer.conftest import FIFO, Queue
from worker.message import MessageAttribute
from worker.outgoing import encode, size
from worker.producer.producer import Producer
from worker.producer.sender import Sender
from worker.producer.sending import SendError, Sending, SendResult
from worker.testing.sqs_server.process import SqsServerProcess

MakeProducer = Callable[..., Producer]
Faults = Callable[..., None]
MIB = 1024 * 1024


@pytest.fixture(params=["lean", "boto3"])
def client(request: pytest.FixtureRequest) -> str:
    """Each client in turn."""
    return str(request.param)


class TestSending:
    """What was handed over is in the queue, once."""

    def test_a_message_arrives_as_it_was_sent(self, queue: Queue, producers: MakeProducer, client: str) -> None:
        """Body, attributes of all types, group; the future has its MessageId."""
        attributes = {"n": 7, "f": 0.5, "t": "é", "b": b"\0\xff", "j": MessageAttribute("String.json", "{}")}
        producer = producers(queue.url, client=client)
        message_id = producer.send("héllo", attributes=attributes, group_id="tenant-1").result(10)
        (message,) = queue.messages()
        assert (message["MessageId"], message["Body"]) == (message_id, "héllo")
        assert message["Attributes"]["MessageGroupId"] == "tenant-1"
        values = {
            name: (one["DataType"], one.get("StringValue", one.get("BinaryValue")))
            for name, one in message["MessageAttributes"].items()
        }
        assert values == {
            "n": ("Number", "7"),
            "f": ("Number", "0.5"),
            "t": ("String", "é"),
            "b": ("Binary", b"\0\xff"),
            "j": ("String.json", "{}"),
        }

    def test_a_queue_is_found_by_name_and_arn(self, queue: Queue, producers: MakeProducer, client: str) -> None:
        """GetQueueUrl is asked for both."""
        by_name = producers(queue.name, client=client)
        by_arn = producers(f"arn:aws:sqs:us-east-1:000000000000:{queue.name}", client=client)
        assert {by_name.send("a").result(10), by_arn.send("b").result(10)}
        assert sorted(queue.bodies()) == ["a", "b"]

    def test_calls_share_batches(self, queue: Queue, producers: MakeProducer) -> None:
        """Ten go together, whoever sent them; the rest waits for more until it lingered, or is flushed."""
        producer = producers(queue.url, linger=30.0)
        futures = [producer.send(str(number)) for number in range(25)]
        eventually(lambda: sum(future.done() for future in futures) == 20)
        producer.flush()
        assert all(future.done() for future in futures)
        assert sorted(queue.batches()) == [5, 10, 10]

    def test_what_lingered_goes_alone(self, queue: Queue, producers: MakeProducer) -> None:
        """Nobody has to flush."""
        assert producers(queue.url, linger=0.05).send("a").result(10)

    def test_a_batch_has_at_most_one_mebibyte(self, queue: Queue, producers: MakeProducer) -> None:
        """Bodies and attributes together: SQS would refuse the whole request."""
        producer = producers(queue.url, linger=0.2)
        half = "x" * (MIB // 2 - 17)
        futures = [producer.send(half, attributes={"ten-letter": b"x"}) for _ in range(4)]  # 17 bytes of attribute
        futures += [producer.send("y" * MIB), producer.send("z")]
        assert all(future.result(20) for future in futures)
        assert sorted(queue.batches()) in ([1, 1, 2, 2], [1, 1, 1, 1, 2])

    @pytest.mark.parametrize("value", [7, "é", b"\0", b"\0\0", b"\0\0\0", MessageAttribute("String.label", "x")])
    def test_the_largest_message_is_taken(self, queue: Queue, producers: MakeProducer, value: Any) -> None:
        """Sizes are counted as SQS counts them: one byte more is refused here, and would be there."""
        attributes = {"name": value}
        largest = MIB - size(b"", encode(attributes))
        assert producers(queue.url).send("x" * largest, attributes=attributes).result(20)
        with pytest.raises(ValueError, match=f"{MIB + 1} bytes together"):
            producers(queue.url).send("x" * (largest + 1), attributes=attributes)
        with pytest.raises(ClientError, match=r"must be shorter than|cannot be longer than"):
            queue.send_by_boto3("x" * (largest + 1), encode(attributes))

    def test_a_delayed_message_is_hidden(self, queue: Queue, producers: MakeProducer) -> None:
        """By SQS, for as long as it was asked."""
        producers(queue.url).send("later", delay=900).result(10)
        assert queue.depth() == 1
        assert queue.bodies() == []

    def test_many_threads_share_one_producer(self, queue: Queue, producers: MakeProducer) -> None:
        """Each message once, each future with an id of its own."""
        producer = producers(queue.url, max_buffer=100)
        with ThreadPoolExecutor(8) as pool:
            futures = list(pool.map(lambda number: producer.send(str(number)), range(2000)))
        assert len({future.result(20) for future in futures}) == 2000
        assert sorted(queue.bodies(), key=int) == [str(number) for number in range(2000)]

    def test_send_many_tells_of_each(self, make_queue: Callable[..., Queue], producers: MakeProducer) -> None:
        """By its index; a queue that takes less than SQS does refuses some."""
        queue = make_queue(MaximumMessageSize="1024")
        items = [Sending(b"x" * (2000 if number in (3, 11) else 10)) for number in range(15)]
        result = producers(queue.url).send_many(items)
        assert [index for index, _ in result.successful] == [one for one in range(15) if one not in (3, 11)]
        assert [(index, code) for index, code, _ in result.failed] == [
            (3, "InvalidParameterValue"),
            (11, "InvalidParameterValue"),
        ]
        assert "1024 bytes" in result.failed[0][2]
        assert len(queue.bodies()) == 13

    def test_send_many_does_not_linger(self, queue: Queue, producers: MakeProducer) -> None:
        """Nobody is about to add to its last batch."""
        assert producers(queue.url, linger=50.0).send_many([Sending("a"), Sending("b")]).failed == []

    def test_nothing_to_send_is_no_request(self, queue: Queue, producers: MakeProducer) -> None:
        """And no client is made."""
        assert producers(queue.url).send_many([]) == SendResult([], [])


class TestFailures:
    """Tried again while it may help; then the future says why."""

    @pytest.mark.parametrize(
        ("effect", "fields"),
        [
            ("throttle", {}),
            ("unavailable", {}),
            ("html", {}),
            ("error", {"shape": "InternalFailure", "status": 500}),
            ("drop", {"when": "before", "how": "reset"}),
            ("drop", {"when": "before", "how": "close"}),
            ("fail_entries", {"positions": [0, 2]}),
            ("omit_entries", {"positions": [0]}),
        ],
    )
    def test_what_may_pass_is_tried_again(
        self,
        queue: Queue,
        producers: MakeProducer,
        faults: Faults,
        sqs_server: SqsServerProcess,
        client: str,
        effect: str,
        fields: Mapping[str, Any],
    ) -> None:
        """Throttling, 5xx, a proxy's page, lost connections, entries that fail alone: each message is there once."""
        faults(effect, count=3, **fields)
        producer = producers(queue.url, client=client)
        futures = [producer.send(str(number)) for number in range(10)]
        assert len({future.result(20) for future in futures}) == 10
        assert sorted(queue.bodies()) == [str(number) for number in range(10)]
        assert [rule["used"] for rule in sqs_server.clear_faults()] == [3]

    def test_a_lost_answer_may_send_twice(self, queue: Queue, producers: MakeProducer, faults: Faults) -> None:
        """On a standard queue: SQS has taken it, and nobody knows; the future has the id of one of them."""
        faults("drop", when="after", count=1)
        message_id = producers(queue.url).send("a").result(10)
        messages = queue.messages()
        assert [message["Body"] for message in messages] == ["a", "a"]
        assert message_id in {message["MessageId"] for message in messages}

    def test_the_time_to_try_is_bounded(self, queue: Queue, producers: MakeProducer, faults: Faults) -> None:
        """Then the error names the queue, what SQS said, and whether SQS may have it."""
        faults("unavailable")
        with pytest.raises(SendError, match=f"{queue.name}: not sent: 503: Service Unavailable") as caught:
            producers(queue.url, timeout=0.3).send("a").result(10)
        assert (caught.value.queue, caught.value.code) == (queue.url, "503")
        assert caught.value.maybe_sent

    def test_what_never_passes_fails_at_once(
        self, queue: Queue, producers: MakeProducer, faults: Faults, caplog: pytest.LogCaptureFixture
    ) -> None:
        """SQS says that it is the sender's fault: only that entry fails, and the log says so, without the body."""
        faults("fail_entries", positions=[1], code="InvalidMessageContents", message="bad", sender_fault=True, count=1)
        result = producers(queue.url).send_many([Sending("a"), Sending("secret-body"), Sending("c")])
        assert result.failed == [(1, "InvalidMessageContents", "bad")]
        assert sorted(queue.bodies()) == ["a", "c"]
        assert "1 messages given up: InvalidMessageContents: bad" in caplog.text
        assert "secret-body" not in caplog.text

    @pytest.mark.usefixtures("sqs_endpoint")
    def test_a_queue_that_is_not_there_fails_at_once(self, producers: MakeProducer) -> None:
        """The error names it; waiting would not make it."""
        with pytest.raises(SendError, match=r"no-such-queue: not sent: .*NonExistentQueue"):
            producers("no-such-queue").send("a").result(10)

    @pytest.mark.usefixtures("sqs_endpoint")
    def test_nobody_answers(self, producers: MakeProducer, monkeypatch: pytest.MonkeyPatch) -> None:
        """A port that is closed: the future fails in its time, and SQS cannot have the message."""
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
        with pytest.raises(SendError, match="EndpointConnectionError") as caught:
            producers("orders", timeout=0.3).send("a").result(10)
        assert not caught.value.maybe_sent

    @pytest.mark.usefixtures("sqs_endpoint")
    def test_settings_that_make_no_client_raise_at_once(
        self, producers: MakeProducer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No region; an endpoint in clear that does not look like this machine's, as this way to write 127.0.0.1."""
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.1:9")
        with pytest.raises(SendError, match="plain http to another machine"):
            producers("orders").send("a")
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        with pytest.raises(SendError, match="region"):
            producers("orders").send("a")
        with pytest.raises(SendError, match=r"EndpointConnectionError|ConnectTimeoutError"):
            producers("orders", region="eu-west-1", allow_insecure_endpoint=True, timeout=0.1).send("a").result(20)

    def test_a_given_endpoint_outranks_the_environments(
        self, queue: Queue, producers: MakeProducer, client: str, monkeypatch: pytest.MonkeyPatch, sqs_endpoint: str
    ) -> None:
        """For programs with a variable of their own for it; in clear it leads to this machine only."""
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
        assert producers(queue.url, client=client, endpoint_url=sqs_endpoint).send("a").result(10)
        assert queue.bodies() == ["a"]
        with pytest.raises(SendError, match="plain http to another machine"):
            producers(queue.url, client=client, endpoint_url="http://sqs.example.com").send("a")

    def test_a_thread_that_fails_tells_all_who_wait(
        self, queue: Queue, producers: MakeProducer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A bug of ours leaves no future without an answer, and the next send starts another thread."""
        producer = producers(queue.url, linger=0.2)
        with monkeypatch.context() as patched:
            patched.setattr(Sender, "_judge", lambda *_: 1 / 0)
            future = producer.send("a")
            with pytest.raises(SendError, match="thread failed: ZeroDivisionError"):
                future.result(10)
            producer.flush()
        assert producer.send("b").result(10)
        assert sorted(queue.bodies()) == ["a", "b"]


class TestRole:
    """`role_arn` is assumed for the producer's calls."""

    def test_the_role_is_assumed(
        self, queue: Queue, producers: MakeProducer, monkeypatch: pytest.MonkeyPatch, client: str
    ) -> None:
        """With an STS that answers messages go; with none the future fails, and says for want of what."""
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        role = "arn:aws:iam::123456789012:role/sender"
        try:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://{host}:{port}")
            assert producers(queue.url, role_arn=role, client=client).send("a").result(20)
        finally:
            server.stop()
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
        with pytest.raises(SendError, match=r"Could not connect to the endpoint URL: .http://127\.0\.0\.1:9"):
            producers(queue.url, role_arn=role, client=client, timeout=0.5).send("b").result(20)
        assert queue.bodies() == ["a"]


class TestFifo:
    """Order within a group, and no second message by a retry."""

    @pytest.mark.timeout(120)
    def test_faults_neither_change_the_order_nor_send_twice(
        self, fifo: Queue, producers: MakeProducer, faults: Faults, sqs_server: SqsServerProcess
    ) -> None:
        """Entries that fail, throttling, connections cut before and after SQS took a batch."""
        faults("fail_entries", share=0.2, probability=0.3)
        faults("fail_entries", share=0.2, probability=0.2, applied=True)
        faults("throttle", probability=0.1)
        faults("drop", probability=0.1, when="before")
        faults("drop", probability=0.1, when="after")
        producer = producers(fifo.url)
        futures = [producer.send(f"{number % 20}-{number // 20}", group_id=str(number % 20)) for number in range(400)]
        assert len({future.result(60) for future in futures}) == 400
        assert all(rule["used"] for rule in sqs_server.clear_faults())
        groups: dict[str, list[int]] = {}
        for body in fifo.bodies():
            group, _, number = body.partition("-")
            groups.setdefault(group, []).append(int(number))
        assert groups == {str(group): list(range(20)) for group in range(20)}

    def test_equal_bodies_are_messages_of_their_own(self, fifo: Queue, producers: MakeProducer, client: str) -> None:
        """The queue wants deduplication ids, and gets one for each send."""
        producer = producers(fifo.url, client=client)
        ids = {producer.send("same", group_id=f"g{number % 2}").result(10) for number in range(4)}
        assert len(ids) == 4
        assert fifo.bodies() == ["same"] * 4

    def test_content_based_deduplication_keeps_its_meaning(
        self, make_queue: Callable[..., Queue], producers: MakeProducer
    ) -> None:
        """Equal bodies are one message there: the producer gives no ids of its own."""
        queue = make_queue(**FIFO, ContentBasedDeduplication="true")
        producer = producers(queue.url)
        assert producer.send("same", group_id="g").result(10) == producer.send("same", group_id="g").result(10)
        assert queue.bodies() == ["same"]

    def test_a_callers_id_deduplicates(self, fifo: Queue, producers: MakeProducer) -> None:
        """Across producers: the second send is the same message."""
        first, second = producers(fifo.url), producers(fifo.url)
        ids = {one.send("a", group_id="g", deduplication_id="d").result(10) for one in (first, second)}
        assert len(ids) == 1
        assert fifo.bodies() == ["a"]

    def test_one_bad_entry_fails_alone(self, make_queue: Callable[..., Queue], producers: MakeProducer) -> None:
        """SQS refuses the whole batch for it; the others are sent all the same."""
        queue = make_queue(**FIFO, ContentBasedDeduplication="true", MaximumMessageSize="1024")
        items = [Sending(b"x" * (2000 if number == 4 else 10 + number), group_id=f"g{number}") for number in range(10)]
        result = producers(queue.url).send_many(items)
        assert [(index, code) for index, code, _ in result.failed] == [(4, "InvalidParameterValue")]
        assert len(queue.bodies()) == 9


class TestBuffer:
    """Bounded: a send waits while it is full."""

    @pytest.mark.parametrize("bounds", [{"max_buffer": 3}, {"max_buffer_bytes": 3000}])
    def test_a_full_buffer_holds_up_who_sends(
        self, queue: Queue, producers: MakeProducer, faults: Faults, sqs_server: SqsServerProcess, bounds: Any
    ) -> None:
        """By messages and by bytes; it goes on as soon as there is room."""
        faults("throttle")
        producer = producers(queue.url, **bounds)
        futures = [producer.send("x" * 1000) for _ in range(3)]
        late: list[Future[str]] = []
        thread = threading.Thread(target=lambda: late.append(producer.send("x" * 1000)))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        assert late == []
        sqs_server.clear_faults()
        thread.join(10)
        assert [future.result(10) for future in (*futures, *late)]
        assert queue.depth() == 4

    def test_a_full_buffer_does_not_linger(self, queue: Queue, producers: MakeProducer) -> None:
        """Nothing can join what is in it, so it goes at once."""
        producer = producers(queue.url, linger=50.0, max_buffer=2)
        futures = [producer.send(str(number)) for number in range(7)]
        assert all(future.result(10) for future in futures[:6])
        producer.flush()
        assert queue.depth() == 7

    def test_one_message_may_be_larger_than_the_bound(self, queue: Queue, producers: MakeProducer) -> None:
        """Alone in the buffer; otherwise it could never be sent."""
        assert producers(queue.url, max_buffer_bytes=10).send("x" * 1000).result(10)

    def test_a_callback_never_waits_for_room(self, queue: Queue, producers: MakeProducer) -> None:
        """It runs in the thread that makes room: it goes over the bound instead, and cannot flush or close."""
        producer = producers(queue.url, max_buffer=1)
        found: list[Any] = []

        def again(_: Future[str]) -> None:
            found.append(producer.send("b"))
            found.append(producer.send("c"))
            for call in (producer.flush, producer.close):
                try:
                    call()
                except RuntimeError as error:
                    found.append(str(error))

        producer.send("a").add_done_callback(again)
        eventually(lambda: len(found) == 4)
        assert found[2:] == [
            f"{what}() in the callback of a future would wait for itself" for what in ("flush", "close")
        ]
        assert all(future.result(10) for future in found[:2])
        assert sorted(queue.bodies()) == ["a", "b", "c"]

    def test_a_callback_that_fails_costs_nobody_else(self, queue: Queue, producers: MakeProducer) -> None:
        """Not even one that exits, nor a future that its owner has resolved."""
        producer = producers(queue.url, linger=0.2)
        futures = [producer.send(str(number)) for number in range(5)]
        futures[0].add_done_callback(lambda _: 1 / 0)
        futures[1].add_done_callback(lambda _: sys.exit(1))
        futures[2].add_done_callback(lambda _: futures[3].set_result("mine"))
        assert all(future.result(10) for future in futures)
        assert producer.send("on").result(10)

    def test_a_cancelled_message_is_not_sent(self, queue: Queue, producers: MakeProducer) -> None:
        """Before it is in a request; its room is free again."""
        producer = producers(queue.url, linger=30.0, max_buffer=2)
        cancelled = producer.send("a")
        assert cancelled.cancel()
        kept = producer.send("b")
        producer.flush()
        assert kept.result(10)
        with pytest.raises(CancelledError):
            cancelled.result(0)
        assert [producer.send(body) for body in "cd"]
        producer.flush()
        assert sorted(queue.bodies()) == ["b", "c", "d"]


class TestEnd:
    """close() leaves nothing open."""

    def test_close_sends_what_is_left(self, queue: Queue, client: str) -> None:
        """Every future has its answer when it returns; a second one does no harm."""
        with Producer(queue.url, linger=30.0, client=client) as producer:
            futures = [producer.send(str(number)) for number in range(1003)]
        assert all(future.done() and future.exception() is None for future in futures)
        producer.close()
        assert queue.depth() == 1003

    def test_close_ends_in_time_when_nothing_goes(self, queue: Queue, faults: Faults) -> None:
        """What cannot be sent is given up, by its deadline, and says so."""
        faults("throttle")
        producer = Producer(queue.url, timeout=0.3)
        future = producer.send("a")
        producer.close()
        with pytest.raises(SendError, match="RequestThrottled"):
            future.result(0)

    def test_use_after_close_raises(self, queue: Queue) -> None:
        """Whether it was ever used or not; and who waits for room at that moment is told as well."""
        for used in (False, True):
            producer = Producer(queue.url)
            if used:
                producer.send("a").result(10)
            producer.close()
            with pytest.raises(RuntimeError, match="is closed"):
                producer.send("b")
            with pytest.raises(RuntimeError, match="is closed"):
                producer.send_many([Sending("b")])
            producer.flush()
        assert queue.bodies() == ["a"]

    def test_who_waits_for_room_is_told(self, queue: Queue, faults: Faults, sqs_server: SqsServerProcess) -> None:
        """A close in another thread ends the wait with an error: the message was not taken."""
        faults("throttle")
        producer = Producer(queue.url, max_buffer=1)
        first = producer.send("a")
        told: list[BaseException] = []

        def send() -> None:
            try:
                producer.send("b")
            except RuntimeError as error:
                told.append(error)

        threads = [threading.Thread(target=send), threading.Thread(target=producer.close)]
        threads[0].start()
        eventually(threads[0].is_alive)
        threads[1].start()
        eventually(lambda: told)
        assert "is closed" in str(told[0])
        sqs_server.clear_faults()
        for thread in threads:
            thread.join(10)
        assert first.result(10)
        assert queue.bodies() == ["a"]

    @pytest.mark.usefixtures("no_descriptor_left")
    def test_nothing_stays_open(self, queue: Queue, client: str) -> None:
        """No thread, no descriptor."""
        before = threading.active_count()
        with Producer(queue.url, client=client) as producer:
            producer.send("a").result(10)
        eventually(lambda: threading.active_count() == before)


class TestBadInput:
    """Raises ValueError at once; nothing is sent."""

    @pytest.mark.parametrize(
        ("body", "fields", "words"),
        [
            ("", {}, "0 bytes"),
            ("x" * (MIB + 1), {}, "1048577 bytes"),
            ("x" * MIB, {"attributes": {"a": 1}}, "1048584 bytes together"),
            ("a\0b", {}, "control characters"),
            ("\ud800", {}, "surrogates"),
            (b"\xff", {}, "utf-8"),
            ({"a": 1}, {}, "dict"),
            ("x", {"attributes": {"a": ""}}, "'a' is empty"),
            ("x", {"attributes": {"a": True}}, "bool"),
            ("x", {"attributes": {"a": "\x01"}}, "'a' has control characters"),
            ("x", {"attributes": {f"a{number}": "x" for number in range(11)}}, "11 message attributes"),
            ("x", {"attributes": ["a"]}, "items"),
            ("x", {"group_id": "two words"}, "group_id"),
            ("x", {"deduplication_id": "d"}, "no FIFO queue"),
            ("x", {"delay": 901}, "delay"),
            ("x", {"delay": True}, "delay"),
        ],
    )
    def test_of_a_standard_queue(
        self, queue: Queue, producers: MakeProducer, body: Any, fields: dict[str, Any], words: str
    ) -> None:
        """Too large, characters that SQS refuses, bad attributes and ids, a delay that is too long."""
        producer = producers(queue.url)
        with pytest.raises(ValueError, match=words):
            producer.send(body, **fields)
        with pytest.raises(ValueError, match=f"item 1: .*{words}"):
            producer.send_many([Sending("good"), Sending(body, **fields)])
        producer.flush()
        assert queue.depth() == 0

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({}, "group_id is needed"),
            ({"group_id": "g", "delay": 1}, "delays as a whole only"),
            ({"group_id": "g", "deduplication_id": "x" * 129}, "deduplication_id"),
        ],
    )
    def test_of_a_fifo_queue(self, fifo: Queue, producers: MakeProducer, fields: dict[str, Any], words: str) -> None:
        """No group, a delay of its own, an id that is too long."""
        with pytest.raises(ValueError, match=words):
            producers(fifo.url).send("x", **fields)
        assert fifo.depth() == 0

    def test_a_delay_of_nothing_is_none_of_a_fifo_queue(self, fifo: Queue, producers: MakeProducer) -> None:
        """SQS takes 0 there as well."""
        assert producers(fifo.url).send("x", group_id="g", delay=0).result(10)

    @pytest.mark.parametrize(
        ("queue", "fields", "words"),
        [
            ("", {}, "URL, ARN or name"),
            ("two words", {}, "URL, ARN or name"),
            ("x" * 81, {}, "URL, ARN or name"),
            ("arn:aws:sns:us-east-1:1:q", {}, "URL, ARN or name"),
            ("https://host", {}, "URL, ARN or name"),
            (None, {}, "URL, ARN or name"),
            ("q", {"linger": -1}, "linger"),
            ("q", {"linger": float("nan")}, "linger"),
            ("q", {"timeout": 0}, "linger|timeout"),
            ("q", {"timeout": float("inf")}, "timeout"),
            ("q.fifo", {"timeout": 291}, "290 s at most"),
            ("q", {"max_buffer": 0}, "max_buffer"),
            ("q", {"max_buffer_bytes": 0}, "max_buffer_bytes"),
            ("q", {"client": "aioboto3"}, "client"),
        ],
    )
    def test_of_the_producer_itself(self, queue: Any, fields: dict[str, Any], words: str) -> None:
        """When it is made, not at the first send."""
        with pytest.raises(ValueError, match=words):
            Producer(queue, **fields)


def test_the_examples_of_the_documents_run(queue: Queue) -> None:
    """Those of README.md and docs/producer.md that send, as programs of their own."""
    root = Path(__file__).parents[2]
    text = (root / "README.md").read_text() + (root / "docs/producer.md").read_text()
    sources = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "Producer(" in block]
    assert len(sources) == 3
    for source in sources:
        run = "import asyncio; asyncio.run(main())" if "async def main" in source else ""
        program = source.replace('"orders"', repr(queue.name)) + run
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
    assert queue.bodies() == ['{"id": 1}'] * 3
