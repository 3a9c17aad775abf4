"""Handler process: what is told of a dead letter; pure."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from apps.domain_operations.rules import stamp
from worker import Message

#: SNS takes 262,144 bytes, and JSON may write a byte of a body as six.
#: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_MOST_BODY = 32_768  #: characters
_LONGEST_SUBJECT = 100


def subject(queue: str) -> str:
    """ASCII, in one line, of 100 characters at most, as SNS wants it; `queue` is the name of a table of the config."""
    return f"Dead letter in {queue}"[:_LONGEST_SUBJECT]


def announcement(message: Message) -> str:
    """JSON: which message of which queue, when it was sent, what is known of a crash, and its body."""
    text = message.body.decode(errors="replace")
    crash = message.message_attributes.get("worker.crash")
    return orjson.dumps(
        {
            "queue": message.queue,
            "message_id": message.id,
            "sent_at": stamp(datetime.fromtimestamp(message.sent_at, UTC)),
            "receive_count": message.receive_count,
            "crash": str(crash.value) if crash else None,
            "body": text[:_MOST_BODY],
            "body_cut": len(text) > _MOST_BODY,
        }
    ).decode()
