"""Test process: the fault plan: which requests it hits, and what each effect does to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from worker.testing.sqs_server import faults
from worker.testing.sqs_server.broker import Caller
from worker.testing.sqs_server.faults import FaultPlan
from worker.testing.sqs_server.replies import Carriage, Reply
from worker.testing.sqs_server.service import Service

if TYPE_CHECKING:
    from tests.testing.sqs_server.model import Sqs


def hits(plan: FaultPlan, *calls: tuple[str, str], now: float = 0.0, chance: float = 0.0) -> list[int]:
    return [len(plan.decide(action, queue, now=now, chance=lambda: chance)) for action, queue in calls]


def planned(**fields: Any) -> FaultPlan:
    plan = FaultPlan()
    plan.add([faults.rule({"effect": "throttle", **fields})], 100.0)
    return plan


def test_rules_choose_actions_and_queues() -> None:
    """A rule names actions, one or several, and a queue; a star is any."""
    calls = (("SendMessage", "a"), ("DeleteMessage", "a"), ("SendMessage", "b"))
    assert hits(planned(), *calls, now=100) == [1, 1, 1]
    assert hits(planned(action="SendMessage"), *calls, now=100) == [1, 0, 1]
    assert hits(planned(action=["SendMessage", "DeleteMessage"], queue="a"), *calls, now=100) == [1, 1, 0]
    assert hits(planned(action="*", queue="*"), *calls, now=100) == [1, 1, 1]


def test_rules_count_and_skip() -> None:
    """`skip` matches pass first, then `count` are hit, then none."""
    assert hits(planned(skip=1, count=2), *[("A", "q")] * 5, now=100) == [0, 1, 1, 0, 0]


def test_rules_have_a_window() -> None:
    """`after` and `until` are seconds since the rule was set."""
    plan = planned(after=10, until=20)
    assert [hits(plan, ("A", "q"), now=now) for now in (100, 109.9, 110, 119.9, 120)] == [[0], [0], [1], [1], [0]]


def test_rules_draw_from_the_chance_they_are_given() -> None:
    """A rule hits where the chance is below its probability; certain rules draw nothing."""
    assert hits(planned(probability=0.5), ("A", "q"), now=100, chance=0.49) == [1]
    assert hits(planned(probability=0.5), ("A", "q"), now=100, chance=0.5) == [0]

    def never() -> float:
        raise AssertionError

    assert len(planned().decide("A", "q", now=100, chance=never)) == 1


def test_uses_are_counted() -> None:
    """A test can see whether its fault happened."""
    plan = planned(count=1, action="A", queue="q")
    hits(plan, *[("A", "q")] * 3, now=100)
    assert plan.uses() == [{"effect": "throttle", "action": ["A"], "queue": "q", "matched": 3, "used": 1}]
    plan.clear()
    assert not plan


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "effect must be one of"),
        ({"effect": "meteor"}, "not 'meteor'"),
        ({"effect": "delay", "second": 1}, "no field second"),
        ({"effect": "delay", "shape": "x"}, "no field shape"),
        ({"effect": "delay", "action": 5}, "action must be a name"),
        ({"effect": "delay", "count": "many"}, "many"),
    ],
)
def test_bad_rules_are_refused(fields: dict[str, Any], message: str) -> None:
    """A rule with an unknown effect, field or type says what is wrong with it."""
    with pytest.raises(ValueError, match=message):
        faults.rule(fields)


class Faulty:
    """A service with a fault plan, above the test's broker."""

    def __init__(self, sqs: Sqs) -> None:
        self.sqs = sqs
        self.chances = [0.0]
        self.service = Service(sqs.broker, clock=lambda: sqs.now, chance=self._chance)

    def _chance(self) -> float:
        return self.chances.pop(0) if len(self.chances) > 1 else self.chances[0]

    def plan(self, effect: str, **fields: Any) -> None:
        self.service.plan.add([faults.rule({"effect": effect, **fields})], self.sqs.now)

    def reply(self, action: str, **request: Any) -> Reply:
        reply = self.service.answer(action, orjson.dumps(request), Caller())
        assert isinstance(reply, Reply)
        return reply

    def answer(self, action: str, **request: Any) -> dict[str, Any]:
        reply = self.reply(action, **request)
        assert reply.status == 200
        answer: dict[str, Any] = orjson.loads(reply.body)
        return answer


@pytest.fixture
def faulty(sqs: Sqs) -> Faulty:
    """A service whose faults a test sets."""
    return Faulty(sqs)


