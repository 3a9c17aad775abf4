"""Poller process: one request to SQS over HTTP, and what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from worker.aws.answers import Reply
from worker.policy.failures import Failure


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body, as it is sent and as it is signed."""

    data: bytes
    digest: str  #: SHA-256 in hex

    @classmethod
    def of(cls, members: dict[str, Any]) -> Body:
        """Of these members. A lone surrogate is sent as it is: it is for SQS to say that it takes none."""
        try:
            data = orjson.dumps(members)
        except TypeError:
            data = json.dumps(members).encode()
        return cls(data, hashlib.sha256(data).hexdigest())


@dataclass(slots=True, eq=False)
class Exchange:
    """`done` is called once with the answer, of whatever status, or the failure to get one."""

    action: str
    body: Body
    patience: float  #: seconds that the answer may take, once the request is sent
    repeatable: bool  #: whether SQS may get it twice, where nobody knows if a closed connection took it
    done: Callable[[Exchange, Reply | Failure], None]
    sent_at: float = 0.0  #: platform.now() when it was first sent; 0 if it never was
    give_up_at: float = float("inf")  #: when it has waited long enough for credentials
    fresh: bool = False  #: sent before on a connection that turned out to be closed: only a new one will do
