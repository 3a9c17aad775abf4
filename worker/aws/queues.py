"""Poller process: what a `[queues.*]` table means in AWS: its URL, its dead-letter queue, whether it is FIFO."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from worker.aws import actions
from worker.aws.errors import Refused
from worker.aws.session import Session
from worker.policy.failures import Failure, FailureKind
from worker.settings import QueueSettings

#: Makes one call: the action and its members; gives the answer. Raises Refused.
Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
#: Dead-letter queues may have dead-letter queues; a longer chain is not followed to see whether it leads back.
_LONGEST_CHAIN = 5


class Unresolved(Exception):
    """The queue cannot be resolved; `failure.kind` says whether trying again may help."""

    def __init__(self, text: str, failure: Failure) -> None:
        super().__init__(text)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class ResolvedQueue:
    """A queue as AWS knows it."""

    url: str
    fifo: bool
    dead_letter: str = ""  #: URL, or nothing
    dead_letter_why: str = ""  #: why there is none
    receives: int = 0  #: maxReceiveCount, 0 without a redrive policy

    def to_json(self) -> dict[str, Any]:
        """As it travels to a successor, which then need not ask again."""
        return asdict(self)


def resolve(session: Session, ask: Ask, queue: QueueSettings) -> ResolvedQueue:
    """Look everything up. Raises Unresolved; a denied GetQueueAttributes only means no dead-letter queue by policy."""
    url = _url(session, ask, queue)
    # By the suffix, never by MessageGroupId: fair queues put that on standard queues.
    fifo = url.endswith(".fifo")
    try:
        policy = _redrive_policy(ask, url)
    except Refused as error:
        failure = error.failure
        if failure.kind is not FailureKind.DENIED:
            raise Unresolved(f"queue {queue.name}: cannot read the attributes of {url}: {failure}", failure) from error
        policy = {}
    receives = int(policy.get("maxReceiveCount", 0))
    if queue.dead_letter:
        target = _named(ask, queue, queue.dead_letter)
        loops = target == url
    else:
        arn = policy.get("deadLetterTargetArn", "")
        if not arn:
            return ResolvedQueue(url, fifo, dead_letter_why="the queue has no redrive policy", receives=receives)
        target = _named(ask, queue, arn)
        loops = _leads_back(ask, target, url)
    if loops:
        why = f"its dead-letter queue {target} leads back to it"
        return ResolvedQueue(url, fifo, dead_letter_why=why, receives=receives)
    if target.endswith(".fifo") != fifo:
        why = f"its dead-letter queue {target} is not of the same kind (FIFO)"
        return ResolvedQueue(url, fifo, dead_letter_why=why, receives=receives)
    return ResolvedQueue(url, fifo, dead_letter=target, receives=receives)


def queue_url(ask: Ask, name: str) -> str:
    """The URL of a queue given as URL, ARN or name. Raises Refused."""
    if name.startswith(("http://", "https://")):
        return name
    return str(ask("GetQueueUrl", actions.naming(name))["QueueUrl"])


def _url(session: Session, ask: Ask, queue: QueueSettings) -> str:
    if not queue.ssm:
        return _named(ask, queue, queue.url or queue.queue_name)
    try:
        return _named(ask, queue, session.parameter(queue.ssm).strip())
    except Refused as error:
        failure = error.failure
        if failure.code == "ParameterNotFound":
            failure = Failure(FailureKind.QUEUE_GONE, failure.code, failure.text)
        raise Unresolved(
            f"queue {queue.name}: cannot read the SSM parameter {queue.ssm}: {failure}", failure
        ) from error


def _named(ask: Ask, queue: QueueSettings, name: str) -> str:
    try:
        return queue_url(ask, name)
    except Refused as error:
        failure = error.failure
        raise Unresolved(f"queue {queue.name}: cannot find {name!r} in SQS: {failure}", failure) from error


def _redrive_policy(ask: Ask, url: str) -> dict[str, Any]:
    answer = ask("GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["RedrivePolicy"]})
    policy: dict[str, Any] = json.loads(answer.get("Attributes", {}).get("RedrivePolicy", "{}"))
    return policy


def _leads_back(ask: Ask, target: str, source: str) -> bool:
    for _ in range(_LONGEST_CHAIN):
        if target == source:
            return True
        try:
            arn = _redrive_policy(ask, target).get("deadLetterTargetArn")
            if not arn:
                return False
            target = queue_url(ask, arn)
        except Refused:
            return False  # not ours to read: then it is not this queue, which we may read
    return False
