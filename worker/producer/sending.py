"""Producer process: what is to be sent, and what became of it. Importing this costs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.message import MessageAttribute


@dataclass(frozen=True, slots=True)
class Sending:
    """One message for `send_many`; the fields are the arguments of `Producer.send`."""

    body: bytes | str
    attributes: Mapping[str, str | bytes | int | float | MessageAttribute] | None = field(default=None, kw_only=True)
    group_id: str | None = field(default=None, kw_only=True)
    deduplication_id: str | None = field(default=None, kw_only=True)
    delay: int | None = field(default=None, kw_only=True)  #: seconds, 0 to 900


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of the items of one `send_many`; each index is in one of the lists, which are in order."""

    successful: list[tuple[int, str]]  #: index, MessageId
    failed: list[tuple[int, str, str]]  #: index, code, reason


class SendError(Exception):
    """A message was not sent, as far as is known: SQS refused it, or did not take it within `timeout`.

    `maybe_sent` is True where SQS may have it all the same: the answer to a request was lost on its way. Sent again,
    the message may then be there twice (on a FIFO queue it is not, if the deduplication id is the same).
    """

    def __init__(self, queue: str, code: str, reason: str, *, maybe_sent: bool = False) -> None:
        """`queue`: URL or name; `code`: of SQS, or of the failure to reach it; `reason`: for people."""
        unsure = "; SQS may have it all the same" if maybe_sent else ""
        super().__init__(f"queue {queue}: not sent: {code}: {reason}{unsure}")
        self.queue = queue
        self.code = code
        self.reason = reason
        self.maybe_sent = maybe_sent

    def __reduce__(self) -> tuple[object, ...]:
        return _send_error, (self.queue, self.code, self.reason, self.maybe_sent)


def _send_error(queue: str, code: str, reason: str, maybe_sent: bool) -> SendError:
    return SendError(queue, code, reason, maybe_sent=maybe_sent)
