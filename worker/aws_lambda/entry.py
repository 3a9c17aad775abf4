"""Lambda function: its entry point: an event of SQS in, the messages that failed out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from worker.aws_lambda.event import Delivery, read_event
from worker.aws_lambda.runner import Outcomes, Runner, runner_for
from worker.aws_lambda.turns import Turns
from worker.handler.describe import describe, describe_traceback
from worker.handler.form import form_of, uncallable, yields
from worker.handler.middleware import Middleware, wrap_fitting
from worker.handler.typed import typed
from worker.message import Kind, Message
from worker.protocol import Outcome
from worker.telemetry import Log

if TYPE_CHECKING:
    from worker.aws.forwarder import Forwarder

#: Seconds kept back from the handler function, so that the answer is given before Lambda ends the invocation: without
#: an answer all messages of the event come again, also those that are done.
_RESERVE = 0.5

#: What Lambda calls: the event, and its context.
LambdaHandler = Callable[[Any, Any], dict[str, list[dict[str, str]]]]


def entry_point(
    handler: Callable[..., Any], *, middleware: Sequence[Middleware] = (), envelope: str = "", concurrency: int = 100
) -> LambdaHandler:
    """A Lambda handler that runs a handler function on each message of an event of SQS.

    It answers `{"batchItemFailures": [{"itemIdentifier": MessageId}, ...]}`. A message is done when the handler
    function has returned, or its `Forward` was sent and confirmed; it has failed after an exception, `Retry` or
    `Reject`, and SQS gives it out again after the queue's visibility timeout, or moves it to the dead-letter queue:
    `after` and the dead letter of a `Reject` are a pool's. Of a FIFO queue the rest of a group fails unrun after a
    failure. Half a second before the invocation's end what has not started fails unrun, and an `async def` that runs is
    cancelled.

    A plain function runs on one message after the other, an `async def` on up to `concurrency` at once, one that takes
    a list on all of an event (of a FIFO queue, one of each group). `middleware` goes around it, outermost first;
    `envelope` is as in a queue's table.

    The Lambda handler raises NotSQS for an event that is none of SQS. Failures are logged with message ids, a JSON line
    each, on standard error. Raises TypeError for functions that a pool would refuse.
    """
    function = typed(handler, envelope=envelope)
    if fault := yields(handler) or uncallable(function):
        raise TypeError(f"cannot use {handler!r}: {fault}")
    function = wrap_fitting(function, middleware)
    invocations = _Invocations(runner_for(function, form_of(function), concurrency=concurrency))

    def lambda_handler(event: Any, context: Any) -> dict[str, list[dict[str, str]]]:
        return invocations.run(event, context)

    return lambda_handler


class _Invocations:
    """What outlives one invocation: the runner's event loop, clients, the log."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._forwarder: Forwarder | None = None
        self._log = Log(human=False, process="lambda")
        self._told: set[str] = set()  #: messages whose failure is in the log already

    def run(self, event: Any, context: Any) -> dict[str, list[dict[str, str]]]:
        """One invocation."""
        deliveries = read_event(event)
        self._told.clear()
        self._log.about(request=getattr(context, "aws_request_id", None))
        end = _end(context)
        turns = Turns(deliveries)
        for heads in turns:
            for some, outcomes in self._runner.run(heads, end=end, report=self._report):
                self._settle(turns, some, outcomes, end=end)
        for one in turns.unrun():
            reason = "not started: a message of its group before it failed"
            self._log.warning("message_retried", message=one.parcel.id, queue=one.queue, reason=reason)
        return {"batchItemFailures": [{"itemIdentifier": one.parcel.id} for one in turns.failed()]}

    def _settle(self, turns: Turns, deliveries: Sequence[Delivery], outcomes: Outcomes, *, end: float) -> None:
        for delivery, outcome in zip(deliveries, outcomes, strict=True):
            if outcome is None or (outcome.kind is Kind.FORWARD and self._forward(delivery, outcome, end=end)):
                turns.done(delivery)
            elif outcome.kind is not Kind.FORWARD and delivery.parcel.id not in self._told:
                event = "message_rejected" if outcome.kind is Kind.REJECT else "message_retried"
                self._log.warning(event, message=delivery.parcel.id, queue=delivery.queue, reason=outcome.reason)

    def _forward(self, delivery: Delivery, outcome: Outcome, *, end: float) -> bool:
        """Whether it was sent. It may take its time out of the reserve, but not begin when half of that is over."""
        from worker.aws.forwarder import Forwarder  # botocore, which functions that forward nothing need not import
        from worker.policy.requests import Outgoing

        if self._forwarder is None:
            self._forwarder = Forwarder()
        group, deduplication = outcome.group_id, outcome.deduplication_id
        if outcome.queue.endswith(".fifo"):  # as a poller does it
            parcel = delivery.parcel
            group = group or parcel.attributes.get("MessageGroupId") or parcel.id
            deduplication = deduplication or parcel.id
        outgoing = Outgoing(outcome.body, outcome.attributes or {}, group, deduplication, outcome.delay)
        try:
            if time.monotonic() >= end + _RESERVE / 2:
                raise TimeoutError("not sent: the invocation's time is up")
            self._forwarder.send(outcome.queue, outgoing)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from being sent, the source must not be deleted
            told = {"message": delivery.parcel.id, "queue": delivery.queue, "to": outcome.queue}
            self._log.error("forward_failed", **told, error=describe(error))
            return False
        return True

    def _report(self, message: Message, error: BaseException) -> None:
        self._told.add(message.id)
        self._log.error(
            "message_failed",
            message=message.id,
            queue=message.queue,
            receive_count=message.attributes.get("ApproximateReceiveCount"),
            error=describe(error),
            traceback=describe_traceback(error),
        )


def _end(context: Any) -> float:
    """When handler functions have to be done, by the monotonic clock. A test may give no context: then never."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return time.monotonic() + remaining() / 1000 - _RESERVE if remaining is not None else float("inf")