@pytest.fixture
def url(sqs: Sqs) -> str:
    """A queue with two messages."""
    url = sqs.create()
    sqs.send(url, "a", "b")
    return url


def test_an_error_takes_the_place_of_the_action(faulty: Faulty, url: str) -> None:
    """A known shape has its status and query code; the action has no effect."""
    faulty.plan("error", shape="KmsThrottled", message="slow down", count=1)
    reply = faulty.reply("ReceiveMessage", QueueUrl=url)
    assert (reply.status, reply.query_error) == (400, "KMS.ThrottlingException;Sender")
    assert orjson.loads(reply.body) == {"__type": "com.amazonaws.sqs#KmsThrottled", "message": "slow down"}
    assert faulty.sqs.depths(url) == (2, 0, 0)
    assert faulty.answer("ReceiveMessage", QueueUrl=url)["Messages"]


def test_an_error_can_come_after_the_effect(faulty: Faulty, url: str) -> None:
    """With when=after the messages are assigned, and the client gets an error; any shape and status will do."""
    faulty.plan("error", shape="Strange", status=418, when="after")
    reply = faulty.reply("ReceiveMessage", QueueUrl=url)
    assert (reply.status, orjson.loads(reply.body)["__type"]) == (418, "Strange")
    assert faulty.sqs.depths(url) == (1, 1, 0)


@pytest.mark.parametrize(
    ("effect", "fields", "status", "content_type"),
    [
        ("throttle", {}, 403, "application/x-amz-json-1.0"),
        ("unavailable", {}, 503, "text/plain"),
        ("unavailable", {"status": 500}, 500, "text/plain"),
        ("html", {}, 200, "text/html"),
    ],
)
def test_replies_in_place_of_the_action(
    faulty: Faulty, url: str, effect: str, fields: dict[str, Any], status: int, content_type: str
) -> None:
    """Throttling, server errors and proxy pages leave the queue as it was."""
    faulty.plan(effect, **fields)
    reply = faulty.reply("ReceiveMessage", QueueUrl=url)
    assert (reply.status, reply.content_type) == (status, content_type)
    assert faulty.sqs.depths(url) == (2, 0, 0)
    if effect == "html":
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(reply.body)


@pytest.mark.parametrize(("when", "depths"), [("before", (2, 0, 0)), ("after", (1, 1, 0))])
@pytest.mark.parametrize(
    ("effect", "fields", "carriage"),
    [
        ("drop", {}, Carriage.RESET),
        ("drop", {"how": "close"}, Carriage.CLOSE),
        ("black_hole", {}, Carriage.SILENCE),
    ],
)
def test_answers_that_never_arrive(
    faulty: Faulty, url: str, effect: str, fields: dict[str, str], carriage: Carriage, when: str, depths: Any
) -> None:
    """A dropped or silent connection may lose the request, or only the answer to it."""
    faulty.plan(effect, when=when, **fields)
    assert faulty.reply("ReceiveMessage", QueueUrl=url).carriage is carriage
    assert faulty.sqs.depths(url) == depths


def test_a_lost_answer_to_a_refused_action_is_lost_too(faulty: Faulty, url: str) -> None:
    """A drop after the effect also swallows the action's own error."""
    faulty.plan("drop", when="after")
    assert faulty.reply("DeleteMessage", QueueUrl=url, ReceiptHandle="x").carriage is Carriage.RESET


def test_slow_answers(faulty: Faulty, url: str) -> None:
    """A delay and a trickle act first and change only the answer's way."""
    faulty.plan("delay", seconds=2.5)
    faulty.plan("trickle", bytes_per_second=7)
    reply = faulty.reply("ReceiveMessage", QueueUrl=url)
    assert (reply.delay, reply.carriage, reply.rate) == (2.5, Carriage.TRICKLE, 7.0)
    assert faulty.sqs.depths(url) == (1, 1, 0)


