"""Credentials that come late, that are replaced, and that a role is assumed with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from tests.aws.conftest import queue_settings, session
from worker import platform
from worker.aws.credentials import PAUSE, LiveCredentials
from worker.aws.errors import failure_of
from worker.policy.failures import FailureKind
from worker.testing.sqs_server.process import SqsServerProcess

Write = Callable[[str], None]


@pytest.fixture
def write(aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Nothing in the environment; puts an access key into the shared credentials file."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    def put(key: str) -> None:
        file.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")

    return put


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that moves when it is told to."""
    clock = [platform.now()]
    monkeypatch.setattr(platform, "now", lambda: clock[0])

    def move(seconds: float) -> None:
        clock[0] += seconds

    return move


def test_a_client_made_before_its_credentials_finds_them(write: Write, later: Callable[[float], None]) -> None:
    """As on a machine whose role comes late: a state of its own till then, and a search every few seconds."""
    client: Any = session(queue_settings(url="http://x/y")).controlling(1)
    with pytest.raises(NoCredentialsError) as caught:
        client.list_queues()
    assert failure_of(caught.value).kind is FailureKind.CREDENTIALS
    write("LATE")
    with pytest.raises(NoCredentialsError):
        client.list_queues()
    later(PAUSE)
    client.list_queues()


def test_what_aws_refuses_is_looked_for_anew(
    write: Write, later: Callable[[float], None], sqs_server: SqsServerProcess
) -> None:
    """Keys that were replaced in their file are read once AWS refuses the old ones, and not before."""
    write("OLD")
    own = session(queue_settings(url="http://x/y"))
    client: Any = own.controlling(1)
    client.list_queues()
    live = own._credentials
    write("NEW")
    client.list_queues()
    assert live.get_frozen_credentials().access_key == "OLD"
    later(PAUSE)
    fault = {"effect": "error", "shape": "ExpiredToken", "status": 403, "action": "ListQueues", "count": 1}
    sqs_server.set_faults(fault)
    with pytest.raises(ClientError):
        client.list_queues()
    sqs_server.clear_faults()
    client.list_queues()
    assert live.get_frozen_credentials().access_key == "NEW"


def test_other_refusals_change_no_credentials(write: Write, later: Callable[[float], None]) -> None:
    """A denied action or a missing queue says nothing about who asked."""
    write("KEY")
    live = LiveCredentials()
    live.get_frozen_credentials()
    write("OTHER")
    later(PAUSE)
    for code in ("AccessDenied", "QueueDoesNotExist", "RequestThrottled"):
        live.judge({"Error": {"Code": code, "Message": "no"}})
    for odd in (None, b"<html>", {"Error": None}, {}):
        live.judge(odd)
    assert live.get_frozen_credentials().access_key == "KEY"
