"""Command line: the embedded SQS of `worker dev` and `worker demo`, and environments that lead everything to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from worker.cli import exits
from worker.testing.aws_services import AwsServicesProcess
from worker.testing.sqs_server.process import SqsServerProcess

REGION = "us-east-1"
#: What the embedded SQS takes as credentials: anything. These belong to nobody.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "worker", "AWS_SECRET_ACCESS_KEY": "worker"}
#: Ways in which boto3 could still find somebody's account, or ignore the endpoint.
_MISLEADING = (
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


@contextmanager
def embedded_sqs(*, port: int) -> Iterator[SqsServerProcess]:
    """The SQS server in a process of its own, until the block ends; port 0 is any. Raises Quit if it cannot start."""
    server = SqsServerProcess(port=port)
    try:
        with _deaf_children():
            server.start()
    except RuntimeError as error:
        raise exits.Quit(exits.UNAVAILABLE, f"{error}; --port 0 takes any free port") from None
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def embedded_services() -> Iterator[AwsServicesProcess]:
    """moto's server in a process of its own, until the block ends. Raises Quit if it cannot start, or is missing."""
    server = AwsServicesProcess()
    try:
        with _deaf_children():
            server.start()
    except RuntimeError as error:
        raise exits.Quit(exits.UNAVAILABLE, str(error)) from None
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Servers must outlive the drain that a Ctrl-C starts. What is blocked here stays blocked in a new process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def environment(url: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """A copy of the environment in which AWS is the server at `url`, and no real account can be reached by mistake.

    An `AWS_ENDPOINT_URL` that is set already stays: it may be a stand-in for the other services.
    """
    kept = {name: value for name, value in environ.items() if name not in _MISLEADING}
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        **kept,
        **CREDENTIALS,
        "AWS_ENDPOINT_URL_SQS": url,
    }


def stage_environment(sqs: str, services: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The same for a demonstration, whose queues are in one region; `services` is where all but SQS is, "" for nowhere.

    No endpoint of the user's own is left: a table of theirs is not for made-up messages.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("AWS_ENDPOINT_URL")}
    led = environment(sqs, kept) | {"AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION}
    return led | ({"AWS_ENDPOINT_URL": services} if services else {})
