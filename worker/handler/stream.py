"""Handler process: the stream to its poller: messages that wait, outcomes kept until confirmed, hello at a new one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from worker.channel import Channel
from worker.message import Kind, Message
from worker.protocol import Outcome, Parcel, StreamFrame, read_messages, send_outcomes
from worker.slots import RING

#: Bytes of bodies in one OUTCOMES frame, or one body of any size: what a stream takes at once.
_FRAME_BYTES = 128 * 1024


class Stream:
    """What this handler holds for its poller, and the channel to it while one lives. Outcomes wait till they are told.

    Used by one thread at a time: the main thread, or the stream thread while user code runs long.
    """

    def __init__(self, kept: int = RING) -> None:
        self._kept = kept  # outcomes that a successor hears again: as many as the ring in the slot tells it
        self.channel: Channel | None = None
        self.inbox: deque[Parcel] = deque()  #: not started
        self.running: dict[int, Parcel] = {}  #: by place in the slot
        self.started: dict[int, Message] = {}  #: the same by sequence, as user code has them
        self.acks: list[int] = []  #: not told yet; the loop appends to it
        self._others: list[Outcome] = []  # not told yet
        self._unconfirmed: dict[int, Outcome] = {}  # rejects and forwards, told or not
        # Acks and retries already told. Nobody confirms them, so a successor hears the last ones again: its
        # predecessor may have died before it read them. Sequences are unique, so hearing twice does no harm.
        self._told: deque[tuple[list[int], list[Outcome]]] = deque()
        self._told_count = 0

    def attach(self, channel: Channel) -> None:
        """The poller of `channel` takes over: tell it what runs, what waits, and every outcome it may not know."""
        # Whole frames that a dead poller had written count as unstarted here; only half a frame died with it.
        while self._hear(recalls=False):
            pass
        self.close()
        self.channel = channel
        running = [parcel.seq for parcel in self.running.values()]
        channel.send(StreamFrame.HELLO, {"running": running, "unstarted": [parcel.seq for parcel in self.inbox]})
        acks = [seq for told, _ in self._told for seq in told]
        again = {outcome.seq: outcome for _, retries in self._told for outcome in retries} | self._unconfirmed
        self._others = [outcome for outcome in self._others if outcome.seq not in again]
        self._write(channel, acks, again.values())
        self.flush()

    def hear(self) -> None:
        """Take in every frame that has arrived."""
        self._hear(recalls=True)

    def tell(self, outcome: Outcome) -> None:
        """An outcome that is no ack; acks go into `acks`. Told with the next flush."""
        self._others.append(outcome)
        if outcome.kind is not Kind.RETRY:
            self._unconfirmed[outcome.seq] = outcome

    @property
    def waiting(self) -> int:
        """Outcomes that are not told yet."""
        return len(self.acks) + len(self._others)

    def flush(self) -> None:
        """Tell in one frame what has gathered, if there is a poller to tell it to."""
        channel, acks, others = self.channel, self.acks, self._others
        if channel is None or not (acks or others):
            return
        self.acks, self._others = [], []
        self._write(channel, acks, others)
        retries = [outcome for outcome in others if outcome.kind is Kind.RETRY]
        if acks or retries:
            self._told.append((acks, retries))
            self._told_count += len(acks) + len(retries)
        # What the kernel has not taken yet is not in any poller's reach, so it is kept however much it is.
        while self._told_count > self._kept and not channel.pending:
            acks, retries = self._told.popleft()
            self._told_count -= len(acks) + len(retries)

    def give_back(self) -> None:
        """Return what has not started; it is forgotten here."""
        if self.channel is not None:
            self.channel.send(StreamFrame.RETURNED, [parcel.seq for parcel in self.inbox])
        self.inbox.clear()

    def close(self) -> None:
        """The poller is gone, or the process ends. Outcomes and messages stay."""
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def _hear(self, *, recalls: bool) -> bool:
        channel = self.channel
        if channel is None:
            return False
        frames = channel.receive()
        if any(frame.kind == StreamFrame.RECALL for frame in frames):
            frames += channel.receive()  # only another look shows whether the poller is still there
        for frame in frames:
            if frame.kind == StreamFrame.MESSAGES:
                self.inbox.extend(read_messages(frame))
            elif frame.kind == StreamFrame.CONFIRM:
                for seq in frame.header:
                    self._unconfirmed.pop(seq, None)
            elif frame.kind == StreamFrame.LOST:
                self._lose(channel, frame.header)
            elif frame.kind == StreamFrame.RECALL and recalls and not channel.closed:
                # A dead poller's recall is not obeyed: the answer would reach nobody, and its successor runs on.
                self.give_back()
        if channel.closed:
            self.close()
        return bool(frames)

    def _lose(self, channel: Channel, seqs: Iterable[int]) -> None:
        """Warn the handler functions; what has not started never will, and the poller may forget it."""
        lost = set(seqs)
        for seq in lost & self.started.keys():
            self.started[seq].lease_lost = True
        dropped = [parcel.seq for parcel in self.inbox if parcel.seq in lost]
        if dropped:
            kept = [parcel for parcel in self.inbox if parcel.seq not in lost]
            self.inbox.clear()
            self.inbox.extend(kept)
            channel.send(StreamFrame.RETURNED, dropped)

    @staticmethod
    def _write(channel: Channel, acks: Sequence[int], others: Iterable[Outcome]) -> None:
        batch: list[Outcome] = []
        size = 0
        for outcome in others:
            if batch and size + len(outcome.body) > _FRAME_BYTES:
                send_outcomes(channel, acks, batch)
                acks, batch, size = [], [], 0
            batch.append(outcome)
            size += len(outcome.body)
        if acks or batch:
            send_outcomes(channel, acks, batch)
