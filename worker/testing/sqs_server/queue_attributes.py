"""SQS server process: queue attributes: which exist, what they may hold, and what GetQueueAttributes shows of them."""

import re
from dataclasses import dataclass
from typing import Final

import orjson

from worker.testing.sqs_server import limits, redrive
from worker.testing.sqs_server.errors import SqsError, invalid_attribute, unknown_attribute

#: Numeric attributes: lowest, highest, default (SetQueueAttributes).
_NUMBERS: Final[dict[str, tuple[int, int, int]]] = {
    "DelaySeconds": (0, limits.DELAY_SECONDS, 0),
    "MaximumMessageSize": (1_024, limits.MESSAGE_BYTES, limits.MESSAGE_BYTES),
    "MessageRetentionPeriod": (60, 1_209_600, 345_600),
    "ReceiveMessageWaitTimeSeconds": (0, limits.WAIT_SECONDS, 0),
    "VisibilityTimeout": (0, limits.VISIBILITY_SECONDS, 30),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400, 300),
}
_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)
_BOOLEANS: Final = frozenset({"FifoQueue", "ContentBasedDeduplication", "SqsManagedSseEnabled"})
_CHOICES: Final = {
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
}
#: Removed by an empty value.
_CLEARABLE: Final = frozenset({"Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId"})
_COUNTERS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
)
_SETTABLE: Final = frozenset(_NUMBERS) | _BOOLEANS | frozenset(_CHOICES) | _CLEARABLE
KNOWN: Final = _SETTABLE | frozenset(_COUNTERS) | {"All"}
_TWO_ENCRYPTIONS: Final = (
    "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE."
)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """The attributes that rule a queue's behaviour; times in seconds, sizes in bytes."""

    fifo: bool
    delay: float
    maximum_size: int
    retention: float
    wait: float
    visibility: float
    content_based_deduplication: bool
    redrive: redrive.RedrivePolicy | None


def defaults(*, fifo: bool) -> dict[str, str]:
    """The attributes of a queue that was created without any."""
    attributes = {name: str(number[2]) for name, number in _NUMBERS.items() if not name.startswith("Kms")}
    attributes["SqsManagedSseEnabled"] = "true"
    if fifo:
        attributes |= {
            "FifoQueue": "true",
            "ContentBasedDeduplication": "false",
            "DeduplicationScope": "queue",
            "FifoThroughputLimit": "perQueue",
        }
    return attributes


def _normal(name: str, value: str) -> str:
    """The value as it is kept. Raises InvalidAttributeValue."""
    if not value and name in _CLEARABLE:
        return ""
    if name in _NUMBERS:
        low, high, _ = _NUMBERS[name]
        if not _NUMBER.fullmatch(value) or not low <= int(value) <= high:
            raise invalid_attribute(name)
        return str(int(value))
    if name in _BOOLEANS:
        if value.lower() not in ("true", "false"):
            raise invalid_attribute(name)
        return value.lower()
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise invalid_attribute(name)
        return value
    if name == "RedrivePolicy":
        return redrive.read_policy(value).text
    if name == "RedriveAllowPolicy":
        redrive.read_allow_policy(value)
    if name == "Policy":
        _check_policy(value)
    return value


def _check_policy(value: str) -> None:
    """A queue policy must be a JSON object and within the limits; it is kept as it came and not enforced."""
    try:
        policy = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise invalid_attribute("Policy") from None
    if not isinstance(policy, dict):
        raise invalid_attribute("Policy")
    statements = policy.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    if len(statements) > limits.POLICY_STATEMENTS:
        raise SqsError(
            "OverLimit", f"{len(statements)} statements were found in the submitted policy, max allowed is 20"
        )
    for statement in statements:
        actions = statement.get("Action") if isinstance(statement, dict) else None
        if isinstance(actions, list) and len(actions) > limits.STATEMENT_ACTIONS:
            raise SqsError(
                "OverLimit",
                f"{len(actions)} actions were found in a statement from the submitted policy, max allowed is 7",
            )


def _check_type(given: dict[str, str], *, fifo: bool) -> None:
    """Refuses attributes of the other type of queue (messages recorded on AWS)."""
    for name, value in given.items():
        if name not in _SETTABLE:
            raise unknown_attribute(name)
        if fifo:
            if name == "FifoQueue" and value.lower() != "true":
                raise invalid_attribute(name, "Modifying queue type is not supported.")
        elif name in ("FifoQueue", "ContentBasedDeduplication"):
            raise unknown_attribute(name)
        elif name in _CHOICES:
            raise SqsError("InvalidAttributeName", f"You can specify the {name} only when FifoQueue is set to true.")


def merged(current: dict[str, str], given: dict[str, str], *, fifo: bool) -> dict[str, str]:
    """The attributes after `given` was set on `current`. Raises SqsError and then changes nothing."""
    _check_type(given, fifo=fifo)
    wanted = {name: _normal(name, value) for name, value in given.items()}
    if wanted.get("KmsMasterKeyId") and wanted.get("SqsManagedSseEnabled") == "true":
        raise SqsError("InvalidAttributeName", _TWO_ENCRYPTIONS)
    result = current | wanted
    if wanted.get("KmsMasterKeyId"):
        result["SqsManagedSseEnabled"] = "false"
        result.setdefault("KmsDataKeyReusePeriodSeconds", "300")
    elif wanted.get("SqsManagedSseEnabled") == "true":
        result["KmsMasterKeyId"] = ""
    if not result.get("KmsMasterKeyId"):
        result.pop("KmsDataKeyReusePeriodSeconds", None)
    if result.get("FifoThroughputLimit") == "perMessageGroupId" and result["DeduplicationScope"] != "messageGroup":
        raise invalid_attribute(
            "FifoThroughputLimit",
            "The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup",
        )
    return {name: value for name, value in result.items() if value}


def settings(attributes: dict[str, str]) -> QueueSettings:
    """The attributes as the queue uses them."""
    policy = attributes.get("RedrivePolicy")
    return QueueSettings(
        fifo=attributes.get("FifoQueue") == "true",
        delay=float(attributes["DelaySeconds"]),
        maximum_size=int(attributes["MaximumMessageSize"]),
        retention=float(attributes["MessageRetentionPeriod"]),
        wait=float(attributes["ReceiveMessageWaitTimeSeconds"]),
        visibility=float(attributes["VisibilityTimeout"]),
        content_based_deduplication=attributes.get("ContentBasedDeduplication") == "true",
        redrive=redrive.read_policy(policy) if policy else None,
    )


def difference(current: dict[str, str], given: dict[str, str], *, fifo: bool) -> str | None:
    """The first attribute of a repeated CreateQueue that differs from the queue's; None where all agree."""
    wanted = merged(current, given, fifo=fifo) if given else current
    for name in given:
        if wanted.get(name) != current.get(name):
            return name
    return None
