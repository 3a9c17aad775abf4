"""Test process: handler functions as Lambda functions; see worker/aws_lambda/entry.py."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aws_lambda.events import ARN, Context, attribute, event, failed, record
from tests.envelopes.samples import TOPIC, notification
from worker import Forward, Message, MessageAttribute, Reject, Retry
from worker.aws_lambda import NotSQS, entry_point


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The log."""
    return [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]


def test_a_message_has_what_lambda_says_of_it() -> None:
    """Id, body, queue, attributes, message attributes with bytes, and the time that the invocation has."""
    seen: list[Message] = []

    def handle(message: Message) -> None:
        seen.append(message)
        assert 29 < message.remaining <= 29.5
        message.extend(60)
        assert message.remaining <= 29.5

    attributes = {
        "kind": attribute("new"),
        "price": attribute("4.5", "Number"),
        "raw": attribute(b"\x00\xff", "Binary"),
    }
    given = event(record(1, "h\u00e9", messageAttributes=attributes))
    assert entry_point(handle)(given, Context()) == {"batchItemFailures": []}
    (message,) = seen
    assert (message.id, message.body, message.queue) == ("id-1", "h\u00e9".encode(), "orders")
    assert (message.receive_count, message.sent_at, message.attributes["SenderId"]) == (2, 1545082649.183, "me")
    assert message.message_attributes == {
        "kind": MessageAttribute("String", "new"),
        "price": MessageAttribute("Number", "4.5"),
        "raw": MessageAttribute("Binary", b"\x00\xff"),
    }


#: Why the rest of a group does not run.
UNRUN = "not started: a message of its group before it failed"


def fail(error: BaseException) -> Any:
    raise error


OUTCOMES: list[tuple[Callable[[], Any], bool]] = [
    (lambda: None, True),
    (lambda: 7, True),
    (lambda: Retry(after=5), False),
    (lambda: Reject("no"), False),
    (lambda: Retry, False),
    (lambda: fail(Retry(reason="busy")), False),
    (lambda: fail(Reject("no")), False),
    (lambda: fail(ValueError("bad")), False),
    (lambda: fail(RecursionError()), False),
    (lambda: fail(SystemExit(3)), False),
    (lambda: (one for one in ()), False),
]


@pytest.mark.parametrize("place", range(len(OUTCOMES)))
@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_is_no_ack_fails_its_own_message_alone(place: int, asynchronous: bool) -> None:
    """Retry, Reject, every exception, and exit(): the messages beside it are done."""
    answer, done = OUTCOMES[place]

    def handle(message: Message) -> Any:
        return answer() if message.id == "id-2" else None

    async def later(message: Message) -> Any:
        await asyncio.sleep(0)
        return handle(message)

    given = event(record(1), record(2), record(3))
    assert failed(entry_point(later if asynchronous else handle)(given, Context())) == ([] if done else ["id-2"])


def test_a_failure_is_one_line_with_the_id_and_without_the_body(capfd: pytest.CaptureFixture[str]) -> None:
    """Exceptions with a traceback, Retry and Reject with their reason."""
    answers = {"id-1": ValueError("bad"), "id-2": Retry(reason="busy"), "id-3": Reject("never"), "id-4": SystemExit(3)}

    def handle(message: Message) -> None:
        raise answers[message.id]

    entry_point(handle)(event(*(record(number, "secret body") for number in (1, 2, 3, 4))), Context())
    written = lines(capfd)
    assert [(line["event"], line["message"]) for line in written] == [
        ("message_failed", "id-1"),
        ("message_retried", "id-2"),
        ("message_rejected", "id-3"),
        ("message_failed", "id-4"),
    ]
    assert {(line["queue"], line["request"]) for line in written} == {("orders", "request-1")}
    assert [line.get("reason") for line in written] == [None, "busy", "never", None]
    assert "ValueError: bad" in written[0]["traceback"]
    assert "secret" not in json.dumps(written)


def test_an_attribute_that_sqs_does_not_have_fails_its_own_message() -> None:
    """Of an emulator, say: nothing is acked because it was not understood."""
    for broken in ([1], {"a": 7}, {"a": {"dataType": "Binary", "binaryValue": "#"}}, {"a": {}}):
        given = event(record(1, messageAttributes=broken), record(2))
        assert failed(entry_point(lambda _message: None)(given, Context())) == ["id-1"]


