"""SQS worker pool: a supervisor, pollers and handlers. This is all that a handler function needs to import."""

from worker.message import Forward, LeaseLost, Message, MessageAttribute, Reject, Retry, SoftTimeout

__all__ = [
    "Forward",
    "LeaseLost",
    "Message",
    "MessageAttribute",
    "Reject",
    "Retry",
    "SoftTimeout",
    "__version__",
]

__version__ = "0.1.0"
