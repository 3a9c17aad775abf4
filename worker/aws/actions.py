"""Poller process: our requests as actions of SQS, and what SQS's answers say of them. Both clients use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from worker.aws import payloads
from worker.aws.errors import entry_failure
from worker.policy.delivery import Received
from worker.policy.failures import UNTOLD, Failure, FailureKind
from worker.policy.requests import Delete, Depth, Hide, Look, Receive, Request, Send

#: Characters of a body or value that are worth hiding: of a shorter one each letter of an error may be a part.
_SHORTEST = 6
#: What a Look asks for, in the order of Depth.
_DEPTH = tuple(f"ApproximateNumberOfMessages{suffix}" for suffix in ("", "NotVisible", "Delayed"))
_MISSING = Failure(FailureKind.TRANSIENT, UNTOLD, "SQS answered neither Successful nor Failed for this entry")


def receiving(request: Receive, url: str) -> dict[str, Any]:
    """The members of a ReceiveMessage."""
    members: dict[str, Any] = {
        "QueueUrl": url,
        "MaxNumberOfMessages": request.count,
        "WaitTimeSeconds": request.wait,
        "VisibilityTimeout": request.visibility,
        "MessageSystemAttributeNames": ["All"],
        "MessageAttributeNames": ["All"],
    }
    return members | {"ReceiveRequestAttemptId": request.attempt} if request.attempt else members


def naming(name: str) -> dict[str, str]:
    """The members of a GetQueueUrl for a queue given as ARN or name."""
    if not name.startswith("arn:"):
        return {"QueueName": name}
    *_, account, plain = name.split(":")
    return {"QueueName": plain, "QueueOwnerAWSAccountId": account}


def looking(url: str) -> dict[str, Any]:
    """The members of a GetQueueAttributes that answers a Look."""
    return {"QueueUrl": url, "AttributeNames": list(_DEPTH)}


def depth(answer: dict[str, Any]) -> Depth:
    """How many messages the queue has. Raises KeyError and its kin for what is no answer."""
    attributes = answer["Attributes"]
    return Depth(*(int(attributes[name]) for name in _DEPTH))


def batch(request: Request, url: str, *, binary: Callable[[str], str | bytes]) -> tuple[str, dict[str, Any]]:
    """A batch's action and its members; entry ids are positions. `binary` as in payloads.sending."""
    entries: list[dict[str, Any]]
    if isinstance(request, Delete):
        action = "DeleteMessageBatch"
        entries = [{"Id": str(i), "ReceiptHandle": receipt} for i, receipt in enumerate(request.receipts)]
    elif isinstance(request, Hide):
        action = "ChangeMessageVisibilityBatch"
        entries = [
            {"Id": str(i), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for i, (receipt, seconds) in enumerate(request.entries)
        ]
    elif isinstance(request, Send):
        action = "SendMessageBatch"
        entries = [payloads.sending(i, outgoing, binary=binary) for i, outgoing in enumerate(request.entries)]
    else:
        raise TypeError(f"{type(request).__name__} is not a batch")
    return action, {"QueueUrl": url, "Entries": entries}


def messages(answer: dict[str, Any]) -> tuple[tuple[Received, ...], int]:
    """What a receive brought, and how many more that nobody can own. Raises TypeError for what is no list."""
    shapes = answer.get("Messages") or ()
    if not isinstance(shapes, list | tuple):
        raise TypeError(f"Messages is {type(shapes).__name__}")
    found = tuple(one for shape in shapes if (one := payloads.received(shape)) is not None)
    return found, len(shapes) - len(found)


def entries(answer: dict[str, Any], request: Request) -> tuple[Failure | None, ...]:
    """Per entry of a batch, in order: None where it is confirmed. Raises KeyError and its kin for what is no answer."""
    assert not isinstance(request, Receive | Look)  # noqa: S101 - they have no entries
    count = len(request.receipts if isinstance(request, Delete) else request.entries)
    failed = answer.get("Failed") or ()
    results: dict[str, Failure | None] = {entry["Id"]: None for entry in answer.get("Successful") or ()}
    if failed:
        secrets = hidden(request)
        results |= {entry["Id"]: entry_failure(entry, secrets) for entry in failed}
    return tuple(results.get(str(i), _MISSING) for i in range(count))


def message_ids(answer: dict[str, Any], request: Request) -> tuple[str, ...]:
    """Per entry of a send, in order: what SQS named it; nothing for other requests. Never raises after entries()."""
    if not isinstance(request, Send):
        return ()
    found = {entry["Id"]: str(entry.get("MessageId", "")) for entry in answer.get("Successful") or ()}
    return tuple(found.get(str(i), "") for i in range(len(request.entries)))


def hidden(request: Request) -> list[str]:
    """What an error may echo, and no log may show: receipt handles, bodies, values of attributes."""
    if isinstance(request, Delete):
        return list(request.receipts)
    if isinstance(request, Hide):
        return [receipt for receipt, _ in request.entries]
    if not isinstance(request, Send):
        return []
    bodies = [entry.body.decode(errors="replace") for entry in request.entries]
    attributes = [one for entry in request.entries for one in entry.attributes.values()]
    values = [text for one in attributes for key, text in one.items() if key != "DataType"]
    return [text for text in (*bodies, *values) if len(text) >= _SHORTEST]
