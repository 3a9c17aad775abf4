"""TLS on loopback: whose certificates are trusted, and that a reconnection resumes its session."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.aws.conftest import ask, queue_settings
from tests.aws.listener import Listener, answer, answering, request
from worker.aws.clients import Client
from worker.aws.session import Unusable
from worker.policy.failures import FailureKind
from worker.policy.requests import Delete, Outgoing, Receive, Send, Sqs

URL = "https://localhost/1/q"
STANDARD, DELETE = Receive(10, 0, 30), Delete(("r",))

Connect = Callable[..., Sqs]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def context(authority: trustme.CA, request: pytest.FixtureRequest) -> ssl.SSLContext:
    """A server that is localhost, of each version in turn."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = made.maximum_version = request.param
    authority.issue_cert("localhost").configure_cert(made)
    return made


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS_CA_BUNDLE names the authority."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    return


@pytest.fixture
def connect(aws: str, client: str, clients: Callable[..., Client]) -> Connect:
    def make(endpoint: str) -> Sqs:
        return clients(queue_settings(url=URL, client=client), endpoint_url=endpoint).sqs(URL)

    return make


def test_a_bundle_is_trusted(connect: Connect, context: ssl.SSLContext, trusted: None) -> None:
    """Answers come over a kept connection; a request of 1 MiB and an answer of 1 MiB go through in pieces."""
    large = b'{"Messages": [{"MessageId": "m", "ReceiptHandle": "r", "Body": "%s"}]}' % (b"x" * 2**20)

    def serve(sock: socket.socket) -> None:
        while data := request(sock):
            receives = b"AmazonSQS.ReceiveMessage" in data
            sock.sendall(answer(large if receives else b'{"Successful": [{"Id": "0"}]}'))

    with Listener(serve, context=context) as listener:
        sqs = connect(listener.url)
        for _ in range(3):
            received, sent = ask(sqs, STANDARD, Send(URL, (Outgoing(b"x" * 2**20, {}),)))
            assert [len(message.body) for message in received.messages] == [2**20]
            assert sent.entries == (None,)
        assert listener.connections == 2


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_strangers_are_refused(connect: Connect, context: ssl.SSLContext, host: str) -> None:
    """An authority that no bundle names; the failure says so and is worth waiting for."""
    with Listener(answering, context=context) as listener:
        for got in ask(connect(listener.url.replace("localhost", host)), STANDARD, DELETE):
            assert got.failure is not None
            assert (got.failure.code, got.failure.kind) == ("SSLError", FailureKind.TRANSIENT)
            assert "CERTIFICATE_VERIFY_FAILED" in got.failure.text


def test_a_certificate_of_another_host_is_refused(connect: Connect, context: ssl.SSLContext, trusted: None) -> None:
    """It is trusted, but not for 127.0.0.1."""
    with Listener(answering, context=context) as listener:
        (got,) = ask(connect(listener.url.replace("localhost", "127.0.0.1")), STANDARD)
        assert got.failure is not None
        assert got.failure.code == "SSLError"


def test_a_server_that_speaks_no_tls_is_a_failure(connect: Connect, trusted: None) -> None:
    """Plain HTTP on the port."""
    with Listener(lambda sock: sock.sendall(answer())) as listener:
        (got,) = ask(connect(listener.url.replace("http:", "https:")), STANDARD)
        assert got.failure is not None
        assert got.failure.code in ("SSLError", "EndpointConnectionError", "ConnectionClosedError")
        assert got.failure.kind is FailureKind.TRANSIENT


@pytest.mark.parametrize("client", ["lean"])
def test_a_reconnection_resumes_the_session(connect: Connect, context: ssl.SSLContext, trusted: None) -> None:
    """A handshake costs a round trip and a millisecond of CPU less; also between receives and deletes."""

    def serve(sock: socket.socket) -> None:
        request(sock)
        sock.sendall(answer(extra=b"connection: close\r\n"))

    with Listener(serve, context=context) as listener:
        sqs = connect(listener.url)
        for number in range(4):
            ask(sqs, STANDARD if number % 2 else DELETE)
        assert (listener.connections, listener.resumed) == (4, 3)


@pytest.mark.parametrize("client", ["lean"])
def test_a_bundle_that_is_none_is_a_fault_of_the_config(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No file, or no certificate in it."""
    (tmp_path / "ca.pem").write_text("nothing")
    for path in ("/nowhere.pem", str(tmp_path / "ca.pem")):
        monkeypatch.setenv("AWS_CA_BUNDLE", path)
        with pytest.raises(Unusable, match=path):
            connect("https://localhost:1")
