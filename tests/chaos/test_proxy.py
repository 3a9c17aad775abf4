"""The fault proxy does to connections what it is told, and nothing else."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator

import pytest

from chaos.proxy import Proxy

_RECEIVE = b"POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\n\r\n"


class Echo(threading.Thread):
    """A server that says everything back."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                return


@pytest.fixture
def polls() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def proxy(polls: io.StringIO) -> Iterator[Proxy]:
    echo = Echo()
    echo.start()
    made = Proxy(echo.listener.getsockname()[1], polls)
    made.start()
    yield made
    made.stop()
    echo.listener.shutdown(socket.SHUT_RDWR)
    echo.listener.close()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as made:
        assert ask(made, b"hello") == b"hello"
        yield made


def ask(client: socket.socket, data: bytes) -> bytes:
    """Send, and read as much back."""
    client.sendall(data)
    found = b""
    while len(found) < len(data) and (piece := client.recv(65536)):
        found += piece
    return found


def test_it_carries_everything(client: socket.socket) -> None:
    """More than any buffer, in both directions."""
    data = bytes(range(256)) * 4096
    sending = threading.Thread(target=client.sendall, args=(data,))
    sending.start()
    found = b""
    while len(found) < len(data):
        found += client.recv(65536)
    sending.join()
    assert found == data


def test_it_notes_the_first_receive_of_each_connection(client: socket.socket, polls: io.StringIO) -> None:
    """When it was accepted, and when the receive came; once."""
    assert ask(client, _RECEIVE) == ask(client, _RECEIVE) == _RECEIVE
    (line,) = polls.getvalue().splitlines()
    _, accepted, received = map(int, line.split())
    assert accepted < received


def test_a_reset_is_felt_at_once(proxy: Proxy, client: socket.socket) -> None:
    """And the next connection works."""
    proxy.hit("reset", 1.0)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as other:
        assert ask(other, b"again") == b"again"


def test_a_black_hole_holds_what_it_gets_until_it_is_healed(proxy: Proxy, client: socket.socket) -> None:
    """Connections that come meanwhile fall into it too."""
    proxy.hit("black_hole", 1.0)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as other:
        for one in (client, other):
            one.settimeout(0.2)
            with pytest.raises(TimeoutError):
                ask(one, b"held")
        proxy.heal()
        for one in (client, other):
            one.settimeout(5)
            assert one.recv(100) == b"held"


def test_a_half_open_connection_swallows_and_tells_only_when_it_is_healed(proxy: Proxy, client: socket.socket) -> None:
    """Its server is gone, and its client does not know."""
    proxy.hit("half_open", 1.0)
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        ask(client, b"swallowed")
    proxy.heal()
    client.settimeout(5)
    try:
        assert client.recv(100) == b""
    except ConnectionResetError:
        return  # as good an end


@pytest.mark.parametrize("fault", ["delay", "trickle"])
def test_what_is_slowed_arrives_whole(proxy: Proxy, client: socket.socket, fault: str) -> None:
    """In the right order."""
    data = bytes(range(200)) * 5
    proxy.hit(fault, 1.0)
    assert ask(client, data) == data


def test_a_share_of_the_connections_is_hit(proxy: Proxy, client: socket.socket) -> None:
    """The oldest; the others go on."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as younger:
        assert ask(younger, b"hello") == b"hello"
        proxy.hit("reset", 0.5)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert ask(younger, b"untouched") == b"untouched"
