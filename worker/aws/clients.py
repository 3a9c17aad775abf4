"""Poller process: which client speaks with SQS, and why: the lean one where it can, boto3 where only that can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from worker.aws.session import Session, Unusable
from worker.policy.requests import Sqs
from worker.settings import QueueSettings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class Client(Protocol):
    """Speaks with the SQS of one queue."""

    name: str
    why: str

    def ask(self, action: str, members: dict[str, Any]) -> dict[str, Any]: ...
    def sqs(self, url: str) -> Sqs: ...
    def close(self) -> None: ...


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
        self._polls = polls
        self._controls = controls
        self._controlling = session.controlling(controls)
        self._receiving: SQSClient | None = None
        self.ask = asking(self._controlling)
        self.why = why

    def sqs(self, url: str) -> Sqs:
        """For the poller's loop."""
        from worker.aws.calls import Calls

        receiving = self._receiving = self._session.receiving(self._polls)
        return Calls(
            url, receiving=receiving, controlling=self._controlling, polls=self._polls, controls=self._controls
        )

    def close(self) -> None:
        """Close the connections that no call is on."""
        self._controlling.close()
        if self._receiving is not None:
            self._receiving.close()


def client_for(session: Session, queue: QueueSettings, *, controls: int) -> Client:
    """The client of a queue. Raises Unusable for settings that no client, or not the one asked for, can use."""
    obstacle = session.obstacle
    if queue.client == "lean" and obstacle:
        raise Unusable(f"client is lean, but {obstacle}")
    if queue.client == "boto3" or obstacle:
        why = obstacle if queue.client == "auto" else "the config says so"
        return Boto3Client(session, polls=queue.polls, controls=controls, why=why)
    why = "nothing needs boto3" if queue.client == "auto" else "the config says so"
    return LeanClient(session, polls=queue.polls, controls=controls, why=why)
