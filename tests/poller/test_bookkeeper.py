"""What the poller tells CloudWatch and the log of its deletes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from tests.poller.test_way import work_off
from tests.poller.world import World
from worker.message import Kind
from worker.policy.delivery import Delivery, Received
from worker.policy.failures import Failure, FailureKind
from worker.poller.bookkeeper import Bookkeeper, trace_id
from worker.protocol import ControlFrame
from worker.settings import CloudWatchSettings
from worker.telemetry import Log


class Sink:
    """Stands where CloudWatch's thread is: takes counts, and tries them when it is told to."""

    def __init__(self) -> None:
        self.puts: list[dict[str, int]] = []
        self.idle = True
        self.trouble: Failure | None = None

    def put(self, counts: Mapping[str, int], queue_name: str) -> None:
        assert queue_name == "work"
        self.puts.append(dict(counts))

    def failure(self) -> Failure | None:
        return self.trouble

    def total(self, name: str) -> int:
        return sum(one.get(name, 0) for one in self.puts)


def keep(world: World, *, sink: Sink | None = None, log_level: str = "info", **settings: object) -> None:
    world.state.book = Bookkeeper(
        CloudWatchSettings(namespace="Shop", **settings),  # type: ignore[arg-type]
        queue_name="work",
        log=Log(log_level, human=False),
        metrics=sink,
        wall=lambda: 1_735_689_600.25,
    )


def test_confirmed_deletes_are_put_once_a_period(worlds: Callable[..., World]) -> None:
    """Every delete is counted once, those of rejected messages too; a period without any puts nothing.

    The first ones are put within about a second, so that an alarm need not wait for a period.
    """
    world, sink = worlds(wait=1.0), Sink()
    keep(world, sink=sink, period=10.0, deleted="Gone")
    world.send(*[str(n) for n in range(30)])
    assert work_off(world, seconds=3.0) == 30
    assert sink.puts == [{"Gone": 30}]
    world.send("bad")
    world.run(0.5)
    handler = world.handlers[0]
    handler.read()
    handler.start()
    handler.finish(Kind.REJECT, reason="bad")
    world.run(5.0)
    assert len(sink.puts) == 1
    world.run(5.0)
    assert sink.puts == [{"Gone": 30}, {"Gone": 1}]
    world.run(30.0)
    assert len(sink.puts) == 2
    assert world.depth(world.dlq) == (1, 0)


@pytest.mark.parametrize("fault", [{"effect": "unavailable"}, {"effect": "fail_entries", "share": 1.0}])
def test_deletes_that_fail_are_counted_at_each_try(worlds: Callable[..., World], fault: dict[str, object]) -> None:
    """A message is confirmed once in the end; what failed before is more than one try."""
    world, sink = worlds(wait=1.0), Sink()
    keep(world, sink=sink, period=1.0)
    world.fault(action="DeleteMessageBatch", until=5, **fault)
    world.send("1", "2")
    work_off(world, seconds=20.0)
    world.run(5.0)
    assert sink.total("MessagesDeleted") == 2
    assert sink.total("SQSDeleteError") >= 4
    assert world.depth() == (0, 0)


def drain(world: World, seconds: float) -> float | None:
    """Order a drain, and let time pass till it is over; when that was, if it was."""
    start = world.clock.now
    world.loop.stopping.begin(start + seconds, start)
    while world.clock.now < start + seconds + 1:
        world.settle()
        if world.loop.stopping.code is not None:
            return world.clock.now - start
        world.clock.now += 0.02
    return None


def test_the_end_of_a_drain_puts_what_is_left(worlds: Callable[..., World]) -> None:
    """The last counts need not wait for their period."""
    world, sink = worlds(wait=1.0), Sink()
    keep(world, sink=sink, period=3600.0)
    for bodies in (("0",), ("1", "2", "3")):
        world.send(*bodies)
        work_off(world, seconds=2.0)
    assert sink.puts == [{"MessagesDeleted": 1}]
    assert drain(world, 20.0) is not None
    assert sink.puts == [{"MessagesDeleted": 1}, {"MessagesDeleted": 3}]
    assert world.loop.stopping.code == 0


