"""Producer process: queue and settings of a producer, checked when it is made, and the client that they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.producer.sending import SendError
from worker.settings import QueueSettings, Settings

if TYPE_CHECKING:
    from worker.aws.clients import Client

#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")
_URL = re.compile(r"https?://[^\s/]+/\S+")
_ARN = re.compile(r"arn:[a-z0-9-]+:sqs:([a-z0-9-]+):\d+:(.+)")
_CLIENTS = ("auto", "lean", "boto3")
#: Seconds in which a FIFO queue knows a deduplication id; a request may take some of them on its way.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html
_REMEMBERED, _ON_ITS_WAY = 300.0, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where messages go, how, and within which bounds. Raises ValueError."""

    queue: str  #: URL, ARN or name
    linger: float  #: seconds
    timeout: float  #: seconds
    max_buffer: int  #: messages
    max_buffer_bytes: int
    region: str = ""
    endpoint_url: str = ""
    role_arn: str = ""
    client: str = "auto"
    allow_insecure_endpoint: bool = False

    def __post_init__(self) -> None:
        queue = self.queue
        if not isinstance(queue, str) or not _is_queue(queue):
            raise ValueError(f"Producer({queue!r}): a queue's URL, ARN or name is needed")
        if not 0 <= self.linger <= self.timeout:  # NaN is refused as well, here and below
            raise ValueError(f"Producer(linger={self.linger!r}): seconds from 0 to timeout ({self.timeout!r})")
        if not 0 < self.timeout < float("inf"):
            raise ValueError(f"Producer(timeout={self.timeout!r}): seconds above 0")
        if self.fifo and self.timeout > _REMEMBERED - _ON_ITS_WAY:
            raise ValueError(
                f"Producer(timeout={self.timeout!r}): {queue} knows a deduplication id for {_REMEMBERED:.0f} s, so a "
                f"later try could be a second message; {_REMEMBERED - _ON_ITS_WAY:.0f} s at most"
            )
        if self.max_buffer < 1 or self.max_buffer_bytes < 1:
            raise ValueError("Producer: max_buffer and max_buffer_bytes must be at least 1")
        if self.client not in _CLIENTS:
            raise ValueError(f"Producer(client={self.client!r}): one of {', '.join(_CLIENTS)}")

    @property
    def fifo(self) -> bool:
        """By the name, as SQS has it."""
        return self.queue.endswith(".fifo")

    def connect(self) -> Client:
        """A client. Raises SendError for settings of AWS that none can be made of."""
        # Here, and not at the top: botocore takes a tenth of a second, and its user may be about to fork.
        from worker.aws.clients import client_for
        from worker.aws.session import Session, Unusable

        arn = _ARN.fullmatch(self.queue)
        named = "queue_name" if arn or "://" not in self.queue else "url"
        queue = QueueSettings(
            name="producer",
            handler="",
            role_arn=self.role_arn,
            client=self.client,
            **{named: self.queue},  # type: ignore[arg-type]  # one of two texts
        )
        settings = Settings(
            name="producer",
            queues=(queue,),
            region=self.region or (arn[1] if arn else ""),
            endpoint_url=self.endpoint_url,
            allow_insecure_endpoint=self.allow_insecure_endpoint,
        )
        try:
            return client_for(Session(settings, queue), queue)
        except Unusable as error:
            raise SendError(self.queue, "Unusable", str(error)) from error


def _is_queue(text: str) -> bool:
    if _URL.fullmatch(text):
        return True
    arn = _ARN.fullmatch(text)
    return bool(_NAME.fullmatch(arn[2] if arn else text))
