"""Test process: the control socket. No client can hold it up, and each gets one answer."""

from __future__ import annotations

import json
import os
import resource
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import eventually
from worker import platform
from worker.supervisor.control import CLIENTS, LONGEST, PATIENCE, REST, Client, Control
from worker.supervisor.verbs import Reply


class Desk:
    """A control socket that a test turns by hand, and the requests that reached it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 100.0
        self.selector = selectors.DefaultSelector()
        self.asked: list[tuple[bytes, Reply]] = []
        self.refused: list[int] = []
        self.at_once = True
        self.control = Control(str(path), selector=self.selector, ask=self.ask, refuse=self.refused.append)

    def ask(self, line: bytes, reply: Reply) -> None:
        self.asked.append((line, reply))
        if self.at_once:
            reply({"ok": True, "line": line.decode()})

    def turn(self) -> None:
        for key, mask in self.selector.select(0):
            if isinstance(key.data, Client):
                self.control.ready(key.data, mask)
            else:
                self.control.accept(now=self.now)
        self.control.step(now=self.now)

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.path))
        client.settimeout(0)
        return client

    def answer(self, client: socket.socket) -> bytes:
        """Everything the client is told, to the end of the connection."""
        got = bytearray()

        def ended() -> bool:
            self.turn()
            try:
                data = client.recv(1 << 20)
            except BlockingIOError:
                return False
            got.extend(data)
            return not data

        eventually(ended)
        client.close()
        return bytes(got)


pytestmark = pytest.mark.usefixtures("no_descriptor_left")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "worker.sock")
    yield desk
    desk.control.close()
    desk.selector.close()
    assert list(tmp_path.iterdir()) == []


def test_one_line_in_one_line_out(desk: Desk):
    client = desk.connect()
    client.send(b'{"verb":"status"}\n')
    assert json.loads(desk.answer(client)) == {"ok": True, "line": '{"verb":"status"}'}
    assert len(desk.asked) == 1


def test_a_request_may_come_in_pieces(desk: Desk):
    client = desk.connect()
    for piece in (b'{"verb":', b'"status"', b"}\n"):
        client.send(piece)
        desk.turn()
        desk.turn()
    assert b"status" in desk.answer(client)


def test_a_request_may_end_with_its_side_of_the_connection(desk: Desk):
    client = desk.connect()
    client.send(b'{"verb":"status"}')
    client.shutdown(socket.SHUT_WR)
    assert b"status" in desk.answer(client)


def test_an_answer_may_come_later_also_to_a_client_that_has_ended_its_side(desk: Desk):
    desk.at_once = False
    client = desk.connect()
    client.send(b"stacks\n")
    client.shutdown(socket.SHUT_WR)
    for _ in range(5):
        desk.turn()
    assert desk.selector.select(0) == []
    desk.asked[0][1]({"ok": True})
    assert desk.answer(client) == b'{"ok":true}\n'


def test_an_answer_to_a_client_that_is_gone_is_dropped(desk: Desk):
    desk.at_once = False
    client = desk.connect()
    client.send(b"stacks\n")
    for _ in range(3):
        desk.turn()
    desk.now += PATIENCE
    desk.turn()
    client.close()
    desk.asked[0][1]({"ok": True})
    desk.turn()


def test_a_second_request_on_one_connection_is_not_asked(desk: Desk):
    client = desk.connect()
    client.send(b"one\ntwo\n")
    assert json.loads(desk.answer(client))["line"] == "one"
    assert len(desk.asked) == 1


def test_a_request_of_64_kib_is_taken_and_a_longer_one_refused(desk: Desk):
    for size, ok in ((LONGEST, True), (LONGEST + 1, False)):
        client = desk.connect()
        client.setblocking(True)
        client.sendall(b"x" * size + b"\n")
        client.settimeout(0)
        assert json.loads(desk.answer(client))["ok"] is ok
    assert len(desk.asked) == 1


def test_a_client_that_says_nothing_is_dropped_after_its_time(desk: Desk):
    client = desk.connect()
    desk.turn()
    assert desk.control.step(now=desk.now) == desk.now + PATIENCE
    desk.now += PATIENCE
    assert desk.answer(client) == b""
    assert desk.control.step(now=desk.now) == float("inf")


def test_a_client_that_does_not_read_a_long_answer_is_dropped_after_its_time(desk: Desk):
    desk.at_once = False
    client = desk.connect()
    client.send(b"status\n")
    for _ in range(3):
        desk.turn()
    desk.asked[0][1]({"ok": True, "text": "x" * 5_000_000})
    for _ in range(5):
        desk.turn()
    desk.now += PATIENCE
    desk.turn()
    assert desk.control.step(now=desk.now) == float("inf")
    client.close()


def test_a_long_answer_is_written_as_the_client_reads(desk: Desk):
    desk.at_once = False
    client = desk.connect()
    client.send(b"status\n")
    for _ in range(3):
        desk.turn()
    desk.asked[0][1]({"ok": True, "text": "x" * 5_000_000})
    assert len(desk.answer(client)) == 5_000_022


def test_more_clients_than_eight_wait_for_their_turn(desk: Desk):
    silent = [desk.connect() for _ in range(CLIENTS)]
    for _ in range(CLIENTS + 2):
        desk.turn()
    late = desk.connect()
    late.send(b"status\n")
    for _ in range(3):
        desk.turn()
    assert desk.asked == []
    assert desk.selector.select(0) == []
    silent.pop().close()
    assert b"status" in desk.answer(late)
    for client in silent:
        client.close()


def test_without_a_descriptor_for_a_client_it_rests_instead_of_spinning(desk: Desk):
    client = desk.connect()
    client.send(b"status\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
    try:
        desk.turn()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert desk.selector.select(0) == []
    assert desk.control.step(now=desk.now) == desk.now + REST
    desk.now += REST
    assert b"status" in desk.answer(client)


def test_clients_that_come_and_go_leave_nothing(desk: Desk):
    for _ in range(50):
        desk.connect().close()
        desk.turn()
        desk.turn()
    assert desk.asked == []


def test_another_user_is_refused_and_named(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform, "peer_user", lambda _: 12345)
    client = desk.connect()
    client.send(b'{"verb":"drain"}\n')
    answer = json.loads(desk.answer(client))
    assert answer == {"ok": False, "error": f"user 12345 may not control the pool of user {os.geteuid()}"}
    assert desk.refused == [12345]
    assert desk.asked == []


def test_root_may_always_control(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform, "peer_user", lambda _: 0)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    client = desk.connect()
    client.send(b"status\n")
    assert json.loads(desk.answer(client))["ok"] is True


def test_without_a_path_there_is_no_socket_and_nothing_happens():
    with selectors.DefaultSelector() as selector:
        control = Control("", selector=selector, ask=lambda *_: None, refuse=lambda _: None)
        assert control.step(now=0.0) == float("inf")
        assert not selector.get_map()
        control.close()
