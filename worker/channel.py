"""Every process: one end of a private two-way stream of frames; replaced when it breaks, never repaired.

A frame is `length | kind | descriptors | header length | header (JSON) | blob`. Bodies travel in the blob as raw bytes.
One process writes and one reads each direction, so that a process killed mid-frame leaves nothing locked: the half
frame vanishes with the connection. Descriptors travel beside a frame (SCM_RIGHTS).
"""

from __future__ import annotations

import array
import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from worker.platform import RECEIVE_CLOSE_ON_EXEC

#: Spoken by all processes of one pool; a child of another version is refused (rolling replacement of a new release).
PROTOCOL = 1

#: The length counts what follows it.
_PREFIX = struct.Struct("!IBBI")
_LENGTH = 4
#: A frame longer than this is a broken peer, not a message: SQS's largest receive is 10 MiB.
_LONGEST = 64 * 1024 * 1024
#: The receive buffer at first, in bytes. It doubles while a frame does not fit, and is kept up to `_KEPT`, since a
#: fresh buffer costs a page fault per 4 KiB: a third of the price of a 1 MiB frame.
_BUFFER = 64 * 1024
_KEPT = 2 * 1024 * 1024
#: One receive() takes about this many bytes, so that a fast peer cannot hold its reader for ever. It is more than a
#: socket holds (`_KERNEL` twice), so what a dead peer left is read in one call.
_TURN = 2 * 1024 * 1024
#: Frames of fewer bytes are joined, which is quicker than to write their parts; the parts of others are not copied,
#: as long as the system takes so many at a time.
_JOINED, _PARTS = 64 * 1024, 16
#: Bytes that the kernel may hold of a stream each way. Linux takes twice that, if net.core.wmem_max lets it (by default
#: 416 KiB in all); macOS would hold 8 KiB. A body of 1 MiB that does not fit costs both sides a wake-up for each piece:
#: on a busy machine that made 180 MB/s of 2,500.
_KERNEL = 512 * 1024
_INT = array.array("i").itemsize
#: Descriptors that may arrive with one frame; none of ours carries more.
_DESCRIPTORS = 8
_ANCILLARY = socket.CMSG_SPACE(_DESCRIPTORS * _INT)
#: The peer is gone.
_GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)
#: The kernel is short of memory or of descriptors in flight: the same call may succeed later.
_LATER = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS)


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame; `fds` are open descriptors that the receiver now owns."""

    kind: int
    header: Any
    blob: bytes
    fds: tuple[int, ...] = ()


class Broken(Exception):
    """The stream broke the frame format: the peer is not of our kind."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends; each goes to one process."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL)
    return ends


