"""Handler process: the channel `sms`: text messages by SNS.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from apps.notifications.answers import Answer, Delivered, Later, Refused
from apps.notifications.channels.channel import Delivery
from apps.notifications.environment import Misconfigured, region

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

#: What SNS says of a number or a text that it will never take.
_NEVER = {"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "OptedOut", "Validation"}


class Sms:
    """Publishes to telephone numbers; SNS knows no key, so what is repeated after a crash arrives twice."""

    def __init__(self, sns: SNSClient) -> None:
        self._sns = sns

    def deliver(self, delivery: Delivery) -> Answer:
        """Errors about the number or the text: never; all others, a missing permission and no answer too: later."""
        phone = delivery.text("phone")
        if not phone:
            return Refused("no phone")
        try:
            self._sns.publish(PhoneNumber=phone, Message=delivery.content)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            return Refused(f"SNS said {code}") if code in _NEVER else Later(f"SNS said {code}")
        except BotoCoreError as error:
            return Later(f"SNS did not answer: {type(error).__name__}")
        return Delivered()


def from_environment(environ: Mapping[str, str]) -> Sms | None:
    """SMS=sns; credentials and endpoint are boto3's own. Raises Misconfigured."""
    wanted = environ.get("SMS", "")
    if wanted not in ("", "sns"):
        raise Misconfigured(f"environment variable SMS is {wanted!r}: expected sns, which publishes by Amazon SNS")
    if not wanted:
        return None
    config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2, "mode": "standard"})
    return Sms(boto3.client("sns", region_name=region(environ), config=config))