def test_a_cloudwatch_that_does_not_answer_holds_a_drain_up_for_two_seconds(worlds: Callable[..., World]) -> None:
    """Then the drain ends as it would have, with 0; and never later than its deadline."""
    spans = {}
    for name, idle in (("quick", True), ("stuck", False)):
        world, sink = worlds(wait=1.0), Sink()
        keep(world, sink=sink)
        sink.idle = idle
        spans[name] = drain(world, 20.0)
        assert world.loop.stopping.code == 0
    assert spans["quick"] is not None
    assert spans["stuck"] is not None
    assert 1.9 < spans["stuck"] - spans["quick"] < 2.2
    world, sink = worlds(wait=1.0), Sink()
    keep(world, sink=sink)
    sink.idle = False
    short = drain(world, 1.5)
    assert short is not None
    assert short < 1.6


def test_a_failure_is_told_at_once_and_then_every_ten_minutes(
    worlds: Callable[..., World], capfd: pytest.CaptureFixture[str]
) -> None:
    """Not with every period; the reason and the namespace are in the line."""
    world, sink = worlds(wait=1.0), Sink()
    keep(world, sink=sink, period=1.0)
    sink.trouble = Failure(FailureKind.DENIED, "AccessDenied", "no PutMetricData for you")
    world.run(590.0, step=1.0)
    told = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(one["event"], one["namespace"]) for one in told] == [("metrics_not_put", "Shop")]
    assert "no PutMetricData for you" in told[0]["why"]
    world.run(30.0, step=1.0)
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_each_delete_is_a_line_with_exactly_these_keys(
    worlds: Callable[..., World], capfd: pytest.CaptureFixture[str]
) -> None:
    """One success a message; an error a failed try, with its reason; the trace id is the header's root."""
    world = worlds(wait=1.0)
    keep(world, log_deletes_as="sqs_delete_message")
    header = {
        "AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"}
    }
    sent = world.server.call("SendMessage", QueueUrl=world.url, MessageBody="a", MessageSystemAttributes=header)
    plain = world.server.call("SendMessage", QueueUrl=world.url, MessageBody="b")["MessageId"]
    world.fault(action="DeleteMessageBatch", effect="fail_entries", share=1.0, count=1)
    work_off(world, seconds=10.0)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert {tuple(line) for line in lines} == {("trace_id", "action", "status", "details", "timestamp")}
    assert {(line["action"], line["timestamp"]) for line in lines} == {
        ("sqs_delete_message", "2025-01-01T00:00:00.250Z")
    }
    done = Counter((line["trace_id"], line["details"]["message_id"]) for line in lines if line["status"] == "success")
    assert done == {("1-5759e988-bd862e3fe1be46a994272793", sent["MessageId"]): 1, (plain, plain): 1}
    failed = [line["details"] for line in lines if line["status"] == "error"]
    assert failed
    assert {one["queue_name"] for one in failed} == {"work"}
    assert all(one["error"] for one in failed)


def test_lines_follow_the_log_level(worlds: Callable[..., World], capfd: pytest.CaptureFixture[str]) -> None:
    """With `error`, failures alone are written."""
    world = worlds(wait=1.0)
    keep(world, log_level="error", log_deletes_as="deleted")
    world.send("1", "2")
    assert work_off(world, seconds=3.0) == 2
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Root=1-67891233-abcdef012345678912345678", "1-67891233-abcdef012345678912345678"),
        ("Self=x;Root=1-2-3;Parent=4", "1-2-3"),
        ("Parent=4; Root=1-2-3", "1-2-3"),
        ("Root=", "the-id"),
        ("nonsense", "the-id"),
        ("", "the-id"),
        (f"Root={'x' * 500}", "x" * 128),
    ],
)
def test_the_trace_id_is_the_headers_root_or_the_messages_id(header: str, expected: str) -> None:
    """Whatever a producer wrote there; a successor, which has no attributes, uses the id."""
    delivery = Delivery(1, "the-id", receipt="r", group="", received_at=0.0)
    assert trace_id(delivery) == "the-id"
    delivery.message = Received("the-id", "r", b"", {"AWSTraceHeader": header} if header else {}, {})
    assert trace_id(delivery) == expected


def test_an_order_to_drain_is_answered_after_the_last_put(worlds: Callable[..., World]) -> None:
    """DRAINED is the poller's last word: the supervisor may end it then."""
    world, sink = worlds(wait=1.0), Sink()
    keep(world, sink=sink)
    world.send("1")
    work_off(world, seconds=2.0)
    sink.idle = False
    start = world.clock.now
    world.loop.stopping.begin(start + 20, start)
    world.run(1.5, step=0.02)
    assert sink.puts == [{"MessagesDeleted": 1}]
    assert ControlFrame.DRAINED not in [frame.kind for frame in world.orders()]
    sink.idle = True
    world.run(0.5, step=0.02)
    assert ControlFrame.DRAINED in [frame.kind for frame in world.orders()]