def test_after_a_failure_the_rest_of_its_group_fails_unrun(capfd: pytest.CaptureFixture[str]) -> None:
    """Order within a group holds; other groups go on; each that failed has its line."""
    ran: list[str] = []

    def handle(message: Message) -> None:
        ran.append(message.id)
        if message.id == "id-2":
            raise Retry

    groups = {1: "a", 2: "a", 3: "b", 4: "a", 5: "b", 6: "a"}
    answer = entry_point(handle)(event(*(record(n, group=group) for n, group in groups.items())), Context())
    assert failed(answer) == ["id-2", "id-4", "id-6"]
    assert sorted(ran) == ["id-1", "id-2", "id-3", "id-5"]
    assert ran.index("id-3") < ran.index("id-5")
    told = {line["message"]: line["reason"] for line in lines(capfd)}
    assert told == {"id-2": ""} | dict.fromkeys(("id-4", "id-6"), UNRUN)


def test_a_group_on_a_standard_queue_means_no_order() -> None:
    """Fair queues have them: only `.fifo` decides."""
    records = [record(n) for n in (1, 2)]
    for one in records:
        one["attributes"]["MessageGroupId"] = "a"

    def handle(message: Message) -> None:
        if message.id == "id-1":
            raise Retry

    assert failed(entry_point(handle)(event(*records), Context())) == ["id-1"]


Record = tuple[Callable[[Any, Any], dict[str, list[dict[str, str]]]], list[str], set[str]]


@cache  # an event loop for each would be left open till the end
def recording(form: str) -> Record:
    """A Lambda function, the ids that it ran, and those that it is to fail."""
    ran: list[str] = []
    bad: set[str] = set()

    def handle(message: Message) -> None:
        ran.append(message.id)
        if message.id in bad:
            raise Retry

    async def later(message: Message) -> None:
        handle(message)

    def many(batch: list[Message]) -> Mapping[Message, Any]:
        ran.extend(one.id for one in batch)
        return {one: Retry() for one in batch if one.id in bad}

    functions: dict[str, Callable[..., Any]] = {"plain": handle, "async": later, "batch": many}
    return entry_point(functions[form]), ran, bad


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12),
    st.sampled_from(["plain", "async", "batch"]),
)
def test_each_group_ends_at_its_first_failure(messages: list[tuple[str, bool]], form: str) -> None:
    """Whatever fails: what ran is a prefix of each group, in its order, and what did not run has failed."""
    lambda_handler, ran, bad = recording(form)
    ran.clear()
    bad.clear()
    bad.update(f"id-{n}" for n, (_, good) in enumerate(messages) if not good)
    answer = failed(
        lambda_handler(event(*(record(n, group=group) for n, (group, _) in enumerate(messages))), Context())
    )
    for group in "abc":
        own = [f"id-{n}" for n, (name, _) in enumerate(messages) if name == group]
        first = next((place for place, one in enumerate(own) if one in bad), len(own))
        assert [one for one in ran if one in own] == own[: first + 1]
        assert [one for one in answer if one in own] == own[first:]
    assert answer == sorted(answer, key=lambda one: int(one[3:]))


def test_async_messages_run_at_once() -> None:
    """As many as `concurrency` says: each of these waits for the other."""

    async def handle(message: Message) -> None:
        await asyncio.wait_for(meeting.wait(), 10)

    meeting = asyncio.Barrier(2)
    assert failed(entry_point(handle, concurrency=2)(event(record(1), record(2)), Context())) == []


def test_no_more_run_at_once_than_asked() -> None:
    """A handler function may have a pool of two connections."""
    running, most = 0, 0

    async def handle(_message: Message) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    entry_point(handle, concurrency=2)(event(*map(record, range(9))), Context())
    assert most == 2


def test_the_event_loop_outlives_an_invocation() -> None:
    """Clients that were made on it at first use go on working."""
    loops: list[Any] = []

    async def handle(_message: Message) -> None:
        loops.append(asyncio.get_running_loop())

    lambda_handler = entry_point(handle)
    for number in (1, 2):
        lambda_handler(event(record(number)), Context())
    assert loops[0] is loops[1]
    assert not loops[0].is_closed()


def test_exit_in_a_task_of_user_code_fails_what_ran(capfd: pytest.CaptureFixture[str]) -> None:
    """It ends the event loop; the invocation answers all the same, and the next one has a new loop."""

    async def leave() -> None:
        raise SystemExit(3)

    async def handle(message: Message) -> None:
        if message.id == "id-2":
            task = asyncio.create_task(leave())
            await asyncio.sleep(60)
            await task

    lambda_handler = entry_point(handle)
    assert failed(lambda_handler(event(record(1), record(2)), Context())) == ["id-2"]
    assert failed(lambda_handler(event(record(3)), Context())) == []
    gc.collect()  # asyncio logs the task that nobody asked: now, and not in the middle of another test


