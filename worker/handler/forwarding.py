"""Handler process: a Forward becomes an outcome that SQS will take, or an error that says why it would not."""

from __future__ import annotations

from worker.message import Forward, Kind
from worker.outgoing import checked_body, checked_delay, checked_id, encode
from worker.protocol import Outcome

_WHO = "Forward"


def forward_outcome(seq: int, forward: Forward) -> Outcome:
    """The outcome of message `seq`. Raises ValueError or TypeError for what SQS would refuse for ever."""
    if not isinstance(forward.queue, str) or not forward.queue:
        raise ValueError(f"Forward(queue={forward.queue!r}): a queue's URL or name is needed")
    return Outcome(
        seq,
        Kind.FORWARD,
        queue=forward.queue,
        body=checked_body(_WHO, forward.body),
        attributes=encode(forward.attributes) if forward.attributes else None,
        group_id=checked_id(_WHO, "group_id", forward.group_id),
        deduplication_id=checked_id(_WHO, "deduplication_id", forward.deduplication_id),
        delay=checked_delay(_WHO, forward.delay),
    )
