"""Lambda function: sends a message through boto3 and waits until SQS has it: a Forward, where there is no poller."""

from __future__ import annotations

from base64 import b64decode

from worker.aws import actions, payloads
from worker.aws.calls import asking
from worker.aws.errors import Refused, failure_of
from worker.aws.queues import Ask, queue_url
from worker.aws.session import Session
from worker.policy.failures import FailureKind
from worker.policy.requests import Outgoing, Send
from worker.settings import QueueSettings, Settings

#: A second try of what the network or SQS dropped; beyond it the source's next delivery tries again.
_TRIES = 2
_PASSING = {FailureKind.TRANSIENT, FailureKind.THROTTLED}


class Forwarder:
    """Clients and URLs of the queues sent to, made at the first message for each: a region is in the URL."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Ask, str]] = {}

    def send(self, queue: str, outgoing: Outgoing) -> None:
        """Send to a queue, a URL or a name. Raises errors.Refused, session.Unusable."""
        ask, url = self._target(queue)
        members = payloads.sending(0, outgoing, binary=b64decode) | {"QueueUrl": url}
        del members["Id"]
        for left in reversed(range(_TRIES)):
            try:
                ask("SendMessage", members)
                return
            except Refused as error:
                if not left or error.failure.kind not in _PASSING:
                    told = error.__cause__ if isinstance(error.__cause__, Exception) else error
                    raise Refused(failure_of(told, actions.hidden(Send(queue, (outgoing,))))) from None

    def _target(self, queue: str) -> tuple[Ask, str]:
        if queue not in self._known:
            settings = QueueSettings(name="forward", handler="", url=queue if "/" in queue else "")
            ask = asking(Session(Settings(name="lambda", queues=()), settings).controlling(1))
            self._known[queue] = ask, queue_url(ask, queue)
        return self._known[queue]
