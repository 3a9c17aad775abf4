"""Poller process: which client speaks with SQS, and why: the lean one where it can, boto3 where only that can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from worker.aws.session import Session, Unusable
from worker.policy.requests import Sqs
from worker.settings import QueueSettings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from worker.aws.calls import Calls


class Client(Protocol):
    """Speaks with the SQS of one queue."""

    name: str
    why: str
    polls: int  #: receives that it can have on their way
    controls: int  #: other calls

    def ask(self, action: str, members: dict[str, Any]) -> dict[str, Any]: ...
    def sqs(self, url: str) -> Sqs: ...
    def close(self) -> None: ...


#: Connections for deletes, beats and sends: ours cost next to nothing; boto3's are threads that compete for one
#: interpreter, with its long polls as well: with 32 of those, deletes took 45 to 85 ms.
_LEAN_CONTROLS, _BOTO3_CONTROLS, _BOTO3_POLLS = 32, 8, 16


class LeanClient:
    """Our own connections."""

    name = "lean"

    def __init__(self, session: Session, *, polls: int, controls: int, why: str) -> None:
        from worker.aws.lean import LeanSqs

        try:
            self._sqs = LeanSqs(session.endpoint, session.botocore, polls=polls, controls=controls)
        except OSError as error:
            raise Unusable(f"the CA bundle {session.endpoint.bundle} cannot be used: {error}") from error
        self.ask = self._sqs.ask
        self.polls, self.controls = polls, controls
        self.why = why

    def sqs(self, url: str) -> Sqs:
        """For the poller's loop."""
        self._sqs.url = url
        return self._sqs

    def close(self) -> None:
        """Close the connections; a poller's end does it as well."""
        self._sqs.close()


class Boto3Client:
    """boto3's clients, in threads."""

    name = "boto3"

    def __init__(self, session: Session, *, polls: int, controls: int, why: str) -> None:
        from worker.aws.calls import asking

        self._session = session
        self.polls, self.controls = polls, controls
        self._controlling = session.controlling(controls)
        self._receiving: SQSClient | None = None
        self._calls: Calls | None = None
        self.ask = asking(self._controlling)
        self.why = why

    def sqs(self, url: str) -> Sqs:
        """For the poller's loop."""
        from worker.aws.calls import Calls

        receiving = self._receiving = self._session.receiving(self.polls)
        self._calls = Calls(
            url, receiving=receiving, controlling=self._controlling, polls=self.polls, controls=self.controls
        )
        return self._calls

    def close(self) -> None:
        """End the threads, and close the connections, that no call is on."""
        if self._calls is not None:
            self._calls.close()
            self._calls = None
        self._controlling.close()
        if self._receiving is not None:
            self._receiving.close()


def client_for(session: Session, queue: QueueSettings, *, controls: int = 0) -> Client:
    """The client of a queue; `controls` other than 0: so many calls beside receives.

    Raises Unusable for settings that no client, or not the one asked for, can use."""
    obstacle = session.obstacle
    if queue.client == "lean" and obstacle:
        raise Unusable(f"client is lean, but {obstacle}")
    if queue.client == "boto3" or obstacle:
        why = obstacle if queue.client == "auto" else "the config says so"
        polls = min(queue.polls, _BOTO3_POLLS)
        return Boto3Client(session, polls=polls, controls=controls or _BOTO3_CONTROLS, why=why)
    why = "nothing needs boto3" if queue.client == "auto" else "the config says so"
    return LeanClient(session, polls=queue.polls, controls=controls or _LEAN_CONTROLS, why=why)
