"""SQS worker pool: a supervisor, pollers and handlers. This is all that a handler function needs to import."""

from typing import TYPE_CHECKING

from worker.message import Forward, LeaseLost, Message, MessageAttribute, Reject, Retry, SoftTimeout

if TYPE_CHECKING:
    from worker.producer.async_producer import AsyncProducer
    from worker.producer.producer import Producer
    from worker.producer.sending import SendError, Sending, SendResult
else:  # a type checker would take every name for one of these

    def __getattr__(name: str) -> object:
        """What only programs that send need is imported when it is asked for: `import worker` is every process's."""
        if name in ("SendError", "SendResult", "Sending"):
            from worker.producer import sending

            return getattr(sending, name)
        if name == "Producer":
            from worker.producer.producer import Producer

            return Producer
        if name == "AsyncProducer":
            from worker.producer.async_producer import AsyncProducer

            return AsyncProducer
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
