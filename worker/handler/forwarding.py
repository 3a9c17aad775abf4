"""Handler process: a Forward becomes an outcome that SQS will take, or an error that says why it would not."""

from __future__ import annotations

import re

from worker.handler.attributes import encode
from worker.message import Forward, Kind
from worker.protocol import Outcome

#: Bytes of a body. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
_LONGEST = 1024 * 1024
_LONGEST_DELAY = 900  #: seconds
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_ID = re.compile(r"[!-~]{1,128}")
#: What SQS refuses in a body (InvalidMessageContents): these bytes of UTF-8, and the noncharacters U+FFFE and U+FFFF.
_CONTROL = bytes(byte for byte in range(0x20) if byte not in b"\t\n\r")
_FFFE, _FFFF = b"\xef\xbf\xbe", b"\xef\xbf\xbf"


def forward_outcome(seq: int, forward: Forward) -> Outcome:
    """The outcome of message `seq`. Raises ValueError or TypeError for what SQS would refuse for ever."""
    if not isinstance(forward.queue, str) or not forward.queue:
        raise ValueError(f"Forward(queue={forward.queue!r}): a queue's URL or name is needed")
    delay = forward.delay
    if delay is not None and not (isinstance(delay, int) and 0 <= delay <= _LONGEST_DELAY):
        raise ValueError(f"Forward(delay={delay!r}): SQS delays by 0 to {_LONGEST_DELAY} whole seconds")
    return Outcome(
        seq,
        Kind.FORWARD,
        queue=forward.queue,
        body=_checked_body(forward.body),
        attributes=encode(forward.attributes) if forward.attributes else None,
        group_id=_checked_id("group_id", forward.group_id),
        deduplication_id=_checked_id("deduplication_id", forward.deduplication_id),
        delay=delay,
    )


def _checked_body(body: object) -> bytes:
    if isinstance(body, str):
        data = body.encode()
    elif isinstance(body, bytes):
        data = body
        data.decode()  # a body is text in SQS: raise here, where the handler function's name is known
    else:
        raise TypeError(f"Forward(body=...) is a {type(body).__name__}: text or bytes are needed")
    if not 0 < len(data) <= _LONGEST:
        raise ValueError(f"Forward(body=...) has {len(data)} bytes: SQS takes 1 to {_LONGEST}")
    if len(data.translate(None, _CONTROL)) != len(data) or _FFFE in data or _FFFF in data:
        raise ValueError("Forward(body=...) has control characters that SQS refuses")
    return data


def _checked_id(name: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise ValueError(f"Forward({name}={value!r}): SQS takes 1 to 128 ASCII letters, digits and punctuation marks")
