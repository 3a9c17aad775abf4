"""Handler process: the application of the hostile corpus: decodes a message or does not, and tells its id."""

from __future__ import annotations

import json
import os

from worker import Message

_FILE = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if "EFFECTS" in os.environ else -1


def parse(message: Message) -> None:
    """Decodes the body, as a handler function does that trusts its producers."""
    message.json()
    _tell(message)


def take(message: Message) -> None:
    """Looks at nothing."""
    _tell(message)


def by_sender(message: Message) -> None:
    """Decodes, unless the sender says not to."""
    if message.attributes.get("SenderId") == "take":
        take(message)
    else:
        parse(message)


def _tell(message: Message) -> None:
    """One write below PIPE_BUF: whole or absent. The id's first 36 characters are SQS's own."""
    os.write(_FILE, json.dumps([message.id[:36], os.getpid()]).encode() + b"\n")