def receive_two(faulty: Faulty, url: str) -> list[dict[str, str]]:
    messages = faulty.answer("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=2)["Messages"]
    return [{"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]} for i, message in enumerate(messages)]


@pytest.mark.parametrize(("applied", "left"), [(False, 1), (True, 0)])
@pytest.mark.parametrize("sender_fault", [False, True])
def test_entries_of_a_batch_fail(faulty: Faulty, url: str, applied: bool, left: int, sender_fault: bool) -> None:
    """Chosen entries are listed as failed, with or without having taken effect."""
    entries = receive_two(faulty, url)
    faulty.plan("fail_entries", positions=[1], code="Oops", sender_fault=sender_fault, applied=applied)
    answer = faulty.answer("DeleteMessageBatch", QueueUrl=url, Entries=entries)
    assert answer["Successful"] == [{"Id": "0"}]
    [failed] = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("1", "Oops", sender_fault)
    assert sum(faulty.sqs.depths(url)) == left


def test_all_entries_of_a_batch_fail(faulty: Faulty, url: str) -> None:
    """A batch with no entry left is not acted on at all."""
    entries = receive_two(faulty, url)
    faulty.plan("fail_entries", share=1.0)
    answer = faulty.answer("DeleteMessageBatch", QueueUrl=url, Entries=entries)
    assert [failed["Id"] for failed in answer["Failed"]] == ["0", "1"]
    assert "Successful" not in answer
    assert faulty.sqs.depths(url) == (0, 2, 0)


def test_a_share_of_entries_fails_by_chance(faulty: Faulty, url: str) -> None:
    """With `share` every entry has its own draw."""
    entries = receive_two(faulty, url)
    faulty.chances = [0.6, 0.4]
    faulty.plan("fail_entries", share=0.5)
    answer = faulty.answer("DeleteMessageBatch", QueueUrl=url, Entries=entries)
    assert [failed["Id"] for failed in answer["Failed"]] == ["1"]


@pytest.mark.parametrize(("applied", "left"), [(False, 1), (True, 0)])
def test_entries_missing_from_both_lists(faulty: Faulty, url: str, applied: bool, left: int) -> None:
    """An omitted entry is neither successful nor failed."""
    entries = receive_two(faulty, url)
    faulty.plan("omit_entries", positions=[0], applied=applied)
    assert faulty.answer("DeleteMessageBatch", QueueUrl=url, Entries=entries) == {"Successful": [{"Id": "1"}]}
    assert sum(faulty.sqs.depths(url)) == left


def test_two_batch_faults_add_up(faulty: Faulty, url: str) -> None:
    """One entry fails, another is omitted, and neither takes effect."""
    entries = receive_two(faulty, url)
    faulty.plan("fail_entries", positions=[0])
    faulty.plan("omit_entries", positions=[1])
    answer = faulty.answer("DeleteMessageBatch", QueueUrl=url, Entries=entries)
    assert [failed["Id"] for failed in answer["Failed"]] == ["0"]
    assert "Successful" not in answer
    assert faulty.sqs.depths(url) == (0, 2, 0)


def test_wrong_md5(faulty: Faulty, url: str) -> None:
    """The MD5 of a received and of a sent body is another one, of the right form."""
    faulty.plan("wrong_md5")
    [message] = faulty.answer("ReceiveMessage", QueueUrl=url)["Messages"]
    right = "0cc175b9c0f1b6a831c399e269772661"
    assert message["Body"] == "a"
    assert message["MD5OfBody"] != right
    assert len(message["MD5OfBody"]) == 32
    assert faulty.answer("SendMessage", QueueUrl=url, MessageBody="a")["MD5OfMessageBody"] != right


def test_wrong_md5_of_what_another_fault_has_made_null(faulty: Faulty, url: str) -> None:
    """Wrong as well; a server that crashes would be the fault of neither."""
    faulty.plan("mangle", action="ReceiveMessage", null=["MD5OfBody"])
    faulty.plan("wrong_md5")
    [message] = faulty.answer("ReceiveMessage", QueueUrl=url)["Messages"]
    assert len(message["MD5OfBody"]) == 32


def test_duplicate_delivery_in_one_answer(faulty: Faulty, url: str) -> None:
    """The same message comes twice with two receipts, of which only the second deletes."""
    faulty.plan("duplicate", count=1)
    first, second = faulty.answer("ReceiveMessage", QueueUrl=url)["Messages"]
    assert first["MessageId"] == second["MessageId"]
    assert first["ReceiptHandle"] != second["ReceiptHandle"]
    faulty.sqs.delete(url, first["ReceiptHandle"])
    assert faulty.sqs.depths(url) == (1, 1, 0)
    faulty.sqs.delete(url, second["ReceiptHandle"])
    assert faulty.sqs.depths(url) == (1, 0, 0)


def test_a_duplicate_counts_as_a_receive(faulty: Faulty, url: str) -> None:
    """Two receipts are two receives, so that the next one is the third."""
    faulty.plan("duplicate", count=1)
    _, second = faulty.answer("ReceiveMessage", QueueUrl=url)["Messages"]
    faulty.sqs.change(url, second["ReceiptHandle"], 0)
    names = ["ApproximateReceiveCount"]
    answer = faulty.answer("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=names)
    counts = {message["MessageId"]: message["Attributes"][names[0]] for message in answer["Messages"]}
    assert counts[second["MessageId"]] == "3"


def test_a_lapse_ends_leases_early(faulty: Faulty, url: str) -> None:
    """Messages in flight become visible before their time, so that another receive gets them."""
    receive_two(faulty, url)
    faulty.plan("lapse", messages=1, count=1)
    assert [message["Body"] for message in faulty.answer("ReceiveMessage", QueueUrl=url)["Messages"]] == ["a"]


def test_a_silent_receive(faulty: Faulty, url: str) -> None:
    """`empty` gives nothing although there are messages, as long as the poll would have waited."""
    faulty.plan("empty")
    reply = faulty.reply("ReceiveMessage", QueueUrl=url, WaitTimeSeconds=3)
    assert (reply.body, reply.delay) == (b"{}", 3.0)
    assert faulty.sqs.depths(url) == (2, 0, 0)


def test_mangled_messages(faulty: Faulty, url: str) -> None:
    """Members are removed, made null and added, of messages or of the whole answer."""
    faulty.plan("mangle", remove=["ReceiptHandle"], null=["Body"], add={"New": 1}, count=1)
    [message] = faulty.answer("ReceiveMessage", QueueUrl=url)["Messages"]
    assert "ReceiptHandle" not in message
    assert message["Body"] is None
    assert message["New"] == 1
    faulty.plan("mangle", of="answer", null=["Messages"], count=1)
    assert faulty.answer("ReceiveMessage", QueueUrl=url) == {"Messages": None}


@pytest.mark.parametrize("how", [{"remove": ["ReceiptHandle"]}, {"null": ["ReceiptHandle"]}])
def test_a_message_that_lost_its_receipt_comes_once(faulty: Faulty, url: str, how: dict[str, list[str]]) -> None:
    """Two rules hit one answer: what `mangle` has left without a receipt handle has no second one."""
    faulty.plan("mangle", **how)
    faulty.plan("duplicate")
    assert len(faulty.answer("ReceiveMessage", QueueUrl=url)["Messages"]) == 1


def test_a_fault_waits_for_its_long_poll(faulty: Faulty, sqs: Sqs) -> None:
    """A fault on a receive that waits hits the answer it gets in the end."""
    url = sqs.create("empty")
    faulty.plan("drop", when="after")
    request = orjson.dumps({"QueueUrl": url, "WaitTimeSeconds": 5})
    waiting = faulty.service.answer("ReceiveMessage", request, Caller())
    assert isinstance(waiting, tuple)
    sqs.send(url, "x")
    [(_, answer)] = sqs.broker.complete(sqs.now)
    assert faulty.service.finish(answer, waiting[1]).carriage is Carriage.RESET


def test_faults_stand_in_the_event_log(faulty: Faulty, url: str) -> None:
    """The log names the effect, the action and the connection, so that an oracle can attribute what follows."""
    faulty.plan("throttle", count=1)
    faulty.reply("ReceiveMessage", QueueUrl=url)
    [event] = [event for event in faulty.sqs.events.after(0) if event["event"] == "fault"]
    assert (event["effect"], event["action"], event["queue"]) == ("throttle", "ReceiveMessage", "q")


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"{", "not valid JSON"), (b"[]", "Unexpected field type"), (b'"x"', "Unexpected field type")],
)
def test_bodies_that_are_no_request(faulty: Faulty, body: bytes, message: str) -> None:
    """A body that is no JSON object is a SerializationException, which has no query code."""
    reply = faulty.service.answer("SendMessage", body, Caller())
    assert isinstance(reply, Reply)
    assert (reply.status, reply.query_error) == (400, "")
    answer = orjson.loads(reply.body)
    assert answer["__type"] == "com.amazon.coral.service#SerializationException"
    assert message in answer["message"]


def test_a_bug_of_the_server_is_an_internal_failure(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception that nobody foresaw is answered with 500, and its trace goes to standard error."""

    def broken(*_: object) -> dict[str, Any]:
        raise ZeroDivisionError

    action: dict[str, Callable[..., dict[str, Any]]] = {"ListQueues": broken}
    monkeypatch.setattr("worker.testing.sqs_server.actions.ACTIONS", action)
    reply = faulty.reply("ListQueues")
    assert (reply.status, reply.query_error) == (500, "InternalFailure;Receiver")
    assert "ZeroDivisionError" in capsys.readouterr().err
