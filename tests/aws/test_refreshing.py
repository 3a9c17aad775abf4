"""Credentials: found by botocore's providers, renewed off the loop, and never shown."""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.aws.conftest import ask, queue_settings, session, wait
from tests.aws.listener import Listener, answer, request
from tests.conftest import eventually
from worker.aws import lean, refreshing
from worker.aws.clients import Client
from worker.aws.errors import Refused
from worker.aws.signing import Credentials
from worker.policy.failures import Failure, FailureKind
from worker.policy.requests import Delete, Receive, Sqs

URL = "http://localhost/1/q"
DELETE = Delete(("r",))


class Metadata(ThreadingHTTPServer):
    """A container's credential endpoint: keys with a number that counts up, which live so many seconds."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.lives = 3600.0
        self.status = 200
        self.given = 0
        self.free = threading.Event()
        self.free.set()
        self.url = f"http://127.0.0.1:{self.server_port}/credentials"


class _Answering(BaseHTTPRequestHandler):
    server: Metadata

    def do_GET(self) -> None:
        self.server.free.wait(10)
        self.send_response(self.server.status)
        self.end_headers()
        if self.server.status != 200:
            self.wfile.write(b"{}")
            return
        self.server.given += 1
        expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.server.lives)
        keys = {"AccessKeyId": f"KEY{self.server.given}", "SecretAccessKey": "s", "Token": "t"}
        self.wfile.write(json.dumps(keys | {"Expiration": expires.isoformat()}).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on standard error."""


@pytest.fixture
def metadata(aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Metadata]:
    """The only provider that has any."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1")
    server = Metadata()
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.free.set()
    server.shutdown()
    thread.join()
    server.server_close()


class Signed:
    """Keeps the access keys that requests were signed with; refuses those in `refused`."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.refused: set[str] = set()

    def __call__(self, sock: Any) -> None:
        while data := request(sock):
            self.keys.append(data.split(b"Credential=")[1].split(b"/")[0].decode())
            assert b"x-amz-security-token: t\r\n" in data
            if self.keys[-1] in self.refused:
                sock.sendall(answer(b'{"__type": "ExpiredToken"}', 403))
            else:
                sock.sendall(answer())


@pytest.fixture
def signed() -> Iterator[tuple[Signed, str]]:
    """What an endpoint saw, and its URL."""
    seen = Signed()
    with Listener(seen) as listener:
        yield seen, listener.url


def connected(clients: Callable[..., Client], url: str) -> Sqs:
    return clients(queue_settings(url=URL, client="lean"), endpoint_url=url).sqs(URL)


def test_a_container_has_credentials(
    metadata: Metadata, clients: Callable[..., Client], signed: tuple[Signed, str]
) -> None:
    """Asked once, however many requests there are."""
    sqs = connected(clients, signed[1])
    ask(sqs, *[DELETE] * 20)
    assert set(signed[0].keys) == {"KEY1"}
    assert metadata.given == 1


