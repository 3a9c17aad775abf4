"""Handler process: the channel `webhook`: a POST for each recipient to one URL of the operator's.

A crash between the POST and the table's row repeats a delivery: by its `Idempotency-Key` the receiver can drop it.
"""

from __future__ import annotations

from collections.abc import Mapping

from apps.notifications.answers import Answer
from apps.notifications.channels.channel import Delivery
from apps.notifications.channels.posting import Poster
from apps.notifications.environment import address, secret


class Webhook:
    """Posts `{"batch_id", "channel", "content", "recipient"}`."""

    def __init__(self, url: str, *, token: str = "") -> None:
        self._poster = Poster(url, name="the webhook", headers={"Authorization": f"Bearer {token}"} if token else {})

    def deliver(self, delivery: Delivery) -> Answer:
        """2xx: delivered; 429, 5xx and no answer: later; any other 4xx: never."""
        said = {
            "batch_id": delivery.batch_id,
            "channel": delivery.channel,
            "content": delivery.content,
            "recipient": dict(delivery.recipient),
        }
        return self._poster.post(said, headers={"Idempotency-Key": delivery.key})


def from_environment(environ: Mapping[str, str]) -> Webhook | None:
    """WEBHOOK_URL, and WEBHOOK_TOKEN if it wants one. Raises Misconfigured."""
    url = address(environ, "WEBHOOK_URL")
    return Webhook(url.geturl(), token=secret(environ, "WEBHOOK_TOKEN")) if url else None
