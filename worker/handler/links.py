"""Handler process: waits on its two sockets at once: the control socket to the supervisor, the stream to its poller."""

from __future__ import annotations

import os
from select import POLLIN, POLLNVAL, POLLOUT, poll
from socket import socket

from worker.channel import Channel, Frame
from worker.handler.stream import Stream
from worker.protocol import ControlFrame

#: Seconds that the last frames may wait for room in their sockets.
_PATIENCE = 1.0


class SupervisorGone(Exception):
    """The control socket is at its end: nothing of this pool may go on without a supervisor."""


class DescriptorsClosed(Exception):
    """User code closed descriptors that it had not opened, so nothing can be told to the poller any more."""

    def __init__(self) -> None:
        super().__init__("user code closed descriptors of its handler process")


class Links:
    """The control socket and the stream. Used by one thread at a time, as the stream is."""

    def __init__(self, control: Channel, stream: Stream) -> None:
        self.stopping = False  #: STOP has come
        self._control = control
        self._stream = stream
        self._polled: Channel | None = None  # the stream's channel, as the poll object knows it
        self._stream_fd = -1
        self._wanted = 0
        self._bell, self._button = os.pipe()
        self._button_inode = os.fstat(self._button).st_ino
        self._control_fd = control.fileno()
        self._owned: dict[int, int] = {}  # inodes by descriptor, of the sockets
        self._poll = poll()
        self._poll.register(self._bell, POLLIN)
        self._poll.register(self._control_fd, POLLIN)
        self._owned[self._control_fd] = os.fstat(self._control_fd).st_ino

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Wait up to `timeout` seconds (None: without end) for something to do; gives what handle() takes."""
        self._register()
        return self._poll.poll(None if timeout is None else timeout * 1000)

    def handle(self, events: list[tuple[int, int]]) -> bool:
        """Do what is to be done; True if ring() was called. Raises SupervisorGone, DescriptorsClosed, Broken."""
        channel, rung = self._polled, False
        for fd, what in events:
            if what & POLLNVAL:
                self.check()
            if fd == self._control_fd:
                self._hear_control()
            elif fd == self._bell:
                os.read(fd, 1)
                rung = True
            elif channel is not None and self._stream.channel is channel:
                channel.flush()
                self._stream.hear()
        if self._stream.channel is not channel:
            self._register()
        return rung

    def ring(self) -> None:
        """Make a wait() in another thread return: the caller wants the links for itself. Raises DescriptorsClosed."""
        if not _is(self._button, self._button_inode):
            raise DescriptorsClosed
        os.write(self._button, b"!")

    def check(self) -> None:
        """Raise DescriptorsClosed unless our sockets are still ours.

        User code that closes them all (as daemons do) and opens its own gets the same numbers: without this look our
        frames would go to its database.
        """
        for fd, inode in self._owned.items():
            if not _is(fd, inode):
                raise DescriptorsClosed

    def finish(self, patience: float = _PATIENCE) -> None:
        """Write out what is pending, then close."""
        self.flush(patience)
        self.close()

    def flush(self, patience: float = _PATIENCE) -> None:
        """Write out what is pending. Gives up when nothing moves for `patience` seconds."""
        while channels := [one for one in (self._control, self._stream.channel) if one is not None and one.pending]:
            writable = poll()
            for channel in channels:
                writable.register(channel.fileno(), POLLOUT)
            if not writable.poll(patience * 1000):
                break
            for channel in channels:
                channel.flush()

    def close(self) -> None:
        """Close this process's ends, without a word to anybody."""
        self._stream.close()
        self._control.close()
        for fd in (self._bell, self._button):
            os.close(fd)

    def _register(self) -> None:
        """Keep the poll object and the list of our descriptors true to the stream, which may have been replaced."""
        channel = self._stream.channel
        wanted = 0 if channel is None else POLLIN | POLLOUT if channel.pending else POLLIN
        if channel is self._polled and wanted == self._wanted:
            return
        if self._polled is not None:
            self._poll.unregister(self._stream_fd)
            del self._owned[self._stream_fd]
        if channel is not None:
            self._stream_fd = channel.fileno()
            self._poll.register(self._stream_fd, wanted)
            self._owned[self._stream_fd] = os.fstat(self._stream_fd).st_ino
        self._polled, self._wanted = channel, wanted

    def _hear_control(self) -> None:
        self.obey(self._control.receive())
        if self._control.closed:
            raise SupervisorGone

    def obey(self, frames: list[Frame]) -> None:
        """Do what the supervisor asks for."""
        for frame in frames:
            if frame.kind == ControlFrame.ATTACH:
                self._attach(frame)
            elif frame.kind == ControlFrame.STOP:
                self.stopping = True
                self._stream.give_back()

    def _attach(self, frame: Frame) -> None:
        self._stream.attach(Channel(socket(fileno=frame.fds[0])))
        self._control.send(ControlFrame.ATTACHED, {"link": frame.header["link"]})


def _is(fd: int, inode: int) -> bool:
    try:
        return os.fstat(fd).st_ino == inode
    except OSError:
        return False
