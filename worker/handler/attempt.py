"""Handler process: one attempt where several run at once: a call of the handler function, on a message or a batch."""

from __future__ import annotations

from dataclasses import dataclass

from worker.message import Message, SoftTimeout
from worker.protocol import Parcel


@dataclass(slots=True, eq=False, kw_only=True)
class Attempt:
    """From the hand-over to its outcomes. The lists are of one length: a message for each parcel and place."""

    parcels: list[Parcel]
    messages: list[Message]
    places: list[int]  #: in the slot
    begun: float = 0.0  #: when user code started on it; 0 before
    warned: bool = False  #: SoftTimeout was raised in it, or its cancellation asked for

    def overdue(self) -> bool:
        """Whether one of its messages is past its deadline, and it was not told so yet."""
        if self.warned or not self.begun:
            return False
        return any(message.deadline <= message.clock() for message in self.messages)

    def late(self) -> SoftTimeout:
        """The exception that says so."""
        late = [message.id for message in self.messages if message.deadline <= message.clock()]
        return SoftTimeout(f"message {', '.join(late[:3])} is past its deadline")
