"""Pure rules: what calls to SQS cost.

https://aws.amazon.com/sqs/pricing/ : 0.40 dollars a million requests to standard queues in us-east-1 beyond the first
free million, 0.50 to FIFO queues; every 64 KB of a request's payload are billed as a request.
"""

from __future__ import annotations

import math

STANDARD, FIFO = 0.40, 0.50  #: dollars a million requests
_CHUNK = 64 * 1024  #: bytes of payload that one request pays for


def dollars_per_million(calls: float, *, size: int, fifo: bool = False) -> float:
    """Dollars for a million messages of `size` bytes at `calls` requests a message.

    Bodies are paid for when they are received, up to ten in a request: chunks beyond the first are added.
    """
    per_receive = max(1, min(10, 1024 * 1024 // max(1, size)))
    extra = max(0, math.ceil(per_receive * size / _CHUNK) - 1) / per_receive
    return (calls + extra) * (FIFO if fifo else STANDARD)
