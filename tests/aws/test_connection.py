"""One connection to an endpoint: what goes wrong before a request is sent is its own failure, and leaves no trace."""

from __future__ import annotations

import selectors
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.aws.listener import Listener, answering
from worker.aws.connection import READ, WRITE, Address, Broken, Connection

#: More than TLS has room for.
LONG = ".".join(["name" * 10] * 10)


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as made:
        yield made


def address(listener: Listener) -> Address:
    port = int(listener.url.rpartition(":")[2])
    return socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)[0]


def test_a_kind_of_address_that_this_machine_has_not_is_a_failure(selector: selectors.BaseSelector) -> None:
    """A name server gives IPv6 addresses where the kernel has no IPv6: the next address is for the caller to try."""
    connection = Connection(selector, context=None, host="localhost", buffer=bytearray(64))
    unheard = (socket.AF_APPLETALK, socket.SOCK_STREAM, 99, "", ("127.0.0.1", 9))
    with pytest.raises(Broken) as caught:
        connection.open(unheard, None)
    assert caught.value.code == "EndpointConnectionError"


def test_a_greeting_that_fails_at_once_leaves_no_trace_in_the_selector(selector: selectors.BaseSelector) -> None:
    """`ssl` closes the socket itself then; the next one gets its number, and has to be watched."""
    context = ssl.create_default_context()
    with Listener(answering) as listener:
        for _ in range(3):
            connection = Connection(selector, context=context, host=LONG, buffer=bytearray(64))
            connection.open(address(listener), None)
            assert selector.select(5)
            with pytest.raises(Broken) as caught:
                connection.greet()
            assert caught.value.code == "SSLError"
            connection.close()
            assert not selector.get_map()


def test_a_read_that_has_to_write_first_asks_for_that_only_as_long(
    selector: selectors.BaseSelector,
) -> None:
    """As TLS answers a new key. A socket is nearly always writable: to go on asking would never let the loop sleep."""
    with Listener(answering) as listener:
        connection = Connection(selector, context=None, host="localhost", buffer=bytearray(64))
        connection.open(address(listener), None)
        assert selector.select(5)
        assert connection.greet()
        plain = connection._socket
        connection._socket = _Wanting(plain)  # type: ignore[assignment,arg-type]
        assert connection.alive()
        assert [key.events for key in selector.get_map().values()] == [READ | WRITE]
        connection._socket = plain
        assert connection.alive()
        assert [key.events for key in selector.get_map().values()] == [READ]
        connection.close()


class _Wanting:
    """A TLS socket whose peer wants an answer before it says more, and whose own buffer is full."""

    def __init__(self, sock: socket.socket) -> None:
        self.fileno = sock.fileno

    def recv_into(self, _: memoryview) -> int:
        raise ssl.SSLWantWriteError
