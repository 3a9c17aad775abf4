"""Pure rules: what a producer sends next: batches across calls, order within a FIFO group, what a failure leads to.

A FIFO group has one message on its way at a time. SQS may take the second entry of a batch and not the first, so even
two of one group in one batch could change places.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from worker.policy.backoff import SEND_FIRST, SEND_MOST, half_jitter
from worker.policy.failures import UNTOLD, Failure, FailureKind
from worker.policy.parcel import Parcel, Verdict
from worker.policy.requests import BATCH, BATCH_BYTES, Outgoing

#: What another try may cure within a minute. The rest (a denied action, a queue that is not there, a wrong clock) needs
#: somebody who mends it, and whoever sends shall know at once.
_CURABLE = {FailureKind.TRANSIENT, FailureKind.THROTTLED, FailureKind.CREDENTIALS, FailureKind.CAPACITY}
#: How a FIFO queue's refusal of a message without a deduplication id reads; part of it may be hidden, as a body's text.
_WANTS_IDS = ("ContentBasedDeduplication", "MessageDeduplicationId provided")
_EXPIRED = Failure(FailureKind.TRANSIENT, "TimedOut", "its turn did not come in time")
#: Seconds between two looks for what is past its deadline.
_LOOK = 0.25
_NEVER = float("inf")


class Outbox:
    """Of one queue. Nothing is drawn but from `chance`, which gives 0 to 1."""

    def __init__(self, *, linger: float, fifo: bool, chance: Callable[[], float]) -> None:
        """`linger`: seconds for which a part batch waits for more."""
        self._linger = linger
        self._fifo = fifo
        self._chance = chance
        self._gives_ids = False  #: whether this queue wants deduplication ids of us
        self._line: deque[Parcel] = deque()  #: what may go; FIFO: heads of groups
        self._tails: dict[str, deque[Parcel]] = {}  #: FIFO: what waits behind a head, of each group that has one
        self._resting: list[tuple[float, int, Parcel]] = []  #: a heap: what failed and is tried again
        self._all: dict[int, Parcel] = {}  #: by number, what was neither sent nor given up
        self._count = 0
        self._hurry_to = 0  #: while one up to this number is here nothing lingers
        self._look_at = 0.0
        self._failing_since = 0.0
        self._rests_until = 0.0
        self.failing = 0  #: requests that failed in a row

    def __len__(self) -> int:
        return len(self._all)

    @property
    def last(self) -> int:
        """The number of the parcel that was added last."""
        return self._count

    @property
    def first(self) -> int:
        """The number of the oldest parcel that is still here; one above the last if there is none."""
        return next(iter(self._all), self._count + 1)

    def add(self, parcel: Parcel) -> None:
        """Take one in."""
        self._count += 1
        parcel.number = self._count
        self._all[parcel.number] = parcel
        self._look_at = min(self._look_at, parcel.deadline) if len(self._all) > 1 else parcel.deadline
        if self._fifo:
            group = parcel.outgoing.group_id or ""
            tail = self._tails.get(group)
            if tail is not None:
                tail.append(parcel)
                return
            self._tails[group] = deque()
        self._line.append(parcel)

    def hurry(self) -> None:
        """What is here shall not linger."""
        self._hurry_to = self._count

    def next(self, now: float) -> list[Parcel]:
        """The next batch, which is then on its way; nothing if there is none yet."""
        rested = []
        while self._resting and self._resting[0][0] <= now:
            rested.append(heapq.heappop(self._resting)[2])
        self._line.extendleft(reversed(rested))
        while self._line and self._line[0].gone:
            self._advance(self._line.popleft())
        if not self._line or now < self._rests_until:
            return []
        batch, whole = self._gather()
        if not whole and now < self._lingers_till(batch[0]):
            return []
        for parcel in batch:
            self._line.popleft()
            parcel.open, parcel.named = True, self._gives_ids
        return batch

    def due(self, now: float) -> float:
        """Seconds till next() may have a batch; infinity if only an answer or a new message can bring one."""
        times = [self._resting[0][0]] if self._resting else []
        if self._line:
            times.append(max(self._rests_until, self._lingers_till(self._line[0])))
        return max(0.0, min(times, default=_NEVER) - now)

    def wants(self, now: float) -> float:
        """How many more are worth looking at: the first, those that make a batch whole, or none while all rest."""
        if not self._line:
            return 1
        return _NEVER if now < self._rests_until else max(1, BATCH - len(self._line))

    def withdraw(self, parcel: Parcel) -> None:
        """It is not to be sent after all; called before it was."""
        parcel.open = False
        self._done(parcel)

    def empty(self) -> list[Parcel]:
        """Everything that is in it, also what is on its way, and nothing is in it any more."""
        found = list(self._all.values())
        self._all.clear()
        return found

    def outgoing(self, parcel: Parcel) -> Outgoing:
        """The message as this queue takes it."""
        if parcel.named and parcel.own_id:
            return replace(parcel.outgoing, deduplication_id=parcel.own_id)
        return parcel.outgoing

    def expire(self, now: float) -> list[tuple[Parcel, Failure]]:
        """Give up what was not sent by its deadline. What is on its way is judged when its answer comes."""
        if now < self._look_at:
            return []
        late = [one for one in self._all.values() if one.deadline <= now and not one.open]
        for parcel in late:
            parcel.gone = True  # it leaves the line or the heap where it is met
            del self._all[parcel.number]
        soonest = min((one.deadline for one in self._all.values()), default=_NEVER)
        self._look_at = max(soonest, now + _LOOK)
        return [(one, one.failure or _EXPIRED) for one in late]

    def expires(self, now: float) -> float:
        """Seconds till expire() may have something."""
        return max(0.0, self._look_at - now) if self._all else _NEVER

    def answered(
        self, batch: list[Parcel], entries: tuple[Failure | None, ...], *, ids: tuple[str, ...], now: float
    ) -> Verdict:
        """SQS answered, entry by entry."""
        self.failing, self._rests_until = 0, 0.0
        verdict = Verdict()
        for parcel, failure, message_id in zip(batch, entries, ids, strict=True):
            parcel.open = False
            if failure is None:
                self._done(parcel)
                verdict.sent.append((parcel, message_id))
                continue
            parcel.maybe_sent |= failure.code == UNTOLD
            if self._learns(parcel, failure):  # LocalStack refuses entry by entry, SQS the batch
                self._line.append(parcel)
                continue
            self._again_or_never(parcel, failure, verdict=verdict, now=now, chance=self._chance())
        return verdict

    def failed(self, batch: list[Parcel], failure: Failure, *, sent_at: float, now: float) -> Verdict:
        """The request failed as a whole."""
        verdict = Verdict()
        learnt = any(self._learns(parcel, failure) for parcel in batch)
        # SQS refuses a FIFO batch for one bad entry: each shows alone whether it is the one.
        split = failure.kind is FailureKind.INVALID and not learnt and len(batch) > 1
        if failure.kind in _CURABLE:
            self._rest(failure, sent_at=sent_at, now=now)
        chance = self._chance()  # one for all, so that they go together again
        for parcel in reversed(batch):
            parcel.open = False
            parcel.alone |= split
            parcel.maybe_sent |= failure.unknown
            if learnt or split:
                self._line.appendleft(parcel)
            else:
                self._again_or_never(parcel, failure, verdict=verdict, now=now, chance=chance)
        return verdict

    # --- inside

    def _gather(self) -> tuple[list[Parcel], bool]:
        """The front of the line as far as one request takes it, and whether it takes no more."""
        batch: list[Parcel] = []
        total = 0
        for parcel in self._line:
            total += parcel.size
            if batch and (total > BATCH_BYTES or parcel.alone or parcel.gone):
                return batch, True
            batch.append(parcel)
            if len(batch) == BATCH or parcel.alone:
                return batch, True
        return batch, False

    def _lingers_till(self, first: Parcel) -> float:
        if first.failure is not None or self.first <= self._hurry_to:
            return 0.0
        return first.admitted_at + self._linger

    def _again_or_never(self, parcel: Parcel, failure: Failure, *, verdict: Verdict, now: float, chance: float) -> None:
        parcel.failure = failure
        parcel.tries += 1
        again_at = now + half_jitter(parcel.tries, first=SEND_FIRST, most=SEND_MOST, chance=chance)
        if failure.kind in _CURABLE and again_at < parcel.deadline:
            heapq.heappush(self._resting, (again_at, parcel.number, parcel))
        else:
            self._done(parcel)
            verdict.failed.append((parcel, failure))

    def _done(self, parcel: Parcel) -> None:
        parcel.gone = True
        del self._all[parcel.number]
        self._advance(parcel)

    def _advance(self, parcel: Parcel) -> None:
        """A head has left: the next of its group may go."""
        if not self._fifo:
            return
        group = parcel.outgoing.group_id or ""
        tail = self._tails[group]
        while tail and tail[0].gone:
            tail.popleft()
        if tail:
            self._line.append(tail.popleft())
        else:
            del self._tails[group]

    def _learns(self, parcel: Parcel, failure: Failure) -> bool:
        """Whether the queue has just told that it wants deduplication ids, and this had none though we have one."""
        if failure.kind is not FailureKind.INVALID or not any(words in failure.text for words in _WANTS_IDS):
            return False
        self._gives_ids = True
        return bool(parcel.own_id) and not parcel.named

    def _rest(self, failure: Failure, *, sent_at: float, now: float) -> None:
        """Throttled, or failing twice in a row: all wait. Requests that crossed the first one tell nothing new."""
        if self.failing and sent_at <= self._failing_since:
            return
        self.failing += 1
        self._failing_since = now
        if self.failing > 1 or failure.kind is FailureKind.THROTTLED:
            wait = half_jitter(self.failing, first=SEND_FIRST, most=SEND_MOST, chance=self._chance())
            self._rests_until = now + wait
