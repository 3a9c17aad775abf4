"""SQS server process: RedrivePolicy and RedriveAllowPolicy: which dead-letter queue a queue may have."""

import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from worker.testing.sqs_server.errors import SqsError, invalid_attribute, invalid_value

_ARN: Final = re.compile(r"arn:[\w-]+:([\w-]+):([\w-]*):(\d*):(.+)", re.ASCII)
_UNSUPPORTED: Final = "Amazon SQS can't create the redrive allow policy, as it\u2019s in an unsupported format."
_SOURCES: Final = 10


@dataclass(frozen=True, slots=True)
class RedrivePolicy:
    """Where messages go whose receives exceed `receives`; `text` is what GetQueueAttributes shows."""

    target: str
    receives: int
    text: str


@dataclass(frozen=True, slots=True)
class QueueArn:
    """The parts of a queue's ARN that tell queues apart."""

    region: str
    account: str
    name: str


def read_arn(arn: str) -> QueueArn | None:
    """The parts of a queue ARN; None where it is no ARN of a queue."""
    match = _ARN.fullmatch(arn)
    if match is None or match[1] != "sqs":
        return None
    return QueueArn(match[2], match[3], match[4])


def _bad(text: str, reason: str) -> SqsError:
    return invalid_value(text, "RedrivePolicy", reason)


def _receives(value: object, text: str) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value, re.ASCII):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1000:
        raise _bad(text, f"Invalid value for maxReceiveCount: {value}, valid values are from 1 to 1000 both inclusive.")
    return value


def read_policy(text: str) -> RedrivePolicy:
    """Reads a RedrivePolicy. Raises SqsError for what SQS refuses before it looks for the dead-letter queue."""
    try:
        policy = orjson.loads(text)
    except orjson.JSONDecodeError:
        policy = None
    if not isinstance(policy, dict):
        raise invalid_attribute("RedrivePolicy", "Redrive policy is not a valid JSON map.")
    for name in ("maxReceiveCount", "deadLetterTargetArn"):
        if name not in policy:
            raise _bad(text, f"Redrive policy does not contain mandatory attribute: {name}.")
    if len(policy) > 2:
        raise _bad(text, "Only following attributes are supported: [maxReceiveCount, deadLetterTargetArn].")
    receives = _receives(policy["maxReceiveCount"], text)
    target = policy["deadLetterTargetArn"]
    match = _ARN.fullmatch(target) if isinstance(target, str) else None
    if match is None:
        raise _bad(text, "Invalid value for deadLetterTargetArn.")
    if match[1] != "sqs":
        raise _bad(text, "Only SQS queues are valid resources for deadLetterTargetArn.")
    kept = {**policy, "maxReceiveCount": receives}
    return RedrivePolicy(target, receives, orjson.dumps(kept).decode())


def read_allow_policy(text: str) -> dict[str, Any]:
    """Reads a RedriveAllowPolicy. Raises SqsError for what SQS refuses."""
    try:
        policy = orjson.loads(text)
    except orjson.JSONDecodeError:
        policy = None
    if not isinstance(policy, dict) or policy.keys() - {"redrivePermission", "sourceQueueArns"}:
        raise invalid_attribute("RedriveAllowPolicy", _UNSUPPORTED)
    permission = policy.get("redrivePermission")
    sources = policy.get("sourceQueueArns", [])
    if permission not in ("allowAll", "denyAll", "byQueue"):
        raise invalid_attribute("RedriveAllowPolicy", _UNSUPPORTED)
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        raise invalid_attribute("RedriveAllowPolicy", _UNSUPPORTED)
    refused = "Amazon SQS can't create the redrive allow policy."
    if permission == "byQueue" and not sources:
        reason = (
            "When you specify the byQueue permission type, you must also specify one or more sourceQueueArns values."
        )
        raise invalid_value(text, "RedriveAllowPolicy", f"{refused} {reason}")
    if permission != "byQueue" and sources:
        reason = "To specify one or more source queue ARNs, you must set redrivePermission to byQueue."
        raise invalid_value(text, "RedriveAllowPolicy", f"{refused} {reason}")
    if len(sources) > _SOURCES:
        reason = "The maximum number of source queue ARNs you can specify is 10."
        raise invalid_value(text, "RedriveAllowPolicy", f"{refused} {reason}")
    return policy


def allows(allow_policy: str | None, source_arn: str) -> bool:
    """Whether a dead-letter queue with this RedriveAllowPolicy takes messages of the source queue."""
    if not allow_policy:
        return True
    policy = read_allow_policy(allow_policy)
    if policy["redrivePermission"] == "byQueue":
        return source_arn in policy["sourceQueueArns"]
    return bool(policy["redrivePermission"] == "allowAll")


def check_target(policy: RedrivePolicy, source_arn: str, *, fifo: bool, target: dict[str, str] | None) -> None:
    """Refuses a dead-letter queue of the other type, one that is not there, and one that does not allow this source.

    `target` holds the dead-letter queue's attributes, None where there is no such queue.
    """
    if policy.target.endswith(".fifo") != fifo:
        raise _bad(policy.text, "Dead-letter queue must be same type of queue as the source..")
    if target is None:
        raise _bad(policy.text, "Dead letter target does not exist.")
    if not allows(target.get("RedriveAllowPolicy"), source_arn):
        raise _bad(policy.text, f"The dead-letter queue's redrive allow policy does not permit {source_arn}.")
