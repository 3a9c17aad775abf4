"""Handler process: a dead letter marks its image's row as failed, and is told by SNS. As a Lambda as well.

The table comes first, then the alert, and only then the letter is deleted: a failure in between repeats both, so an
alert may come twice and never goes missing.
"""

from __future__ import annotations

import json
import logging
import time

from apps.image_pipeline import clients, rows
from apps.image_pipeline.alerts import alert, error_info, read_letter
from apps.image_pipeline.environment import need
from apps.image_pipeline.rules import timestamp
from worker import Message
from worker.aws_lambda import entry_point

DYNAMODB_TABLE = need("DYNAMODB_TABLE", "the table of images, key imageId and userId")
SNS_TOPIC_ARN = need("SNS_TOPIC_ARN", "the topic that failed images are told to")

#: What the pool adds to a message that killed its handler processes.
_CRASH = "worker.crash"

_log = logging.getLogger(__name__)


def handle(message: Message) -> None:
    """Whatever came to the dead-letter queue. Nothing is rejected here; a failure of DynamoDB or SNS is a retry."""
    at = timestamp(time.time())
    crash = _crash(message)
    letter = read_letter(message.body)
    if letter is not None:
        info = error_info(at=at, receive_count=message.receive_count, crash=crash)
        left = rows.mark_failed(DYNAMODB_TABLE, letter, info=info, at=at)
        if left:
            about = {"event": "row_left", "message": message.id, "image": letter.image_id, "why": left}
            _log.warning(json.dumps(about))
    subject, text = alert(letter, body=message.body, at=at, crash=crash)
    clients.sns().publish(TopicArn=SNS_TOPIC_ARN, Subject=subject, Message=text)


def _crash(message: Message) -> str | None:
    attribute = message.message_attributes.get(_CRASH)
    if attribute is None:
        return None
    return attribute.value if isinstance(attribute.value, str) else attribute.value.decode(errors="replace")


lambda_handler = entry_point(handle)
