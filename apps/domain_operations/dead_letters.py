"""Handler process: a dead letter is logged, announced by SNS, and deleted once SNS has taken the announcement.

Without ALERT_TOPIC_ARN an error line is all there is: the message, of which there is no other copy, then stays in its
queue, and is told again every hour until somebody redrives it, or SQS drops it after the 14 days of the queue.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from apps.domain_operations import clients
from apps.domain_operations.alerts import announcement, subject
from apps.domain_operations.logs import say
from worker import Message, Retry

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

ALERT_TOPIC_ARN = os.environ.get("ALERT_TOPIC_ARN", "")
#: Seconds until a dead letter that nobody was told of is told again.
_REMINDER = 3600.0


def alert(message: Message) -> None:
    """A dead letter of any queue. A failure of SNS is a retry; killed after the publish, it is announced twice."""
    about = {"message": message.id, "queue": message.queue, "receives": message.receive_count}
    if not ALERT_TOPIC_ARN:
        say("error", "dead_letter", **about, reason="ALERT_TOPIC_ARN is not set: nobody is told, and the message stays")
        raise Retry(after=_REMINDER, reason="ALERT_TOPIC_ARN is not set")
    say("warning", "dead_letter", **about)
    _sns().publish(TopicArn=ALERT_TOPIC_ARN, Subject=subject(message.queue), Message=announcement(message))
    say("info", "dead_letter_announced", **about)


@cache
def _sns() -> SNSClient:
    return clients.sns()
