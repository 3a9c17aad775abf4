"""Producer process: what a caller wants sent as a parcel, or an error that says why SQS would never take it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from worker.outgoing import LONGEST, checked_body, checked_delay, checked_id, encode, size
from worker.policy.parcel import Parcel
from worker.policy.requests import Outgoing
from worker.producer.sending import Sending

_WHO = "send"


def pack(item: Sending, queue: str) -> Parcel:
    """Checked, and not yet anybody's. Raises ValueError."""
    fifo = queue.endswith(".fifo")
    try:
        body = checked_body(_WHO, item.body)
        attributes = encode(item.attributes) if item.attributes else {}
        group = checked_id(_WHO, "group_id", item.group_id)
        own, delay = checked_id(_WHO, "deduplication_id", item.deduplication_id), checked_delay(_WHO, item.delay)
    except (TypeError, AttributeError) as error:  # a body, a value or a mapping of another type
        raise ValueError(str(error)) from error
    total = size(body, attributes)
    if total > LONGEST:
        raise ValueError(f"send: body and attributes have {total} bytes together: SQS takes {LONGEST}")
    if fifo and group is None:
        raise ValueError(f"send: {queue} is a FIFO queue: a group_id is needed")
    if fifo and delay:
        raise ValueError(f"send(delay={delay}): {queue} is a FIFO queue, which delays as a whole only")
    if own is not None and not fifo:
        raise ValueError(f"send(deduplication_id=...): {queue} is no FIFO queue, which alone knows these ids")
    outgoing = Outgoing(body, attributes, group, own, None if fifo else delay)
    return Parcel(outgoing, total, own_id=f"worker-{uuid.uuid4()}" if fifo and own is None else "")


def pack_all(items: Iterable[Sending], queue: str) -> list[Parcel]:
    """All of them. Raises ValueError, which has the index of the first that SQS would never take."""
    parcels = []
    for index, item in enumerate(items):
        try:
            parcels.append(pack(item, queue))
        except ValueError as error:
            raise ValueError(f"item {index}: {error}") from error
    return parcels