def test_they_are_renewed_before_they_expire(
    metadata: Metadata, clients: Callable[..., Client], signed: tuple[Signed, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a slow metadata service is asked, requests go on with what is there, and nothing waits."""
    monkeypatch.setattr(refreshing, "_LOOK", 0.05)
    monkeypatch.setattr(refreshing, "_AGAIN", 0.05)
    metadata.lives = 60.0
    seen, url = signed
    sqs = connected(clients, url)
    ask(sqs, DELETE)
    metadata.free.clear()
    for _ in range(20):
        assert ask(sqs, DELETE)[0].failure is None
    before = len(seen.keys)
    assert seen.keys[-1] == f"KEY{metadata.given}"
    metadata.free.set()
    eventually(lambda: ask(sqs, DELETE) and seen.keys[-1] != seen.keys[before - 1])


def test_requests_wait_for_the_first_ones(
    metadata: Metadata, clients: Callable[..., Client], signed: tuple[Signed, str]
) -> None:
    """The loop does not: it only sees no answer."""
    metadata.free.clear()
    sqs = connected(clients, signed[1])
    sqs.start(DELETE, 0)
    sqs.start(Receive(1, 0, 30), 1)
    assert sqs.answers() == []
    metadata.free.set()
    found = wait(sqs, 10)
    while len(found) < 2:
        found += wait(sqs, 10)
    assert all(got.failure is None for got in found)


def test_they_do_not_wait_for_ever(
    metadata: Metadata,
    clients: Callable[..., Client],
    signed: tuple[Signed, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A metadata service that is silent is a failure of its own kind."""
    monkeypatch.setattr(lean, "CONTROL_TIMEOUT", 0.2)
    metadata.free.clear()
    (got,) = ask(connected(clients, signed[1]), DELETE)
    assert got.failure is not None
    assert (got.failure.kind, got.failure.code) == (FailureKind.CREDENTIALS, "CredentialRetrievalError")


def test_without_any_each_request_says_so(
    metadata: Metadata, clients: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And they are looked for again, so that it heals by itself."""
    monkeypatch.setattr(refreshing, "_AGAIN", 0.05)
    metadata.status = 500
    seen = Signed()
    with Listener(seen) as listener:
        sqs = connected(clients, listener.url)
        for got in ask(sqs, DELETE, Receive(1, 0, 30)):
            assert got.failure is not None
            assert got.failure.kind is FailureKind.CREDENTIALS
        assert seen.keys == []
        metadata.status = 200
        eventually(lambda: ask(sqs, DELETE)[0].failure is None, seconds=30)


def test_what_sqs_calls_expired_is_looked_at_at_once(
    metadata: Metadata, clients: Callable[..., Client], signed: tuple[Signed, str]
) -> None:
    """Not after the twenty seconds between two looks."""
    metadata.lives = 60.0  # so botocore gets new ones whenever it is asked
    seen, url = signed
    seen.refused = {"KEY1", "KEY2"}
    sqs = connected(clients, url)
    (got,) = ask(sqs, DELETE)
    assert got.failure is not None
    assert got.failure.kind is FailureKind.CREDENTIALS
    eventually(lambda: ask(sqs, DELETE)[0].failure is None)


def test_what_is_refused_at_the_start_is_looked_at_as_well(
    metadata: Metadata, clients: Callable[..., Client], signed: tuple[Signed, str]
) -> None:
    """Before there is a loop: a poller that cannot resolve its queue would try the same keys for ever."""
    metadata.lives = 60.0
    seen, url = signed
    seen.refused = {"KEY1", "KEY2"}
    client = clients(queue_settings(url=URL, client="lean"), endpoint_url=url)
    with pytest.raises(Refused):
        client.ask("GetQueueUrl", {"QueueName": "q"})

    def asked() -> bool:
        with contextlib.suppress(Refused):
            client.ask("GetQueueUrl", {"QueueName": "q"})
            return True
        return False

    eventually(asked)


def test_a_role_is_assumed_off_the_loop(aws: str, clients: Callable[..., Client]) -> None:
    """By STS, with the process's own credentials; the role's sign."""
    keys: list[str] = []

    def serve(sock: Any) -> None:
        while data := request(sock):
            keys.append(data.split(b"Credential=")[1].split(b"/")[0].decode())
            sock.sendall(answer())

    with Listener(serve) as listener:
        queue = queue_settings(url=URL, client="lean", role_arn="arn:aws:iam::123456789012:role/orders")
        sqs = clients(queue, endpoint_url=listener.url).sqs(URL)
        assert ask(sqs, DELETE)[0].failure is None
    assert keys[0] not in ("test", "")


def test_credentials_that_never_change_are_found_once(aws: str) -> None:
    """No thread looks again."""
    found = refreshing.Refreshing(session(queue_settings(url=URL)).botocore, wake=lambda: None)
    eventually(lambda: isinstance(found.current(), Credentials))
    assert found._look_at == float("inf")


@pytest.mark.parametrize("error", [RuntimeError("SECRET" * 50), OSError("x")])
def test_whatever_a_provider_raises_is_a_failure(error: Exception) -> None:
    """Never the end of the thread."""

    class Raising:
        def get_credentials(self) -> Any:
            raise error

    found = refreshing.Refreshing(Raising(), wake=lambda: None)
    eventually(lambda: found.current() is not None)
    state = found.current()
    assert isinstance(state, Failure)
    assert len(str(state)) < 200


def test_a_look_that_falls_into_the_end_of_another_is_not_lost() -> None:
    """Its thread still runs, but has looked already: nobody would ever ask again."""
    looks: list[int] = []
    ending, again = threading.Event(), threading.Event()

    class Failing:
        def get_credentials(self) -> Any:
            looks.append(1)
            if len(looks) > 1:
                again.set()
            raise OSError("x")

    def wake() -> None:
        ending.set()
        again.wait(10)

    found = refreshing.Refreshing(Failing(), wake=wake)
    assert ending.wait(10)
    found.look()
    assert again.wait(5)
    eventually(lambda: found._look_at != float("inf"))
