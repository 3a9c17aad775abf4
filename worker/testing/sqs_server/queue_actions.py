"""SQS server process: the actions that make, find, describe, empty and delete queues."""

import base64
import re
from typing import Any, Final

from worker.testing.sqs_server import limits, queue_attributes, redrive, tags
from worker.testing.sqs_server.broker import Broker, Caller, Entry
from worker.testing.sqs_server.errors import (
    SqsError,
    invalid_parameter,
    missing_parameter,
    no_such_queue,
    unknown_attribute,
)
from worker.testing.sqs_server.fields import integer, required_text, text, text_mapping, texts

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_FIFO_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,75}\.fifo", re.ASCII)
_NAME_RULE: Final = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"


def url_of(entry: Entry, caller: Caller) -> str:
    """The queue's URL as this caller reaches it."""
    return f"{caller.url_base}/{limits.ACCOUNT}/{entry.queue.name}"


def _checked_name(request: dict[str, Any], attributes: dict[str, str]) -> tuple[str, bool]:
    """The name of a queue to be made, and whether it is a FIFO queue."""
    name = text(request, "QueueName")
    if name is None:
        raise invalid_parameter("Value for parameter QueueName is invalid. Reason: Must specify a queue name.")
    if not name:
        raise invalid_parameter("Queue name cannot be empty")
    fifo = attributes.get("FifoQueue", "").lower() == "true"
    if fifo and not _FIFO_NAME.fullmatch(name):
        raise invalid_parameter(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores,"
            " must end with .fifo suffix and be 1 to 80 in length."
        )
    if not fifo and "FifoQueue" in attributes:
        raise unknown_attribute("FifoQueue")
    if not fifo and not _NAME.fullmatch(name):
        raise invalid_parameter(_NAME_RULE)
    return name, fifo


