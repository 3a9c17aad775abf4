"""Handler process: the channel `line`: push messages of the LINE Messaging API.

https://developers.line.biz/en/reference/messaging-api/#send-push-message
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from apps.notifications.answers import Answer, Refused
from apps.notifications.channels.channel import Delivery
from apps.notifications.channels.posting import Poster
from apps.notifications.environment import address, secret

#: Where LINE is.
_API = "https://api.line.me"
_PATH = "/v2/bot/message/push"


class Line:
    """Sends text messages."""

    def __init__(self, url: str, *, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._poster = Poster(
            url.rstrip("/") + _PATH, name="LINE", headers=headers, about_us={401, 403}, had_before={409}
        )

    def deliver(self, delivery: Delivery) -> Answer:
        """A retry key makes LINE drop what it has accepted before: it answers 409 then, which is delivered as well.

        https://developers.line.biz/en/docs/messaging-api/retrying-api-request/
        """
        user = delivery.text("line_id")
        if not user:
            return Refused("no line_id")
        said = {"to": user, "messages": [{"type": "text", "text": delivery.content}]}
        # LINE wants a UUID: one of the key's own.
        headers = {"X-Line-Retry-Key": str(uuid.uuid5(uuid.NAMESPACE_URL, delivery.key))}
        return self._poster.post(said, headers=headers)


def from_environment(environ: Mapping[str, str]) -> Line | None:
    """LINE_CHANNEL_ACCESS_TOKEN, and LINE_API_URL for another place than LINE's. Raises Misconfigured."""
    token = secret(environ, "LINE_CHANNEL_ACCESS_TOKEN")
    url = address(environ, "LINE_API_URL")
    return Line(url.geturl() if url else _API, token=token) if token else None
