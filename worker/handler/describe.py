"""Handler process: exceptions of user code as text, for log lines and reasons, whatever their `__str__` does."""

from __future__ import annotations

import traceback

#: Characters of a reason: it goes into log lines, and into an attribute of a dead letter.
_LONGEST_REASON = 1000
#: Characters of a traceback in a log line: its end, which tells most.
_LONGEST_TRACEBACK = 1000
#: Frames of a traceback, the innermost ones.
_FRAMES = 6


def describe(error: BaseException) -> str:
    """An exception's type and text."""
    name, text = type(error).__name__, show(error)
    return clip(f"{name}: {text}" if text else name)


def describe_traceback(error: BaseException) -> str:
    """The end of an exception's traceback."""
    try:
        text = "".join(traceback.format_exception(error, limit=-_FRAMES)).rstrip()
    except Exception as another:  # noqa: BLE001 - no memory, or an exception class that breaks the formatting
        return f"no traceback: {type(another).__name__}"
    return text if len(text) <= _LONGEST_TRACEBACK else "..." + text[-_LONGEST_TRACEBACK:]


def show(value: object) -> str:
    """`str(value)`, or what it is if that fails."""
    try:
        return str(value)
    except BaseException:  # noqa: BLE001 - a `__str__` of the user's
        return f"<a {type(value).__name__} that cannot be shown>"


def clip(text: str) -> str:
    """The text, as long as a reason may be."""
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "..."