class Channel:
    """One end of a stream; never blocks. After the peer is gone, `closed` is True and sends are dropped."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._buffer = bytearray(_BUFFER)
        self._end = 0  # bytes of the buffer that hold what has arrived and is no whole frame yet
        self._arrived: deque[int] = deque()
        self._outgoing: deque[tuple[list[memoryview], tuple[int, ...]]] = deque()
        self.pending = 0  #: bytes accepted by send() that the kernel has not taken yet
        self.closed = False

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, kind: int, header: Any, blobs: Sequence[bytes] = (), *, fds: tuple[int, ...] = ()) -> None:
        """Queue one frame and write what the kernel takes now. `fds` must stay open until `pending` is 0."""
        if self.closed:
            return
        text = _encode(header)
        length = _PREFIX.size - _LENGTH + len(text) + sum(map(len, blobs))
        parts = (_PREFIX.pack(length, kind, len(fds), len(text)), text, *blobs)
        whole = length < _JOINED or len(parts) > _PARTS
        self._outgoing.append(([memoryview(part) for part in ((b"".join(parts),) if whole else parts)], fds))
        self.pending += length + _LENGTH
        self.flush()

    def flush(self) -> bool:
        """Write what the kernel takes; True when nothing is pending any more."""
        while self._outgoing:
            views, fds = self._outgoing[0]
            try:
                sent = socket.send_fds(self._sock, views, list(fds)) if fds else self._sock.sendmsg(views)
            except OSError as error:
                if error.errno in _LATER:
                    return False
                if error.errno not in _GONE:
                    raise
                # The reader still has to read what the peer wrote before it died, so do not close.
                self._forget_outgoing()
                break
            self.pending -= sent
            while views and sent >= len(views[0]):
                sent -= len(views.pop(0))
            if not views:
                self._outgoing.popleft()
            else:
                views[0] = views[0][sent:]
                self._outgoing[0] = (views, ())
        return not self._outgoing

    def receive(self) -> list[Frame]:
        """Every whole frame that has arrived; sets `closed` at the end of the stream. Raises Broken on garbage."""
        frames: list[Frame] = []
        turn = 0 if self.closed else _TURN
        try:
            while turn > 0:
                count = self._read()
                self._cut(frames)
                turn = turn - count if count else 0
        except Broken:
            self.closed = True
            for frame in frames:  # they reach nobody, so close() has to close their descriptors
                self._arrived.extend(frame.fds)
            raise
        return frames

    def close(self) -> None:
        """Close the socket and every descriptor that arrived and was not taken."""
        self.closed = True
        self._forget_outgoing()
        self._sock.close()
        while self._arrived:
            os.close(self._arrived.popleft())

    def _forget_outgoing(self) -> None:
        self._outgoing.clear()
        self.pending = 0

    def _read(self) -> int:
        """Take what has arrived into the buffer; its bytes, or 0 if there cannot be more."""
        if self._end == len(self._buffer):
            self._buffer += bytes(len(self._buffer))
        with memoryview(self._buffer)[self._end :] as room:
            try:
                count, ancillary, flags, _ = self._sock.recvmsg_into([room], _ANCILLARY, RECEIVE_CLOSE_ON_EXEC)
            except (BlockingIOError, InterruptedError):
                return 0
            except OSError:
                count, ancillary, flags = 0, [], 0
            filled = count == len(room)
        self._keep_descriptors(ancillary)
        if flags & socket.MSG_CTRUNC:
            raise Broken("descriptors were lost on the way: this process has too many open files")
        self._end += count
        self.closed = not count
        return count if filled or ancillary else 0

    def _keep_descriptors(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(data[: len(data) - len(data) % _INT])
                for fd in numbers:
                    os.set_inheritable(fd, False)  # where the kernel could not be asked to do it
                self._arrived.extend(numbers)

    def _cut(self, frames: list[Frame]) -> None:
        """Move the whole frames out of the buffer; what is left of it goes to its front."""
        position, end = 0, self._end
        with memoryview(self._buffer) as data:
            while end - position >= _PREFIX.size:
                length, kind, descriptors, header_length = _PREFIX.unpack_from(data, position)
                start = position + _PREFIX.size
                middle, stop = start + header_length, position + _LENGTH + length
                if length > _LONGEST or middle > stop:
                    raise Broken(f"a frame of kind {kind} claims {length} bytes, {header_length} of them its header")
                if stop > end:
                    break
                frames.append(self._frame(kind, descriptors, header=data[start:middle], blob=data[middle:stop]))
                position = stop
            if position:
                data[: end - position] = data[position:end]
        self._end = end - position
        if not self._end and len(self._buffer) > _KEPT:
            self._buffer = bytearray(_BUFFER)

    def _frame(self, kind: int, descriptors: int, *, header: memoryview, blob: memoryview) -> Frame:
        if descriptors > len(self._arrived):
            raise Broken(f"a frame of kind {kind} came without its descriptors")
        try:
            decoded = orjson.loads(header)
        except orjson.JSONDecodeError as error:
            raise Broken(f"a frame of kind {kind} has a header that is not JSON: {error}") from None
        return Frame(kind, decoded, bytes(blob), tuple(self._arrived.popleft() for _ in range(descriptors)))


def _encode(header: Any) -> bytes:
    try:
        return orjson.dumps(header)
    except orjson.JSONEncodeError:
        # A lone surrogate in an exception's text or in an attribute. It must not kill the process that passes it on.
        import json  # not at the top: it is needed about never, and costs every handler's start 2 ms

        return json.dumps(header, ensure_ascii=False).encode(errors="replace")
