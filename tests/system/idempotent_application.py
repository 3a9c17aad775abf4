"""The application of the idempotency tests: adds one to a counter per number, the least idempotent effect there is.

A body is the number and a word: where the handler process kills itself, when it gets the message for the first time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from functools import cache
from typing import Any

import boto3

from tests.system.effects import effect
from worker import Message
from worker.idempotency import Claim, DynamoDBStore, idempotent

KEYS, COUNTERS = "keys", "counters"
#: Seconds that a run may take: a key whose owner died is busy for so long, and 5 s more. A busy machine needs some to
#: make clients; a function that is stopped behind its effect would repeat it, without any kill.
LEASE = 5.0

_STORE = DynamoDBStore(KEYS)


def number(message: Message) -> str:
    """The key: two messages of one number are duplicates."""
    return message.body.split(b" ")[0].decode()


@idempotent(_STORE, key=number, lease=LEASE)
def together(message: Message, claim: Claim) -> None:
    """Effect and mark are one transaction."""
    effect("start", message)
    die_at("before", message)
    time.sleep(pause(message))
    claim.commit([{"Update": adding(message)}])
    die_at("after", message)
    time.sleep(pause(message))


@idempotent(_STORE, key=number, lease=LEASE)
async def together_async(message: Message, claim: Claim) -> None:
    """The same on an event loop."""
    effect("start", message)
    await asyncio.sleep(pause(message))
    await asyncio.to_thread(claim.commit, [{"Update": adding(message)}])
    await asyncio.sleep(pause(message))


@idempotent(_STORE, key=number, lease=LEASE)
def apart(message: Message) -> None:
    """First the effect, then, when this has returned, the mark."""
    effect("start", message)
    die_at("before", message)
    time.sleep(pause(message))
    client().update_item(**adding(message))
    die_at("after", message)
    time.sleep(pause(message))


def pause(message: Message) -> float:
    """Seconds before the effect and behind it, so that a kill finds many between the two and the mark."""
    return 0.05 * (int(number(message)) % 5)


@idempotent(_STORE, key=number, lease=2.0)
def hanging(message: Message, claim: Claim) -> None:
    """The first time it does not end, whatever is raised in it."""
    effect("start", message)
    while message.receive_count == message.attempt == 1:
        with suppress(BaseException):
            time.sleep(1000)
    claim.commit([{"Update": adding(message)}])


def adding(message: Message) -> dict[str, Any]:
    """The effect: it happens as often as it is written."""
    return {
        "TableName": COUNTERS,
        "Key": {"id": {"S": number(message)}},
        "UpdateExpression": "ADD effects :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }


def die_at(place: str, message: Message) -> None:
    """SIGKILL, as by the kernel that is out of memory."""
    if message.body.split(b" ")[1].decode() == place and message.receive_count == message.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)


@cache
def client() -> Any:
    return boto3.client("dynamodb")
