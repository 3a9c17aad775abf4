"""Every process: pytest fixtures for users' tests: an SQS server, and the environment that leads boto3 to it.

It is loaded by every pytest run of an environment that has this package: so it imports nothing but pytest, and starts
nothing until a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.testing.sqs_server.process import SqsServerProcess


@pytest.fixture(scope="session")
def sqs_server() -> Iterator[SqsServerProcess]:
    """A strict SQS server in a process of its own, one for the whole run. Use queue names that are unique per test.

    Its cooldowns are off: tests recreate queues, and SQS would make them wait 60 seconds. The event log is on.
    """
    from worker.testing.sqs_server.process import SqsServerProcess

    with SqsServerProcess(events=True, cooldowns=False) as server:
        yield server


@pytest.fixture
def sqs_endpoint(sqs_server: SqsServerProcess, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of `sqs_server`; SQS clients that the test makes find it by themselves, with dummy credentials."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_SQS": sqs_server.url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return sqs_server.url
