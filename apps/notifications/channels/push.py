"""Handler process: the channel `push`: a POST for each device to a push gateway.

A gateway (gorush, for one, or a service of your own in front of FCM and APNs) holds the certificates and renews the
tokens of the providers; an application that sends to many should not.
"""

from __future__ import annotations

from collections.abc import Mapping

from apps.notifications.answers import Answer, Refused
from apps.notifications.channels.channel import Delivery
from apps.notifications.channels.posting import Poster
from apps.notifications.environment import address, secret


class Push:
    """Posts `{"device_token", "content", "collapse_key"}`."""

    def __init__(self, url: str, *, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._poster = Poster(url, name="the push gateway", headers=headers, about_us={401, 403})

    def deliver(self, delivery: Delivery) -> Answer:
        """As the webhook; a repeated delivery has the same collapse_key, so a device shows it once."""
        device = delivery.text("device_token")
        if not device:
            return Refused("no device_token")
        said = {"device_token": device, "content": delivery.content, "collapse_key": delivery.key}
        return self._poster.post(said, headers={"Idempotency-Key": delivery.key})


def from_environment(environ: Mapping[str, str]) -> Push | None:
    """PUSH_URL, and PUSH_TOKEN if it wants one. Raises Misconfigured."""
    url = address(environ, "PUSH_URL")
    return Push(url.geturl(), token=secret(environ, "PUSH_TOKEN")) if url else None
