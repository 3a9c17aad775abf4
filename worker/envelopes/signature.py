"""Handler process: whether an SNS notification was signed by SNS, for a topic that is expected.

Who may send to a queue is said by the queue's policy (`aws:SourceArn`), and that is the first thing to get right. This
is for queues that others may send to as well.
https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import binascii
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from worker.envelopes.certificates import Certificates, Fetch, fetch_certificate
from worker.envelopes.fields import Source
from worker.envelopes.sns import SNSNotification, sns
from worker.message import Reject

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm


class SNSVerifier:
    """Gives the notification in a message if its signature is good and its topic is one of `topics` (ARNs).

        verified = SNSVerifier(topics=["arn:aws:sns:eu-west-1:123456789012:orders"])

        def handle(message):
            notification = verified(message)

    Raises Reject for any other notification, Retry where the certificate cannot be fetched now. Attributes, and the URL
    to unsubscribe, are not covered by a signature; nor is there a limit of age, so an old notification can be sent
    again: make effects idempotent by `message_id`.

    It waits for the network at the first notification: an `async def` calls it by `await asyncio.to_thread(verified,
    message)`. `fetch` gives the bytes at a certificate's URL, which has been checked, and raises Retry or Reject;
    `clock` is in seconds since 1970. Needs `pip install 'worker[sns]'`; raises ImportError without, ValueError without
    topics.
    """

    def __init__(
        self, *, topics: Collection[str], fetch: Fetch = fetch_certificate, clock: Callable[[], float] = time.time
    ) -> None:
        try:
            import cryptography.x509  # noqa: F401 - here, and not with the first message
        except ImportError as error:
            raise ImportError("SNSVerifier needs the package cryptography: pip install 'worker[sns]'") from error
        if isinstance(topics, str) or not topics:
            raise ValueError("SNSVerifier(topics=[...]): the ARNs of the topics that are expected; anybody has a topic")
        self._topics = frozenset(topics)
        self._certificates = Certificates(fetch)
        self._clock = clock

    def __call__(self, source: Source) -> SNSNotification:
        """Raises Reject, Retry."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        notification = sns(source)
        if notification.topic not in self._topics:
            raise Reject("signature: TopicArn is none of the topics that are expected")
        if not notification.signature or not notification.certificate_url:
            raise Reject("signature: there is none (Signature, SigningCertURL)")
        algorithm = _algorithm(notification.signature_version)
        try:
            signature = binascii.a2b_base64(notification.signature, strict_mode=True)
        except ValueError:
            raise Reject("signature: Signature is not base64") from None
        signed = _signed(notification)
        key = self._certificates.key(notification.certificate_url, self._clock())
        try:
            key.verify(signature, signed, PKCS1v15(), algorithm)
        except InvalidSignature:
            raise Reject("signature: forged, or changed on its way") from None
        return notification


def _algorithm(version: str | None) -> HashAlgorithm:
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256

    if version == "1":
        return SHA1()  # noqa: S303 - what SNS signs with unless a topic asks for version 2
    if version == "2":
        return SHA256()
    raise Reject("signature: SignatureVersion is neither 1 nor 2")


def _signed(notification: SNSNotification) -> bytes:
    """What SNS has signed: names and values, a line each."""
    fields = {
        "Message": notification.text,
        "MessageId": notification.message_id,
        "Subject": notification.subject,
        "Timestamp": notification.timestamp,
        "TopicArn": notification.topic,
        "Type": "Notification",
    }
    if any("\n" in value for name, value in fields.items() if value and name != "Message"):
        # SNS writes none there; with them one signed text could be read as several notifications.
        raise Reject("signature: a line break in a field of SNS's own")
    return "".join(f"{name}\n{value}\n" for name, value in fields.items() if value is not None).encode()
