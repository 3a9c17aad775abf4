"""SQS worker pool: a supervisor, pollers and handlers. This is all that a handler function needs to import."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.message import Forward, LeaseLost, Message, MessageAttribute, Reject, Retry, SoftTimeout
    from worker.producer.async_producer import AsyncProducer
    from worker.producer.producer import Producer
    from worker.producer.sending import SendError, Sending, SendResult
else:  # a type checker would take every name for one of these

    def __getattr__(name: str) -> object:
        """Each name is imported when it is asked for. `import worker` comes first in every process, and costs nothing:

        a child of the supervisor must be able to ask the kernel to die with it before it imports what may fail.
        """
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name in ("SendError", "SendResult", "Sending"):
            from worker.producer import sending as room
        elif name == "Producer":
            from worker.producer import producer as room
        elif name == "AsyncProducer":
            from worker.producer import async_producer as room
        else:
            from worker import message as room
        found = globals()[name] = getattr(room, name)
        return found


__all__ = [
    "AsyncProducer",
    "Forward",
    "LeaseLost",
    "Message",
    "MessageAttribute",
    "Producer",
    "Reject",
    "Retry",
    "SendError",
    "SendResult",
    "Sending",
    "SoftTimeout",
    "__version__",
]

__version__ = "0.1.0"
