"""SQS server process: what a receipt handle may still do: the table of deletes and changes of visibility."""

from enum import Enum

from worker.testing.sqs_server import limits
from worker.testing.sqs_server.messages import IN_FLIGHT, Message


class Outcome(Enum):
    """What becomes of a delete or of a change of visibility."""

    DONE = "done"
    #: Nothing to do, and a success all the same.
    IGNORED = "ignored"
    #: The message is no longer in the queue.
    GONE = "gone"
    #: The receipt is not the message's newest one.
    STALE = "stale"
    #: The receipt is the newest one, but the message is visible again, or 12 hours have passed.
    EXPIRED = "expired"
    #: The new timeout would end more than 12 hours after the receive.
    BEYOND = "beyond"


def judge_delete(message: Message | None, number: int, *, fifo: bool, now: float) -> Outcome:
    """Whether receipt `number` deletes the message (None: it has gone).

    A standard queue takes the newest receipt even after the visibility timeout, and answers success to an old one
    without deleting (DeleteMessage; recorded on AWS). A FIFO queue refuses both. Deleting twice is a success on both.
    """
    if message is None:
        return Outcome.GONE
    if number != message.receipt:
        return Outcome.EXPIRED if fifo else Outcome.STALE
    if fifo and message.state is not IN_FLIGHT:
        return Outcome.EXPIRED
    if now - message.received >= limits.VISIBILITY_SECONDS:
        return Outcome.EXPIRED
    return Outcome.DONE


def judge_change(message: Message | None, number: int, seconds: float, *, refuses: bool, now: float) -> Outcome:
    """Whether receipt `number` may hide the message for `seconds` from now.

    On a standard queue AWS lets an older receipt change a message in flight, and answers success without effect when
    the message is visible (both recorded on AWS). `refuses` is true for FIFO queues, and where the server was told to
    be as strict as the API reference, which names MessageNotInflight.
    """
    if message is None:
        return Outcome.GONE
    if refuses:
        if number != message.receipt:
            return Outcome.STALE
        if message.state is not IN_FLIGHT:
            return Outcome.EXPIRED
    elif message.state is not IN_FLIGHT:
        return Outcome.IGNORED
    if now + seconds > message.received + limits.VISIBILITY_SECONDS:
        return Outcome.BEYOND
    return Outcome.DONE
