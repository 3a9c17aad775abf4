"""Test process: whatever is done to a queue, every message is in exactly one place, and order and locks hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from worker.testing.sqs_server.actions import call
from worker.testing.sqs_server.broker import Broker
from worker.testing.sqs_server.errors import SqsError
from worker.testing.sqs_server.ids import Ids
from worker.testing.sqs_server.messages import DELAYED, IN_FLIGHT, READY
from worker.testing.sqs_server.queue import Queue

MOST_RECEIVES = 3


@dataclass
class Known:
    """A message as a slow, obvious model sees it."""

    group: str
    visible_at: float
    received: bool = False
    receives: int = 0
    handle: str = ""
    received_at: float = 0.0


class StandardConservation(RuleBasedStateMachine):
    """Drives a standard queue with a dead-letter queue beside the obvious model."""

    fifo = False

    @initialize()
    def make(self) -> None:
        self.now = 5_000.0
        self.broker = Broker(Ids("conservation"))
        self.alive: dict[str, Known] = {}
        self.handles: list[tuple[str, str]] = []
        self.sent = self.deleted = self.purged = 0
        self.may_purge_at = 0.0
        suffix = ".fifo" if self.fifo else ""
        extra = {"FifoQueue": "true"} if self.fifo else {}
        self.dead = self.queue(self.call("CreateQueue", QueueName="dead" + suffix, Attributes=extra)["QueueUrl"])
        policy = orjson.dumps({"deadLetterTargetArn": self.dead.arn, "maxReceiveCount": MOST_RECEIVES}).decode()
        attributes = {"RedrivePolicy": policy, **extra}
        self.url = self.call("CreateQueue", QueueName="q" + suffix, Attributes=attributes)["QueueUrl"]
        self.source = self.queue(self.url)

    def call(self, action: str, **request: object) -> dict[str, Any]:
        answer = call(self.broker, action, request=request, now=self.now)
        assert isinstance(answer, dict)
        return answer

    def refused(self, action: str, **request: object) -> str | None:
        """The shape of the error that an action answers, None if it succeeds."""
        try:
            self.call(action, **request)
        except SqsError as error:
            return error.shape
        return None

    def queue(self, url: str) -> Queue:
        return self.broker.region("us-east-1").entries[url.rpartition("/")[2]].queue

    def offered(self) -> list[str]:
        """The messages that may be given now, in the order of each group."""
        blocked: set[str] = set()
        offered = []
        for message_id, known in self.alive.items():
            if known.visible_at > self.now:
                blocked.add(known.group)
            elif not (self.fifo and known.group in blocked):
                offered.append(message_id)
        return offered

    @rule(group=st.sampled_from("abc"), delay=st.sampled_from([0, 0, 0, 5]))
    def send(self, group: str, delay: int) -> None:
        self.sent += 1
        request: dict[str, object] = {"MessageBody": "x"}
        if self.fifo:
            request |= {"MessageGroupId": group, "MessageDeduplicationId": str(self.sent)}
            delay = 0
        else:
            request["DelaySeconds"] = delay
        message_id = self.call("SendMessage", QueueUrl=self.url, **request)["MessageId"]
        self.alive[message_id] = Known(group, self.now + delay)

    @rule(limit=st.integers(1, 10), visibility=st.sampled_from([0, 5, 30]))
    def receive(self, limit: int, visibility: int) -> None:
        offered = self.offered()
        healthy = [message_id for message_id in offered if self.alive[message_id].receives < MOST_RECEIVES]
        before = set(self.dead_ids())
        answer = self.call("ReceiveMessage", QueueUrl=self.url, MaxNumberOfMessages=limit, VisibilityTimeout=visibility)
        given = [message["MessageId"] for message in answer.get("Messages", [])]
        moved = set(self.dead_ids()) - before
        assert moved <= set(offered) - set(healthy)
        assert len(given) == len(set(given))
        assert set(given) <= set(healthy)
        assert len(given) == min(limit, len(healthy))
        if self.fifo:
            for group in "abc":
                here = [message_id for message_id in given if self.alive[message_id].group == group]
                assert here == [one for one in healthy if self.alive[one].group == group][: len(here)]
        for message_id in moved:
            del self.alive[message_id]
        for message in answer.get("Messages", []):
            known = self.alive[message["MessageId"]]
            known.receives += 1
            known.received = True
            known.visible_at = self.now + visibility
            known.received_at = self.now
            known.handle = message["ReceiptHandle"]
            self.handles.append((message["MessageId"], known.handle))

    def dead_ids(self) -> list[str]:
        return [message.message_id for message in self.dead.messages.values()]

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        message_id, handle = data.draw(st.sampled_from(self.handles))
        known = self.alive.get(message_id)
        newest = known is not None and known.handle == handle
        in_time = known is not None and known.visible_at > self.now
        refused = self.refused("DeleteMessage", QueueUrl=self.url, ReceiptHandle=handle)
        assert (refused is not None) == (self.fifo and known is not None and not (newest and in_time))
        if newest and refused is None:
            del self.alive[message_id]
            self.deleted += 1

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), seconds=st.sampled_from([0, 5, 30]))
    def change(self, data: st.DataObject, seconds: int) -> None:
        message_id, handle = data.draw(st.sampled_from(self.handles))
        known = self.alive.get(message_id)
        in_flight = known is not None and known.received and known.visible_at > self.now
        refused = self.refused(
            "ChangeMessageVisibility", QueueUrl=self.url, ReceiptHandle=handle, VisibilityTimeout=seconds
        )
        if known is None:
            assert refused is not None
            return
        assert (refused is not None) == (self.fifo and not (in_flight and known.handle == handle))
        if in_flight and refused is None:
            known.visible_at = self.now + seconds

    @rule(seconds=st.sampled_from([1, 4, 5, 6, 30, 31]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def purge(self) -> None:
        refused = self.refused("PurgeQueue", QueueUrl=self.url)
        assert refused == ("PurgeQueueInProgress" if self.now < self.may_purge_at else None)
        if refused is None:
            self.may_purge_at = self.now + 60
            self.purged += len(self.alive)
            self.alive.clear()

    @invariant()
    def every_message_is_somewhere_once(self) -> None:
        if not hasattr(self, "source"):
            return
        self.source.advance(self.now)
        here = {message.message_id for message in self.source.messages.values()}
        assert here == set(self.alive)
        assert not here & set(self.dead_ids())
        assert self.sent == len(here) + len(self.dead_ids()) + self.deleted + self.purged

    @invariant()
    def counters_agree_with_the_messages(self) -> None:
        if not hasattr(self, "source"):
            return
        self.source.advance(self.now)
        states = [message.state for message in self.source.messages.values()]
        assert self.source.ready == states.count(READY)
        assert self.source.delayed == states.count(DELAYED)
        assert self.source.in_flight == states.count(IN_FLIGHT)
        for message in self.source.messages.values():
            hidden = self.alive[message.message_id].visible_at > self.now
            assert hidden == (message.state is not READY)


class FifoConservation(StandardConservation):
    """The same on a FIFO queue, where groups are locked and ordered."""

    fifo = True


TestStandardConservation = StandardConservation.TestCase
TestStandardConservation.settings = settings(max_examples=60, stateful_step_count=60)
TestFifoConservation = FifoConservation.TestCase
TestFifoConservation.settings = settings(max_examples=60, stateful_step_count=60)
