"""Chaos process: a TCP proxy between the pool and the SQS server that resets, swallows, delays and trickles.

It runs in a thread with a loop of its own. It keeps the log of first receives: when a poller polls again is seen here,
where its requests pass, and not asked of the pool.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from chaos.logs import stamp

#: Connections at a time; further ones are refused, so that no fault can make it grow without bound.
_MOST = 512
_PIECE = 65_536
#: SO_LINGER with a time of 0: closing sends a reset.
_RESET = struct.pack("ii", 1, 0)
_RECEIVE = b"AmazonSQS.ReceiveMessage"
_TRICKLE = 200  #: bytes a tick
_TICK = 0.05  #: seconds
_DELAY = 0.4  #: seconds that a piece takes longer


@dataclass(slots=True, eq=False)
class _Pair:
    """A client's connection and ours to the server."""

    number: int
    accepted: int
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    fault: str = ""
    polled: bool = False


class Proxy:
    """Listens on a port of the kernel's choice from `start` to `stop`; the other methods are for any thread."""

    def __init__(self, port: int, polls: IO[str]) -> None:
        self._target = port
        self._polls = polls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._pairs: set[_Pair] = set()
        self._count = 0
        self._fault = ""  #: of connections that are still to come
        self._healed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.port = 0

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def stop(self) -> None:
        """Close everything and end the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def hit(self, fault: str, share: float) -> None:
        """Do this to a share of the connections (0 to 1), and to those to come where it lasts."""
        self._call(lambda: self._hit(fault, share))

    def heal(self) -> None:
        """End what lasts. A half-open connection stays broken, and its client is told now."""
        self._call(self._heal)

    def _call(self, act: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(act)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_PIECE, backlog=_MOST)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._heal()
        for pair in list(self._pairs):
            _abort(pair.client)
            _abort(pair.server)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=5)

    def _hit(self, fault: str, share: float) -> None:
        pairs = sorted(self._pairs, key=lambda pair: pair.number)
        chosen = pairs[: max(1, round(len(pairs) * share))]
        for pair in chosen:
            pair.fault = fault
            if fault == "reset":
                _reset(pair.client)
                _reset(pair.server)
            elif fault == "half_open":
                _abort(pair.server)
        if fault not in ("reset", "half_open"):
            self._fault = fault

    def _heal(self) -> None:
        self._fault = ""
        for pair in self._pairs:
            if pair.fault == "half_open":
                _abort(pair.client)
            pair.fault = ""
        self._healed.set()
        self._healed = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = stamp()
        if len(self._pairs) >= _MOST:
            _abort(writer)
            return
        try:
            upstream, server = await asyncio.open_connection("127.0.0.1", self._target, limit=_PIECE)
        except OSError:
            _abort(writer)
            return
        self._count += 1
        pair = _Pair(self._count, accepted, writer, server, fault=self._fault)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._pump(pair, reader, server), self._pump(pair, upstream, writer))
        finally:
            self._pairs.discard(pair)
            writer.close()
            server.close()

    async def _pump(self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction to its end; then the other side ends as well."""
        try:
            while data := await reader.read(_PIECE):
                if not pair.polled and writer is pair.server and _RECEIVE in data:
                    pair.polled = True
                    self._polls.write(f"{pair.number} {pair.accepted} {stamp()}\n")
                await self._carry(pair, data, writer)
        except (ConnectionError, OSError):
            pass  # reset by either side, or by us
        if pair.fault != "half_open":
            pair.client.close()  # sends what is still buffered, unlike abort
            pair.server.close()

    async def _carry(self, pair: _Pair, data: bytes, writer: asyncio.StreamWriter) -> None:
        while pair.fault == "black_hole":
            await self._healed.wait()
        if pair.fault == "half_open":
            return  # swallowed
        if pair.fault == "delay":
            await asyncio.sleep(_DELAY)
        while pair.fault == "trickle" and writer is pair.client and len(data) > _TRICKLE:
            writer.write(data[:_TRICKLE])
            data = data[_TRICKLE:]
            await writer.drain()
            await asyncio.sleep(_TICK)
        writer.write(data)
        await writer.drain()


def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
