"""SQS server process: an answer on its way to the client: status, body, and how the connection carries it."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import orjson

from worker.testing.sqs_server.errors import SqsError

JSON: Final = "application/x-amz-json-1.0"


class Carriage(Enum):
    """How an answer travels."""

    WHOLE = "whole"
    #: Not at all: the connection is reset, or closed, or stays open and silent.
    RESET = "reset"
    CLOSE = "close"
    SILENCE = "silence"
    #: A few bytes at a time.
    TRICKLE = "trickle"


@dataclass(slots=True)
class Reply:
    """An answer; `delay` in seconds, `rate` in bytes a second where it trickles."""

    status: int
    body: bytes
    query_error: str = ""
    content_type: str = JSON
    delay: float = 0.0
    carriage: Carriage = Carriage.WHOLE
    rate: float = 0.0


def success(answer: dict[str, Any]) -> Reply:
    """The answer of an action that was performed."""
    return Reply(200, orjson.dumps(answer))


def failure(error: SqsError) -> Reply:
    """The answer of an action that was refused."""
    return Reply(error.status, orjson.dumps(error.body()), error.query_error)