def test_a_batch_function_gets_all_of_an_event() -> None:
    """One call; outcomes by message; an exception speaks for all."""
    sizes: list[int] = []

    def handle(messages: list[Message]) -> Mapping[Message, Any]:
        sizes.append(len(messages))
        if messages[0].body == b"bad":
            raise ValueError("all")
        return {messages[1]: Reject("odd")}

    lambda_handler = entry_point(handle)
    assert failed(lambda_handler(event(record(1), record(2), record(3)), Context())) == ["id-2"]
    assert failed(lambda_handler(event(record(1, "bad"), record(2)), Context())) == ["id-1", "id-2"]
    assert sizes == [3, 2]


def test_what_has_no_time_left_fails_unrun(capfd: pytest.CaptureFixture[str]) -> None:
    """The answer still reaches Lambda, so what is done stays done."""
    ran: list[str] = []
    context = Context(0.6)

    def handle(message: Message) -> None:
        ran.append(message.id)
        end = time.monotonic() + 10
        while message.remaining > 0 and time.monotonic() < end:
            time.sleep(0.005)

    assert failed(entry_point(handle)(event(record(1), record(2), record(3)), context)) == ["id-2", "id-3"]
    assert ran == ["id-1"]
    assert {line["reason"][:11] for line in lines(capfd)} == {"not started"}


def test_an_async_function_that_takes_too_long_fails_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """It is cancelled before Lambda ends the invocation, so that what is done beside it stays done."""

    async def handle(message: Message) -> None:
        if message.id == "id-2":
            await asyncio.sleep(60)

    lambda_handler = entry_point(handle)
    assert failed(lambda_handler(event(record(1), record(2), record(3)), Context(0.7))) == ["id-2"]
    (line,) = lines(capfd)
    assert (line["message"], line["error"]) == ("id-2", "SoftTimeout: message id-2 is past its deadline")
    assert failed(lambda_handler(event(record(3)), Context())) == []


@pytest.mark.parametrize("middleware", [(), (lambda message, call_next: call_next(message),)])
def test_middleware_goes_around(middleware: Any) -> None:
    """As in a pool: it sees the outcome, and may decide it."""

    def refuse(message: Message, call_next: Callable[[Message], Any]) -> Any:
        call_next(message)
        raise Reject("refused")

    answer = entry_point(lambda _message: None, middleware=(*middleware, refuse))(event(record(1)), Context())
    assert failed(answer) == ["id-1"]


def test_middleware_that_does_not_fit_is_refused() -> None:
    """When the module is imported, and not with the first event."""

    async def around(message: Message, call_next: Any) -> Any:
        return await call_next(message)

    with pytest.raises(TypeError, match="async def"):
        entry_point(lambda _message: None, middleware=(around,))


def test_a_typed_function_gets_decoded_bodies_out_of_their_envelopes() -> None:
    """As in a pool; a misfit fails its message, and its field is in the log."""
    seen: list[tuple[dict[str, int], str]] = []

    def handle(order: dict[str, int], message: Message) -> None:
        seen.append((order, message.envelope.topic))

    bodies = [json.dumps(notification('{"id": 7}')), '{"id": 7}', json.dumps(notification('{"id": "x"}'))]
    answer = entry_point(handle, envelope="sns")(event(*map(record, range(3), bodies)), Context())
    assert failed(answer) == ["id-1", "id-2"]
    assert seen == [({"id": 7}, TOPIC)]


def generator(message: Message) -> Any:
    yield


def no_message() -> None: ...


