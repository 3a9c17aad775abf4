"""The lean client's connections: kept alive, replaced when they are stale, opened in time, and bounded."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.aws.conftest import ask, queue_settings, wait
from tests.aws.listener import Listener, answer, answering, request
from tests.conftest import eventually
from worker.aws import addresses, lane
from worker.aws.clients import Client
from worker.policy.failures import FailureKind
from worker.policy.requests import Delete, Hide, Outgoing, Receive, Request, Send, Sqs

URL = "http://localhost/1/q"
DELETE, HIDE, RELEASE = Delete(("r",)), Hide((("r", 5),)), Hide((("r", 0),))
STANDARD, FIFO = Receive(10, 0, 30), Receive(10, 0, 30, "attempt")
SEND = Send(URL, (Outgoing(b"x", {}),))

Connect = Callable[..., Sqs]


@pytest.fixture
def connect(aws: str, clients: Callable[..., Client]) -> Connect:
    """A lean client of that endpoint."""

    def make(endpoint: str, *, polls: int = 2, controls: int = 2) -> Sqs:
        queue = queue_settings(url=URL, client="lean", polls=polls)
        return clients(queue, controls=controls, endpoint_url=endpoint).sqs(URL)

    return make


def one(sqs: Sqs, asked: Request) -> str:
    """The code of the failure of a request, or nothing."""
    (got,) = ask(sqs, asked)
    return got.failure.code if got.failure is not None else ""


def test_connections_are_kept_and_no_more_than_needed(connect: Connect) -> None:
    """One of each kind, however many requests follow each other."""
    with Listener(answering) as listener:
        sqs = connect(listener.url)
        for _ in range(20):
            assert one(sqs, STANDARD) == ""
            ask(sqs, DELETE)
        assert listener.connections == 2


def test_there_are_no_more_connections_than_allowed(connect: Connect) -> None:
    """The rest waits for one of them."""
    with Listener(answering) as listener:
        sqs = connect(listener.url, polls=3, controls=1)
        ask(sqs, *[STANDARD] * 20, *[HIDE] * 20)
        assert listener.connections == 4


def closing_at_once(sock: socket.socket) -> None:
    """Take the connection, and nothing else."""


def closing(ended: threading.Event, go: threading.Event) -> Callable[[socket.socket], None]:
    """Answer one request, read the next, and close without a word when told."""

    def serve(sock: socket.socket) -> None:
        request(sock)
        sock.sendall(answer())
        request(sock)
        go.wait(10)
        ended.set()

    return serve


@pytest.mark.parametrize("asked", [DELETE, HIDE, FIFO], ids=["delete", "hide", "FIFO receive"])
def test_a_stale_connection_is_no_failure(connect: Connect, asked: Request) -> None:
    """Where the request may be sent twice, it goes over a fresh connection at once."""
    ended, go = threading.Event(), threading.Event()
    go.set()
    with Listener(closing(ended, go), answering) as listener:
        sqs = connect(listener.url)
        assert one(sqs, asked) == ""
        (got,) = ask(sqs, asked)
        assert got.failure is None
        assert ended.is_set()
        assert listener.connections == 2


@pytest.mark.parametrize("asked", [STANDARD, SEND, RELEASE], ids=["receive", "send", "release"])
def test_what_must_not_be_sent_twice_is_the_actors_to_repeat(connect: Connect, asked: Request) -> None:
    """SQS may have taken it: a second receive would leave the messages of the first hidden for nobody, a second release
    would end the lease of whoever got the message since.
    """
    ended, go = threading.Event(), threading.Event()
    go.set()
    with Listener(closing(ended, go), answering) as listener:
        sqs = connect(listener.url)
        one(sqs, asked)
        assert one(sqs, asked) == "ConnectionClosedError"
        assert listener.connections == 1
        assert one(sqs, asked) in ("", "Missing")


@pytest.mark.parametrize("asked", [STANDARD, SEND, RELEASE, DELETE], ids=["receive", "send", "release", "delete"])
def test_a_connection_that_was_closed_while_it_rested_is_noticed(connect: Connect, asked: Request) -> None:
    """Also by those that must not be sent twice: nothing was sent."""
    served = threading.Event()

    def serve(sock: socket.socket) -> None:
        request(sock)
        sock.sendall(answer())
        sock.shutdown(socket.SHUT_WR)
        served.set()
        request(sock)

    with Listener(serve) as listener:
        sqs = connect(listener.url)
        for number in range(3):
            one(sqs, asked)
            assert served.wait(10)
            served.clear()
            sqs.answers()
            assert listener.connections == number + 1


def test_a_fresh_connection_that_brings_nothing_is_a_failure(connect: Connect) -> None:
    """Else an endpoint that closes at once would be asked for ever."""
    with Listener(closing_at_once) as listener:
        assert one(connect(listener.url), DELETE) == "ConnectionClosedError"
        assert listener.connections == 1


def test_a_second_stale_connection_in_a_row_is_not_tried(connect: Connect) -> None:
    """One repetition, on a connection that nothing went over."""
    ended, go = threading.Event(), threading.Event()
    go.set()
    with Listener(closing(ended, go), closing_at_once) as listener:
        sqs = connect(listener.url)
        one(sqs, DELETE)
        assert one(sqs, DELETE) == "ConnectionClosedError"
        assert listener.connections == 2


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (answer(b"<html>"), "ResponseParserError"),
        (b"SSH-2.0-OpenSSH\r\n", "ResponseParserError"),
        (answer(b'{"Messages": []}')[:-3], "ConnectionClosedError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{}", "ConnectionClosedError"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "ResponseParserError"),
        (answer(b'{"Messages": 5}'), "TypeError"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_answer_is_a_transient_failure(connect: Connect, said: bytes, code: str) -> None:
    """A body that is not JSON, no HTTP, less than was promised; and the next request gets its own answer."""

    def serve(sock: socket.socket) -> None:
        request(sock)
        sock.sendall(said)
        if code != "ConnectionClosedError":
            answering(sock)

    with Listener(serve, answering) as listener:
        sqs = connect(listener.url)
        (got,) = ask(sqs, STANDARD)
        assert got.failure is not None
        assert (got.failure.code, got.failure.kind) == (code, FailureKind.TRANSIENT)
        assert ask(sqs, STANDARD)[0].failure is None


def test_a_reset_in_the_middle_is_a_failure(connect: Connect) -> None:
    """Half an answer, then RST."""

    def serve(sock: socket.socket) -> None:
        request(sock)
        sock.sendall(answer(b"{}" * 100)[:50])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with Listener(serve) as listener:
        assert one(connect(listener.url), DELETE) == "ConnectionClosedError"


def test_an_answer_of_ten_megabytes_comes_whole(connect: Connect) -> None:
    """As ten bodies of 1 MiB, in the pieces that the kernel makes of them."""
    body = b'{"Messages": [%s]}' % b",".join(
        b'{"MessageId": "%d", "ReceiptHandle": "r%d", "Body": "%s"}' % (n, n, b"x" * 2**20) for n in range(10)
    )

    def serve(sock: socket.socket) -> None:
        while request(sock):
            sock.sendall(answer(body))

    with Listener(serve) as listener:
        sqs = connect(listener.url)
        for _ in range(2):
            (got,) = ask(sqs, STANDARD)
            assert [len(message.body) for message in got.messages] == [2**20] * 10
        assert listener.connections == 1


def test_a_request_of_a_megabyte_goes_whole(connect: Connect) -> None:
    """More than a socket takes at once."""
    sizes: list[int] = []

    def serve(sock: socket.socket) -> None:
        while data := request(sock):
            sizes.append(len(data))
            sock.sendall(answer(b'{"Successful": [{"Id": "0"}]}'))

    with Listener(serve) as listener:
        (got,) = ask(connect(listener.url), Send(URL, (Outgoing(b"x" * 2**20, {}),)))
        assert got.entries == (None,)
        assert sizes[0] > 2**20


def test_an_answer_before_the_request_is_whole_ends_its_connection(connect: Connect) -> None:
    """As of a server that reads no more of what is too large: the rest would be taken for the next request."""
    asked = threading.Event()

    def serve(sock: socket.socket) -> None:
        sock.recv(100)
        sock.sendall(answer(b'{"__type": "TooLarge"}', 413))
        asked.wait(10)
        while sock.recv(65536):
            pass

    with Listener(serve, answering) as listener:
        sqs = connect(listener.url, controls=1)
        sent = (Outgoing(b"x" * 2**20, {}),) * 10
        assert one(sqs, Send(URL, sent)) == "TooLarge"
        asked.set()
        assert one(sqs, DELETE) == ""
        assert listener.connections == 2


# --- addresses


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """What the name server says: a list of ports on loopback, an error, or an event to wait for before it answers."""
    said: dict[str, object] = {}
    real = socket.getaddrinfo

    def look_up(host: str, port: int, **options: int) -> list[object]:
        value = said["is"]
        if isinstance(value, threading.Event):
            value.wait(10)
            value = [port]
        if isinstance(value, OSError):
            raise value
        assert isinstance(value, list)
        return [found for one in value for found in real("127.0.0.1", one, **options)]  # type: ignore[arg-type]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", look_up)
    return said


def test_further_addresses_are_tried_and_the_good_one_kept(connect: Connect, names: dict[str, object]) -> None:
    """A refusal costs no failure; the address that took a connection is the first one next time."""
    with socket.create_server(("127.0.0.1", 0)) as closed, Listener(answering) as listener:
        refusing = closed.getsockname()[1]
        closed.close()
        names["is"] = [refusing, int(listener.url.rpartition(":")[2])]
        sqs = connect(listener.url)
        ask(sqs, *[STANDARD] * 5, *[DELETE] * 5)
        assert listener.connections == 4
        found = sqs._transport.route.addresses.current()  # type: ignore[attr-defined]
        assert [one[4][1] for one in found] == [int(listener.url.rpartition(":")[2]), refusing]


def test_an_address_that_swallows_packets_gets_its_share_of_the_time(
    connect: Connect, names: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full backlog drops SYNs, as a firewall does; the next address is tried within CONNECT_TIMEOUT."""
    monkeypatch.setattr(lane, "CONNECT_TIMEOUT", 0.6)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, Listener(answering) as listener:
        full = [socket.socket() for _ in range(4)]
        for each in full:
            each.setblocking(False)
            each.connect_ex(deaf.getsockname())
        port = deaf.getsockname()[1]
        names["is"] = [port, int(listener.url.rpartition(":")[2])]
        assert one(connect(listener.url), STANDARD) == ""
        names["is"] = [port]
        assert one(connect(f"http://elsewhere.localhost:{port}"), STANDARD) == "ConnectTimeoutError"
        for each in full:
            each.close()


def test_a_name_that_is_unknown_fails_all_that_waited_for_it(connect: Connect, names: dict[str, object]) -> None:
    """Also 1,000 at once; and it heals."""
    with Listener(answering) as listener:
        names["is"] = socket.gaierror(-2, "Name or service not known")
        sqs = connect(listener.url)
        for got in ask(sqs, *[DELETE] * 1000):
            assert got.failure is not None
            assert got.failure.code == "EndpointConnectionError"
            assert "Name or service not known" in got.failure.text
        names["is"] = [int(listener.url.rpartition(":")[2])]
        eventually(lambda: one(sqs, STANDARD) == "")


def test_a_name_server_that_is_silent_holds_up_nothing(
    connect: Connect, names: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request fails in time, in a loop that never waited."""
    monkeypatch.setattr(lane, "CONNECT_TIMEOUT", 0.2)
    names["is"] = silent = threading.Event()
    with Listener(answering) as listener:
        sqs = connect(listener.url)
        (got,) = ask(sqs, DELETE)
        assert got.failure is not None
        assert got.failure.code == "ConnectTimeoutError"
        silent.set()
        sqs.start(STANDARD, 0)
        assert wait(sqs, 10)[0].failure is None
