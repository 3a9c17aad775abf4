"""Handler process: what every channel is: a function of one delivery, and what it needs of the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from apps.notifications.answers import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One notification to one recipient."""

    batch_id: str
    channel: str
    content: str
    recipient: Mapping[str, Any]  #: as the caller gave it
    key: str  #: the same for every try, `batch_id:recipient_id`; in ASCII

    def text(self, name: str) -> str:
        """A field of the recipient as text without blanks around it; empty if there is none."""
        value = self.recipient.get(name)
        return value.strip() if isinstance(value, str) else ""


class Channel(Protocol):
    """Sends. Threads share it. It answers within a few seconds; what it raises is a retry of the message."""

    def deliver(self, delivery: Delivery) -> Answer: ...
