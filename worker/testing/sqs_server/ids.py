"""SQS server process: ids of messages, receipts and move tasks; the same seed gives the same ids."""

import base64
import hashlib
from typing import Final

#: Characters of a receipt handle. AWS gives about 400 and promises at most 1,024 (DeleteMessage).
RECEIPT_LENGTH: Final = 412
_TAIL: Final = 24


class Ids:
    """Makes ids that look like those of SQS and are unique for one seed; cheap, because benchmarks pay for each."""

    def __init__(self, seed: str) -> None:
        digest = hashlib.sha256(seed.encode()).hexdigest()
        self._seed = seed
        self._head = f"{digest[:8]}-{digest[8:12]}-4{digest[12:15]}-a{digest[15:18]}-"
        self._task_head = f"{digest[18:26]}-{digest[26:30]}-4{digest[30:33]}-b{digest[33:36]}-"
        self._count = 0

    def message_id(self) -> str:
        """A new message id in the form of a UUID."""
        self._count += 1
        return f"{self._head}{self._count:012x}"

    def task_id(self) -> str:
        """A new id of a move task in the form of a UUID."""
        self._count += 1
        return f"{self._task_head}{self._count:012x}"

    def receipts(self) -> "Receipts":
        """The receipt handles of a new queue: no other queue accepts them."""
        self._count += 1
        raw = hashlib.shake_256(f"{self._seed}/{self._count}".encode()).digest(288)
        return Receipts("AQEB" + base64.b64encode(raw).decode()[: RECEIPT_LENGTH - _TAIL - 4])


class Receipts:
    """Receipt handles of one queue: opaque text that holds the message's sequence and the number of the receive.

    Nothing is remembered per receipt, so a receipt stays readable however old it is, and costs no memory.
    """

    __slots__ = ("_prefix",)

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def handle(self, sequence: int, number: int) -> str:
        """The handle of a message's receive `number` (1 is its first)."""
        return f"{self._prefix}{sequence:016x}{number:08x}"

    def read(self, handle: str) -> tuple[int, int] | None:
        """Sequence and receive number of a handle of this queue; None for anything else."""
        if len(handle) != RECEIPT_LENGTH or not handle.startswith(self._prefix):
            return None
        try:
            both = int(handle[-_TAIL:], 16)
        except ValueError:
            return None
        return both >> 32, both & 0xFFFF_FFFF
