"""Handler process: the channels that the environment configures."""

from __future__ import annotations

from collections.abc import Mapping

from apps.notifications.channels import line, mail, push, recording, sms, webhook
from apps.notifications.channels.channel import Channel

#: What makes each channel, or says that its variables are not set; and the variable that is set first of all.
_MAKERS = {
    "line": (line.from_environment, "LINE_CHANNEL_ACCESS_TOKEN"),
    "email": (mail.from_environment, "SMTP_URL"),
    "sms": (sms.from_environment, "SMS=sns"),
    "push": (push.from_environment, "PUSH_URL"),
    "webhook": (webhook.from_environment, "WEBHOOK_URL"),
    "recording": (recording.from_environment, "RECORDING_FILE"),
}


def configured(environ: Mapping[str, str]) -> dict[str, Channel]:
    """The channels by name. Raises Misconfigured for one that is configured by half, or wrongly."""
    made = {name: make(environ) for name, (make, _) in _MAKERS.items()}
    return {name: channel for name, channel in made.items() if channel is not None}


def remedy(name: str) -> str:
    """What configures a channel of this name."""
    return _MAKERS[name][1]
