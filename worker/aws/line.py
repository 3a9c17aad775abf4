"""Poller process: a connection with what it is busy with, and what all connections to the endpoint share."""

from __future__ import annotations

import selectors
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.aws.addresses import Addresses
from worker.aws.connection import Address, Connection
from worker.aws.exchange import Exchange
from worker.aws.refreshing import Refreshing
from worker.aws.signing import Signer
from worker.policy.failures import Failure, classify

NEVER = float("inf")


@dataclass(slots=True)
class Route:
    """What all connections to the endpoint share."""

    url: str  #: for people
    host: str
    selector: selectors.BaseSelector
    context: ssl.SSLContext | None
    signer: Signer
    addresses: Addresses
    credentials: Refreshing
    buffer: bytearray
    session: ssl.SSLSession | None = None  #: of the last TLS connection

    def unreachable(self, why: str, *, code: str = "EndpointConnectionError") -> Failure:
        """No connection could be opened."""
        return classify((code,), f'Could not connect to the endpoint URL: "{self.url}": {why}')


@dataclass(slots=True, eq=False)
class Line:
    """A connection and the request that it is busy with. The selector's keys lead to it."""

    ready: Callable[[Line], None]  #: of its lane; to be called when its socket is ready
    connection: Connection
    exchange: Exchange | None = None
    addresses: deque[Address] = field(default_factory=deque)  #: still to try
    connect_by: float = NEVER
    limit: float = NEVER  #: platform.now() by which the next step must be done
    used: bool = False  #: whether it brought an answer before
    rests_since: float = 0.0
