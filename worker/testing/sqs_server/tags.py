"""SQS server process: TagQueue, UntagQueue, ListQueueTags."""

from typing import Any

from worker.testing.sqs_server import limits
from worker.testing.sqs_server.broker import Broker, Caller
from worker.testing.sqs_server.errors import invalid_parameter, missing_parameter
from worker.testing.sqs_server.fields import text, text_mapping, texts


def check(wanted: dict[str, str], current: dict[str, str], queue_name: str) -> None:
    """Refuses tags beyond the limits of a queue (developer guide, queue quotas)."""
    for key, value in wanted.items():
        if not 1 <= len(key) <= limits.TAG_KEY:
            raise invalid_parameter("Tag keys must be between 1 and 128 characters in length.")
        if len(value) > limits.TAG_VALUE:
            raise invalid_parameter("Tag values must be between 0 and 256 characters in length.")
        if key.lower().startswith("aws:"):
            raise invalid_parameter("Tag keys that start with 'aws:' are reserved for internal use.")
    if len(current.keys() | wanted.keys()) > limits.TAGS:
        raise invalid_parameter(f"Too many tags added for queue {queue_name}.")


def tag_queue(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Adds tags; a key that is there gets the new value."""
    del now
    entry = broker.entry(text(request, "QueueUrl"), caller)
    wanted = text_mapping(request, "Tags")
    if not wanted:
        raise missing_parameter("Tags")
    check(wanted, entry.tags, entry.queue.name)
    entry.tags.update(wanted)
    return {}


def untag_queue(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Removes tags; keys that are not there do not matter."""
    del now
    entry = broker.entry(text(request, "QueueUrl"), caller)
    keys = texts(request, "TagKeys")
    if not keys:
        raise missing_parameter("TagKeys")
    for key in keys:
        entry.tags.pop(key, None)
    return {}


def list_queue_tags(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """All tags; no `Tags` where there are none (recorded on AWS)."""
    del now
    entry = broker.entry(text(request, "QueueUrl"), caller)
    return {"Tags": dict(entry.tags)} if entry.tags else {}