def unresolved(order: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - that is the point


@pytest.mark.parametrize(
    ("function", "words"),
    [(generator, "it has a yield"), (no_message, "one argument, the message"), (unresolved, "cannot be evaluated")],
)
def test_a_function_that_a_pool_would_refuse_is_refused(function: Callable[..., Any], words: str) -> None:
    """When the module is imported."""
    with pytest.raises(TypeError, match=words):
        entry_point(function)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "it has no Records"),
        (None, "the event is a NoneType"),
        ({"detail-type": "x", "source": "aws.s3"}, "one of EventBridge (source 'aws.s3')"),
        ({"requestContext": {}}, "HTTP request"),
        ({"Records": {}}, "Records is no list"),
        ({"Records": [7]}, r"Records[0] is no object"),
        (event(record(1), record(2, eventSource="aws:s3")), "Records[1] is one of 'aws:s3', not of 'aws:sqs'"),
        ({"Records": [{"EventSource": "aws:sns"}]}, "Records[0] is one of 'aws:sns'"),
        (event(record(1, messageId=None)), "Records[0] has no messageId"),
        (event(record(1, body=None)), "Records[0] has no body"),
        (event(record(1, eventSourceARN=None)), "Records[0] has no eventSourceARN"),
    ],
)
def test_an_event_that_is_none_of_sqs_is_refused_by_name(given: Any, words: str) -> None:
    """Nothing runs, and the invocation fails: an empty answer would delete the batch."""
    ran: list[Message] = []
    with pytest.raises(NotSQS) as caught:
        entry_point(ran.append)(given, Context())
    assert words in str(caught.value)
    assert ran == []


def test_an_empty_event_and_no_context_are_fine() -> None:
    """A test of a user's own may give no context."""
    assert failed(entry_point(lambda _message: None)({"Records": []}, Context())) == []
    assert failed(entry_point(lambda message: message.extend(5))(event(record(1)), None)) == []


def test_a_forward_is_sent_before_its_message_is_done(sqs_endpoint: str) -> None:
    """By URL and by name, with attributes; a FIFO queue gets the group and the message's id, so a repeat is one."""
    sqs = boto3.client("sqs")
    plain = sqs.create_queue(QueueName="lambda-forward")["QueueUrl"]
    fifo = sqs.create_queue(QueueName="lambda-forward.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]

    def handle(message: Message) -> Forward:
        if message.group:
            return Forward(queue="lambda-forward.fifo", body=message.body)
        return Forward(queue=plain, body=message.body, attributes={"n": 4, "raw": b"\x00\xff"})

    lambda_handler = entry_point(handle)
    assert failed(lambda_handler(event(record(1, "one")), Context())) == []
    for _ in range(2):
        assert failed(lambda_handler(event(record(2, "two", group="g")), Context())) == []
    (sent,) = sqs.receive_message(QueueUrl=plain, MessageAttributeNames=["All"])["Messages"]
    assert sent["Body"] == "one"
    assert sent["MessageAttributes"]["n"]["StringValue"] == "4"
    assert sent["MessageAttributes"]["raw"]["BinaryValue"] == b"\x00\xff"
    (ordered,) = sqs.receive_message(QueueUrl=fifo, AttributeNames=["All"])["Messages"]
    assert ordered["Body"] == "two"
    assert ordered["Attributes"]["MessageGroupId"] == "g"
    assert ordered["Attributes"]["MessageDeduplicationId"] == "id-2"
    sqs.close()


def test_a_forward_that_cannot_be_sent_fails_its_message(sqs_endpoint: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The queue is named, the body is not."""

    def handle(message: Message) -> Forward:
        return Forward(queue="no-such-queue-of-lambda", body="secret")

    assert failed(entry_point(handle)(event(record(1), record(2)), Context())) == ["id-1", "id-2"]
    written = lines(capfd)
    assert [(line["event"], line["message"], line["to"]) for line in written] == [
        ("forward_failed", "id-1", "no-such-queue-of-lambda"),
        ("forward_failed", "id-2", "no-such-queue-of-lambda"),
    ]
    assert "NonExistentQueue" in written[0]["error"] or "QueueDoesNotExist" in written[0]["error"]
    assert "secret" not in json.dumps(written)


def test_a_forward_that_comes_too_late_is_not_sent(sqs_endpoint: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The invocation could end in it: then it would be sent, and all messages of the event come again."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="lambda-late")["QueueUrl"]

    def handle(message: Message) -> Forward:
        while message.remaining > -0.3:
            time.sleep(0.005)
        return Forward(queue=url, body="late")

    assert failed(entry_point(handle)(event(record(1)), Context(0.6))) == ["id-1"]
    (line,) = lines(capfd)
    assert (line["event"], line["error"]) == ("forward_failed", "TimeoutError: not sent: the invocation's time is up")
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.close()


def test_the_arn_names_the_queue() -> None:
    """As a `[queues.*]` table would."""
    queues: list[str] = []
    entry_point(lambda message: queues.append(message.queue))(event(record(1, arn=f"{ARN}-2")), Context())
    assert queues == ["orders-2"]
