"""Test process: whole frames or none, whatever happens to the peer; see worker/channel.py."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.channel import Broken, Channel, Frame, pair

pytestmark = pytest.mark.usefixtures("no_descriptor_left")

Child = Callable[..., subprocess.Popen[bytes]]

MIB = 1024 * 1024
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
).filter(lambda value: "inf" not in repr(value))
sent_frames = st.lists(
    st.tuples(st.integers(0, 255), json_values, st.lists(st.binary(max_size=300))), min_size=1, max_size=5
)


@contextlib.contextmanager
def two_ends() -> Iterator[tuple[Channel, Channel]]:
    here, there = (Channel(sock) for sock in pair())
    try:
        yield here, there
    finally:
        here.close()
        there.close()


def read_to_end(channel: Channel) -> list[Frame]:
    """What a poller does after a handler's death."""
    frames = []
    while not channel.closed:
        assert select.select([channel], [], [], 10)[0], "neither data nor the end of the stream within 10 s"
        frames += channel.receive()
    return frames


@given(sent=sent_frames, cuts=st.lists(st.integers(1, 60)))
@example(sent=[(1, " a string that looks like a count", [])], cuts=[3])
def test_frames_arrive_whole_and_in_order_wherever_the_stream_is_cut(sent: list[Any], cuts: list[int]) -> None:
    """Every frame sent is received exactly once, unchanged, however the kernel cuts the bytes."""
    with two_ends() as (writer, wire), two_ends() as (source, reader):
        for kind, header, blobs in sent:
            writer.send(kind, header, blobs)
        data = os.read(wire.fileno(), MIB)
        received = []
        for cut in [*cuts, len(data)]:
            piece, data = data[:cut], data[cut:]
            os.write(source.fileno(), piece)
            received += reader.receive()
    assert [(frame.kind, frame.header, frame.blob) for frame in received] == [(k, h, b"".join(b)) for k, h, b in sent]


def test_large_and_small_frames_take_turns() -> None:
    """Bodies up to 3 MiB pass in both directions at once without a loss, though the kernel takes them in pieces."""
    sizes = [0, 1, 70_000, MIB, 5, 3 * MIB, 65_527, 65_536, 2 * MIB, 10]
    with two_ends() as (here, there):
        for size in sizes:
            here.send(1, size, [bytes([size % 251]) * size])
            there.send(2, size, [b"y" * size])
        got: dict[Channel, list[Frame]] = {here: [], there: []}
        while min(map(len, got.values())) < len(sizes):
            readable, writable, _ = select.select([here, there], [c for c in (here, there) if c.pending], [], 10)
            assert readable or writable
            for channel in readable:
                got[channel] += channel.receive()
            for channel in writable:
                channel.flush()
        assert here.pending == there.pending == 0
    assert [(frame.header, frame.blob) for frame in got[there]] == [(s, bytes([s % 251]) * s) for s in sizes]
    assert [len(frame.blob) for frame in got[here]] == sizes


@pytest.mark.parametrize("parts", [1, 3, 15, 16, 40])
def test_a_large_frame_of_any_number_of_bodies_arrives_whole(parts: int) -> None:
    """Few large bodies are written as they are, many in one piece; the kernel may stop in the middle of any."""
    bodies = [bytes([number]) * (70_000 + number) for number in range(parts)]
    with two_ends() as (here, there):
        here.send(1, parts, bodies)
        here.send(2, "behind it")
        frames: list[Frame] = []
        while len(frames) < 2:
            here.flush()
            frames += there.receive()
    assert frames[0].blob == b"".join(bodies)
    assert [frame.header for frame in frames] == [parts, "behind it"]


WRITER = """
import socket, sys
from worker.channel import Channel
channel = Channel(socket.socket(fileno=int(sys.argv[1])))
channel.send(1, "whole")
channel.send(2, "half", [b"x" * (3 * 1024 * 1024)])
while channel.pending > 3 * 1024 * 1024 - PASSED:
    channel.flush()
print("stuck", flush=True)
while channel.pending > 100_000:
    channel.flush()
"""


