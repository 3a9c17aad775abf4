"""Handler process: waits on its two sockets at once: the control socket to the supervisor, the stream to its poller."""

from __future__ import annotations

import os
from select import POLLIN, POLLOUT, poll
from socket import socket

from worker.channel import Channel, Frame
from worker.handler.stream import Stream
from worker.protocol import ControlFrame


class SupervisorGone(Exception):
    """The control socket is at its end: nothing of this pool may go on without a supervisor."""


class DescriptorsClosed(Exception):
    """User code closed descriptors that it had not opened, so nothing can be told to the poller any more."""


class Links:
    """The control socket and the stream. Used by one thread at a time, as the stream is."""

    def __init__(self, control: Channel, stream: Stream) -> None:
        self.stopping = False  #: STOP has come
        self._control = control
        self._stream = stream
        self._polling: Channel | None = None  # the stream's channel, as far as the poll object knows
        self._writing = False  # whether it waits for room to write too
        self._bell, self._button = os.pipe()
        self._owned: dict[int, int] = {}  # inodes by descriptor
        self._poll = poll()
        for fd in (control.fileno(), self._bell):
            self._poll.register(fd, POLLIN)
            self._owned[fd] = os.fstat(fd).st_ino

    def ring(self) -> None:
        """Make the thread that is inside serve() return from it: the caller wants to use the links itself."""
        os.write(self._button, b"!")

    def serve(self, timeout: float | None) -> bool:
        """Wait up to `timeout` seconds (None: without end) for something to do, and do it; True if ring() was called.

        Raises SupervisorGone, DescriptorsClosed, channel.Broken.
        """
        self._register()
        channel, rung = self._polling, False
        stream_fd = -1 if channel is None else channel.fileno()
        events = self._poll.poll(None if timeout is None else timeout * 1000)
        self.check()
        for fd, _ in events:
            if fd == stream_fd:
                if self._stream.channel is channel and channel is not None:
                    channel.flush()
                    self._stream.hear()
            elif fd == self._bell:
                os.read(self._bell, 1)
                rung = True
            else:
                self._hear_control()
        return rung

    def check(self) -> None:
        """Raise DescriptorsClosed unless our descriptors are still ours.

        User code that closes them all (daemons do that) and opens its own gets the same numbers: without this look our
        frames would go to its database.
        """
        try:
            for fd, inode in self._owned.items():
                if os.fstat(fd).st_ino != inode:
                    raise DescriptorsClosed
        except OSError:
            raise DescriptorsClosed from None

    def finish(self, patience: float) -> None:
        """Write out what is pending, for `patience` seconds at most a wait; then close."""
        while any(channel.pending for channel in (self._control, self._stream.channel) if channel is not None):
            writing = poll()
            for channel in (self._control, self._stream.channel):
                if channel is not None and channel.pending:
                    writing.register(channel.fileno(), POLLOUT)
            if not writing.poll(patience * 1000):
                break
            for channel in (self._control, self._stream.channel):
                if channel is not None:
                    channel.flush()
        self.close()

    def close(self) -> None:
        """Close this process's copies, without a word to anybody."""
        self._stream.close()
        self._control.close()
        for fd in (self._bell, self._button):
            os.close(fd)

    def _register(self) -> None:
        channel = self._stream.channel
        writing = channel is not None and channel.pending > 0
        if channel is self._polling and writing is self._writing:
            return
        ...

    def _hear_control(self) -> None:
        for frame in self._control.receive():
            if frame.kind == ControlFrame.ATTACH:
                self._attach(frame)
            elif frame.kind == ControlFrame.STOP:
                self.stopping = True
                self._stream.give_back()
        if self._control.closed:
            raise SupervisorGone

    def _attach(self, frame: Frame) -> None:
        self._stream.attach(Channel(socket(fileno=frame.fds[0])))
        self._control.send(ControlFrame.ATTACHED, {"link": frame.header["link"]})
