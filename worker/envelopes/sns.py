"""Handler process: the envelope of SNS.

https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.envelopes.fields import Fields, Source, bytes_of, read
from worker.message import Message, MessageAttribute

_KIND = "SNS notification"


@dataclass(frozen=True, slots=True, kw_only=True)
class SNSNotification:
    """What a topic sent. Its signature is not checked: see SNSVerifier."""

    message_id: str  #: the publication's: the same in every queue that subscribes, and in every delivery
    topic: str  #: TopicArn
    text: str = field(repr=False)  #: Message, as it was published
    subject: str | None = None
    attributes: Mapping[str, MessageAttribute] = field(default_factory=dict, repr=False)  #: no signature covers them
    timestamp: str  #: of the publication: ISO 8601, UTC, as SNS wrote it
    sequence: str | None = None  #: SequenceNumber, of FIFO topics
    signature: str | None = field(default=None, repr=False)  #: base64
    signature_version: str | None = None
    certificate_url: str | None = field(default=None, repr=False)  #: SigningCertURL
    original: bytes = field(repr=False)  #: the body that it was read from

    @property
    def body(self) -> bytes:
        """The payload, as a message that was sent directly would have it."""
        return self.text.encode()


def sns(source: Source) -> SNSNotification:
    """The notification in a message. Raises Reject("decode: ...").

    With raw message delivery there is no envelope, and the attributes of SNS are the message's own.
    """
    if isinstance(source, Message) and isinstance(source.envelope, SNSNotification):
        return source.envelope  # the queue's table has `envelope = "sns"`
    fields = read(source, _KIND)
    if fields.text("Type") != "Notification":
        # SNS sends confirmations to queues of other accounts. Their URLs are for whoever asked to subscribe.
        raise fields.misfit("Type", "not Notification (the URL of a confirmation is never followed)")
    text = fields.optional_text("Message")
    if text is None:
        raise fields.misfit("Message", "missing")
    return SNSNotification(
        message_id=fields.text("MessageId"),
        topic=fields.text("TopicArn"),
        text=text,
        subject=fields.optional_text("Subject"),
        attributes=_attributes(fields),
        timestamp=fields.text("Timestamp"),
        sequence=fields.optional_text("SequenceNumber"),
        signature=fields.optional_text("Signature"),
        signature_version=fields.optional_text("SignatureVersion"),
        certificate_url=fields.optional_text("SigningCertURL"),
        original=bytes_of(source),
    )


def is_sns(fields: Fields) -> bool:
    """Whether it says of itself that it is a notification."""
    return fields.raw.get("Type") == "Notification" and "TopicArn" in fields.raw


def _attributes(fields: Fields) -> dict[str, MessageAttribute]:
    if fields.raw.get("MessageAttributes") is None:
        return {}
    inner = fields.inner("MessageAttributes")
    return {name: _attribute(inner.inner(name)) for name in inner.raw}


def _attribute(fields: Fields) -> MessageAttribute:
    kind, value = fields.text("Type"), fields.text("Value")
    if not kind.startswith("Binary"):
        return MessageAttribute(kind, value)
    try:
        return MessageAttribute(kind, binascii.a2b_base64(value, strict_mode=True))
    except ValueError:
        raise fields.misfit("Value", "not base64") from None