@pytest.mark.parametrize("passed", [0, 300_000, MIB])
def test_a_peer_killed_inside_a_frame_leaves_its_whole_frames_and_the_end(python: Child, passed: int) -> None:
    """SIGKILL in the middle of a 3 MiB frame: the other end gets the frame before it, no half frame, and EOF."""
    ours, theirs = pair()
    channel = Channel(ours)
    child = python(WRITER.replace("PASSED", str(passed)), theirs.fileno())
    theirs.close()
    assert child.stdout is not None
    frames: list[Frame] = []
    while not select.select([child.stdout], [], [], 0)[0]:
        frames += channel.receive()
    child.kill()
    frames += read_to_end(channel)
    assert [(frame.kind, frame.header) for frame in frames] == [(1, "whole")]
    channel.close()


FLOOD = """
import socket, sys
from worker.channel import Channel
channel = Channel(socket.socket(fileno=int(sys.argv[1])))
while True:
    if channel.flush():
        channel.send(1, None, [b"x" * 65536])
"""


def test_a_peer_that_never_stops_does_not_hold_its_reader(python: Child) -> None:
    """Each receive() comes back after about 1 MiB, though there is always more."""
    ours, theirs = pair()
    channel = Channel(ours)
    python(FLOOD, theirs.fileno())
    theirs.close()
    total = 0
    while total < 2000:
        frames = channel.receive()
        assert len(frames) <= 34
        total += len(frames)
    channel.close()


def test_descriptors_arrive_with_their_frame_and_are_closed_on_exec() -> None:
    """Each frame brings its own descriptors, in order, though all frames arrive with one read."""
    with two_ends() as (here, there):
        pipes = [os.pipe() for _ in range(3)]
        here.send(1, None, fds=(pipes[0][0],))
        here.send(2, "none")
        here.send(3, None, [b"blob"], fds=(pipes[1][0], pipes[2][0]))
        for reading, _ in pipes:
            os.close(reading)
        first, second, third = there.receive() + there.receive()
        assert (len(first.fds), len(second.fds), len(third.fds), third.blob) == (1, 0, 2, b"blob")
        for (_, writing), fd in zip(pipes, first.fds + third.fds, strict=True):
            os.write(writing, b"%d" % writing)
            assert os.read(fd, 10) == b"%d" % writing
            assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
            os.close(fd)
            os.close(writing)


def test_descriptors_wait_with_a_frame_that_the_kernel_does_not_take_yet() -> None:
    """A descriptor behind a full socket arrives once, with its own frame, also when that goes out in pieces."""
    with two_ends() as (here, there):
        pipe = os.pipe()
        here.send(1, None, [b"a" * MIB])
        here.send(2, None, [b"b" * MIB], fds=pipe[:1])
        here.send(3, None, fds=pipe[1:])
        frames: list[Frame] = []
        while len(frames) < 3:
            here.flush()
            frames += there.receive()
        assert [len(frame.fds) for frame in frames] == [0, 1, 1]
        arrived = frames[1].fds + frames[2].fds
        os.write(arrived[1], b"through")
        assert os.read(arrived[0], 10) == b"through"
        for fd in pipe + arrived:
            os.close(fd)


def test_one_receive_brings_all_that_a_dead_peer_left() -> None:
    """As much as a socket holds, in small frames, comes with a single call."""
    with two_ends() as (here, there):
        while not here.pending:
            here.send(1, None, [b"x" * 3000])
        here.close()
        assert len(there.receive()) > 40
        assert there.receive() == []
        assert there.closed


def test_nothing_blocks() -> None:
    """With nobody reading, send and flush return at once and count what is pending; receive returns no frames."""
    with two_ends() as (here, there):
        assert here.receive() == []
        for _ in range(10):
            here.send(1, None, [b"x" * MIB])
        assert here.pending > 9 * MIB
        assert not here.flush()
        del there


