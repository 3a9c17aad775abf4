"""Credentials that come late, that are replaced, and that a role is assumed with."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from tests.aws.conftest import ask, queue_settings, session
from tests.aws.listener import Listener, answer, request
from tests.conftest import eventually
from worker import platform
from worker.aws import credentials
from worker.aws.clients import Client
from worker.aws.credentials import PAUSE, LiveCredentials
from worker.aws.errors import failure_of
from worker.policy.failures import FailureKind
from worker.policy.requests import Delete
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
    live = LiveCredentials(lambda: botocore.session.get_session().get_credentials())
    live.get_frozen_credentials()
    write("OTHER")
    later(PAUSE)
    for code in ("AccessDenied", "QueueDoesNotExist", "RequestThrottled"):
        live.judge({"Error": {"Code": code, "Message": "no"}})
    for odd in (None, b"<html>", {"Error": None}, {}):
        live.judge(odd)
    assert live.get_frozen_credentials().access_key == "KEY"


def test_a_profile_s_role_is_assumed_in_the_region_of_the_config(
    aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else may name one, and STS is asked in a region."""
    for name in ("AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "orders")
    file = tmp_path / "config"
    role = "role_arn = arn:aws:iam::123456789012:role/orders"
    keys = "aws_access_key_id = OWN\naws_secret_access_key = secret"
    file.write_text(f"[profile orders]\n{role}\nsource_profile = own\n[profile own]\n{keys}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    own = session(queue_settings(url="http://x/y"), region="eu-west-1")
    assert own.botocore.get_credentials().get_frozen_credentials().access_key not in ("", "OWN", "test")


def test_a_role_s_credentials_that_sqs_refuses_are_fetched_anew(
    aws: str, client: str, clients: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the role was made anew: those of the old one would be refused till they expire, for an hour."""
    monkeypatch.setattr(credentials, "PAUSE", 0.0)
    keys: list[str] = []

    def serve(sock: socket.socket) -> None:
        while data := request(sock):
            keys.append(data.split(b"Credential=")[1].split(b"/")[0].decode())
            refused = keys[-1] == keys[0]
            sock.sendall(answer(b'{"__type": "InvalidClientTokenId"}', 403) if refused else answer())

    with Listener(serve) as listener:
        queue = queue_settings(url=f"{aws}/1/q", client=client, role_arn="arn:aws:iam::123456789012:role/orders")
        sqs = clients(queue, endpoint_url=listener.url).sqs(f"{aws}/1/q")
        failure = ask(sqs, Delete(("r",)))[0].failure
        assert failure is not None
        assert failure.kind is FailureKind.CREDENTIALS
        eventually(lambda: ask(sqs, Delete(("r",)))[0].failure is None)
    assert "test" not in keys
