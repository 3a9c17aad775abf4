"""SQS server process: the messages that wait for a moment: delayed ones, and those in flight."""

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush


class Hidden:
    """A heap of (moment, sequences). Entries of messages that moved on stay until their moment, or until a compaction.

    One entry holds all messages of one receive, so that a receive of ten costs one push. Entries hold numbers, not
    messages: a body deleted long before its 12 hours end must not be kept alive by the heap.
    """

    __slots__ = ("_heap", "_last", "_last_moment", "_size", "_tie")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, list[int]]] = []
        self._tie = 0
        self._size = 0
        #: The entry pushed last, while it is in the heap: the entries of one batch share a moment.
        self._last: list[int] = []
        self._last_moment = -1.0

    def push(self, moment: float, sequences: list[int]) -> None:
        """Remembers that these messages become visible at `moment`, unless that is changed meanwhile."""
        self._size += len(sequences)
        if moment == self._last_moment:
            self._last.extend(sequences)
            return
        self._tie += 1
        self._last, self._last_moment = sequences, moment
        heappush(self._heap, (moment, self._tie, sequences))

    def next_moment(self) -> float | None:
        """The earliest moment at which a message may become visible."""
        return self._heap[0][0] if self._heap else None

    def is_due(self, now: float) -> bool:
        """Whether `due` would return anything."""
        return bool(self._heap) and self._heap[0][0] <= now

    def due(self, now: float) -> Iterable[int]:
        """Takes out the sequences whose moment has come, in the order of the moments."""
        heap = self._heap
        self._last_moment = -1.0
        while heap and heap[0][0] <= now:
            sequences = heappop(heap)[2]
            self._size -= len(sequences)
            yield from sequences

    def compact(self, is_live: Callable[[int, float], bool]) -> None:
        """Forgets entries that are out of date: those for which `is_live(sequence, moment)` is false.

        Worth it when `bulk` is large against what is live; then it costs a constant per message over time.
        """
        kept = []
        for moment, tie, sequences in self._heap:
            live = [sequence for sequence in sequences if is_live(sequence, moment)]
            if live:
                kept.append((moment, tie, live))
        heapify(kept)
        self._heap = kept
        self._last_moment = -1.0
        self._size = sum(len(sequences) for _, _, sequences in kept)

    def clear(self) -> None:
        """Forgets everything."""
        self._heap.clear()
        self._last_moment = -1.0
        self._size = 0

    @property
    def bulk(self) -> int:
        """Sequences held, out-of-date ones included."""
        return self._size