def test_what_a_dead_peer_wrote_is_read_and_what_it_is_sent_is_dropped() -> None:
    """A peer that closed with our frames unread (a reset, not only an end) loses nothing that it wrote."""
    with two_ends() as (here, there):
        here.send(1, "never read")
        there.send(2, "last words")
        there.close()
        here.send(3, "into the void")
        assert here.pending == 0
        assert [frame.header for frame in read_to_end(here)] == ["last words"]
        assert here.closed
        here.send(4, None)
        assert here.flush()


def test_a_lone_surrogate_in_a_header_does_not_kill_its_sender() -> None:
    """Text that UTF-8 cannot hold arrives with a question mark in its place."""
    with two_ends() as (here, there):
        here.send(1, {"reason": "bad \ud800 text", "seq": 7})
        assert there.receive()[0].header == {"reason": "bad ? text", "seq": 7}


def raw_frame(
    header: bytes, *, length: int | None = None, descriptors: int = 0, header_length: int | None = None
) -> bytes:
    length = 6 + len(header) if length is None else length
    return (
        struct.pack("!IBBI", length, 9, descriptors, len(header) if header_length is None else header_length) + header
    )


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\0" * 100,
        raw_frame(b"null", length=9),
        raw_frame(b"null", length=65 * MIB),
        raw_frame(b"nul", header_length=4) + b"l",
        raw_frame(b"", length=0, header_length=0) + b" " * 100,
        raw_frame(b"{half"),
        raw_frame(b"\xff\xfe"),
        raw_frame(b"[NaN]"),
        raw_frame(b"null", descriptors=1),
    ],
)
def test_garbage_raises_broken(garbage: bytes) -> None:
    """What breaks the frame format is refused with Broken, and the stream counts as closed."""
    with two_ends() as (here, there):
        os.write(here.fileno(), garbage)
        with pytest.raises(Broken):
            there.receive()
        assert there.closed


@given(st.binary(min_size=1, max_size=400))
def test_no_bytes_raise_anything_but_broken(noise: bytes) -> None:
    """Random bytes end in Broken, in frames, or in waiting for more; never in another exception."""
    with two_ends() as (here, there):
        os.write(here.fileno(), noise)
        with contextlib.suppress(Broken):
            there.receive()


def test_more_descriptors_than_were_agreed_raise_broken() -> None:
    """Descriptors that the kernel cut off (MSG_CTRUNC) are never mistaken for a later frame's."""
    with two_ends() as (here, there):
        reading, writing = os.pipe()
        here.send(1, None, fds=(reading,) * 20)
        with pytest.raises(Broken, match="descriptors were lost"):
            there.receive()
        os.close(reading)
        os.close(writing)


STARVED = """
import os, resource, select, socket, sys
from worker.channel import Broken, Channel
channel = Channel(socket.socket(fileno=int(sys.argv[1])))
lowest = os.dup(0)
os.close(lowest)
resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, lowest + 1))
print("ready", flush=True)
try:
    while not channel.closed:
        select.select([channel], [], [], 10)
        print([frame.fds for frame in channel.receive()])
except Broken as error:
    channel.close()
    print("broken:", error, "left:", os.dup(0) == lowest)
"""


def test_a_process_out_of_descriptors_raises_broken(python: Child) -> None:
    """With room for one of two descriptors the frame is refused, and the one that arrived is closed by close()."""
    ours, theirs = pair()
    channel = Channel(ours)
    child = python(STARVED, theirs.fileno())
    theirs.close()
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    channel.send(1, None, fds=(0, 1))
    answer = child.communicate(timeout=10)[0].decode()
    assert answer == "broken: descriptors were lost on the way: this process has too many open files left: True\n"
    channel.close()


def test_closing_closes_what_arrived_and_was_not_taken() -> None:
    """Descriptors of frames that reached nobody, before garbage or before their frame was whole, are closed."""
    for rest in (b"\0" * 40, raw_frame(b"null", descriptors=1)[:8]):
        with two_ends() as (here, there):
            here.send(1, None, fds=(0, 1))
            with socket.socket(fileno=os.dup(here.fileno())) as raw:
                socket.send_fds(raw, [rest], [0])
            with contextlib.suppress(Broken):
                for frame in there.receive():
                    for fd in frame.fds:
                        os.close(fd)