def create_queue(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Makes a queue, or returns the one that is there if nothing given differs from it."""
    given = text_mapping(request, "Attributes")
    wanted_tags = text_mapping(request, "tags") or text_mapping(request, "Tags")
    name, fifo = _checked_name(request, given)
    region = broker.region(caller.region)
    entry = region.entries.get(name)
    if entry is not None:
        different = queue_attributes.difference(entry.attributes, given, fifo=fifo)
        if different is not None:
            raise SqsError(
                "QueueNameExists",
                f"A queue already exists with the same name and a different value for attribute {different}",
            )
        return {"QueueUrl": url_of(entry, caller)}
    deleted = region.deleted.get(name)
    if broker.options.cooldowns and deleted is not None and now - deleted < limits.RECREATE_SECONDS:
        raise SqsError(
            "QueueDeletedRecently",
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        )
    attributes = queue_attributes.merged(queue_attributes.defaults(fifo=fifo), given, fifo=fifo)
    _check_redrive(broker, attributes, broker.arn(region.name, name))
    tags.check(wanted_tags, {}, name)
    entry = broker.create(name, attributes, caller=caller, now=now)
    entry.tags.update(wanted_tags)
    return {"QueueUrl": url_of(entry, caller)}


def _check_redrive(broker: Broker, attributes: dict[str, str], arn: str) -> None:
    policy = attributes.get("RedrivePolicy")
    if not policy:
        return
    read = redrive.read_policy(policy)
    target = broker.entry_of_arn(read.target)
    fifo = attributes.get("FifoQueue") == "true"
    redrive.check_target(read, arn, fifo=fifo, target=target.attributes if target is not None else None)


def delete_queue(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Deletes a queue and what is in it."""
    broker.delete(broker.entry(text(request, "QueueUrl"), caller), caller=caller, now=now)
    return {}


def get_queue_url(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """The URL of a queue of this account."""
    del now
    name = text(request, "QueueName")
    if not name:
        raise invalid_parameter("Value for parameter QueueName is invalid. Reason: Must specify a queue name.")
    owner = text(request, "QueueOwnerAWSAccountId")
    entry = broker.region(caller.region).entries.get(name)
    if entry is None or (owner is not None and owner != limits.ACCOUNT):
        raise no_such_queue()
    return {"QueueUrl": url_of(entry, caller)}


def list_queues(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """The queues of the region, by name, a page at a time."""
    del now
    prefix = text(request, "QueueNamePrefix") or ""
    entries = broker.region(caller.region).entries
    found = [entries[name] for name in sorted(entries) if name.startswith(prefix)]
    return _page(request, found, caller=caller, member="QueueUrls")


def list_dead_letter_source_queues(
    broker: Broker, request: dict[str, Any], now: float, caller: Caller
) -> dict[str, Any]:
    """The queues that have this queue as their dead-letter queue."""
    del now
    target = broker.entry(text(request, "QueueUrl"), caller)
    entries = broker.region(caller.region).entries
    found = [
        entries[name]
        for name in sorted(entries)
        if (policy := entries[name].queue.settings.redrive) is not None and policy.target == target.queue.arn
    ]
    # The one list of the API whose member is always there: its model marks it as required.
    return {"queueUrls": []} | _page(request, found, caller=caller, member="queueUrls")


def _page(request: dict[str, Any], found: list[Entry], *, caller: Caller, member: str) -> dict[str, Any]:
    most = integer(request, "MaxResults") or 0
    if not 0 <= most <= limits.PAGE:
        raise invalid_parameter(
            "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and 1000."
        )
    token = text(request, "NextToken")
    if token:
        after = _after(token)
        found = [entry for entry in found if entry.queue.name > after]
    page = found[: most or limits.PAGE]
    answer: dict[str, Any] = {}
    if page:
        answer[member] = [url_of(entry, caller) for entry in page]
    # Without MaxResults there is no NextToken, however many there are (ListQueues).
    if most and len(found) > len(page):
        answer["NextToken"] = base64.b64encode(page[-1].queue.name.encode()).decode()
    return answer


def _after(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode("ascii")
    except ValueError:
        raise invalid_parameter("Invalid or expired next token.") from None


def get_queue_attributes(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """The attributes asked for; none without names, and no `Attributes` where none of them is set."""
    entry = broker.entry(text(request, "QueueUrl"), caller)
    names = texts(request, "AttributeNames")
    for name in names:
        if name not in queue_attributes.KNOWN:
            raise unknown_attribute(name)
    if not names:
        return {}
    queue = entry.queue
    queue.advance(now)
    queue.expire(now)
    every = entry.attributes | {
        "ApproximateNumberOfMessages": str(queue.ready),
        "ApproximateNumberOfMessagesNotVisible": str(queue.in_flight),
        "ApproximateNumberOfMessagesDelayed": str(queue.delayed),
        "CreatedTimestamp": str(int(entry.created)),
        "LastModifiedTimestamp": str(int(entry.modified)),
        "QueueArn": queue.arn,
    }
    shown = every if "All" in names else {name: every[name] for name in names if name in every}
    return {"Attributes": shown} if shown else {}


def set_queue_attributes(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Changes attributes; all of them or, with an error, none."""
    entry = broker.entry(text(request, "QueueUrl"), caller)
    given = text_mapping(request, "Attributes")
    if not given:
        raise missing_parameter("Attribute.Name")
    attributes = queue_attributes.merged(entry.attributes, given, fifo=entry.queue.settings.fifo)
    if "RedrivePolicy" in given:
        _check_redrive(broker, attributes, entry.queue.arn)
    entry.attributes = attributes
    entry.modified = now
    entry.queue.settings = queue_attributes.settings(attributes)
    entry.queue.deduplication.change_scope(by_group=attributes.get("DeduplicationScope") == "messageGroup", now=now)
    return {}


def purge_queue(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Empties a queue, at most once a minute."""
    entry = broker.entry(required_text(request, "QueueUrl"), caller)
    if broker.options.cooldowns and now - entry.purged < limits.PURGE_SECONDS:
        raise SqsError(
            "PurgeQueueInProgress",
            f"Only one PurgeQueue operation on {entry.queue.name} is allowed every 60 seconds.",
        )
    entry.purged = now
    entry.queue.purge()
    if broker.events is not None:
        broker.events.record("purge", now=now, queue=entry.queue.name)
    return {}
