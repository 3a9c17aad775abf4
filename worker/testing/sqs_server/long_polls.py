"""SQS server process: receives that wait for messages, without any loop that asks again and again."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from worker.testing.sqs_server.errors import SqsError
from worker.testing.sqs_server.queue import Queue


@dataclass(slots=True, eq=False)
class LongPoll:
    """A ReceiveMessage that found nothing yet. `attempt(now)` receives, and returns None while there is nothing."""

    queue: Queue
    deadline: float
    attempt: Callable[[float], dict[str, Any] | None]
    #: Whoever started the poll may keep here what it needs for the answer (a connection, a task of a simulation).
    owner: object = None
    #: False once it was answered or dropped.
    pending: bool = True


class LongPolls:
    """All pending long polls. A driver calls `complete` after every call and at `next_moment`."""

    def __init__(self) -> None:
        self._waiting: dict[Queue, deque[LongPoll]] = {}
        self._deadlines: list[tuple[float, int, LongPoll]] = []
        self._touched: set[Queue] = set()
        self._ended: list[LongPoll] = []
        self._tie = 0
        #: No poll can end before this moment unless its queue is touched.
        self._next = float("inf")

    @property
    def busy(self) -> bool:
        """Whether a queue with pending polls was touched since `complete`, so that it is worth calling."""
        return bool(self._touched or self._ended)

    def add(self, poll: LongPoll) -> None:
        """Starts to wait. Polls of a queue are served in the order in which they came."""
        self._touched.add(poll.queue)
        self._tie += 1
        heappush(self._deadlines, (poll.deadline, self._tie, poll))
        self._waiting.setdefault(poll.queue, deque()).append(poll)
        poll.queue.watched = True

    def touch(self, queue: Queue) -> None:
        """The queue may have messages, or will at another moment than before."""
        self._touched.add(queue)

    def drop(self, poll: LongPoll) -> None:
        """Its client has gone: it gets nothing."""
        poll.pending = False

    def end(self, queue: Queue) -> None:
        """The queue was deleted: its polls end empty."""
        self._touched.discard(queue)
        self._ended.extend(self._waiting.pop(queue, ()))

    def next_moment(self) -> float | None:
        """The next moment at which a poll may get messages or reaches its deadline; None while nothing waits."""
        while self._deadlines and not self._deadlines[0][2].pending:
            heappop(self._deadlines)
        self._next = min(
            (moment for queue in self._waiting if (moment := queue.next_moment()) is not None), default=float("inf")
        )
        if self._deadlines:
            self._next = min(self._next, self._deadlines[0][0])
        return self._next if self._waiting else None

    def complete(self, now: float) -> list[tuple[LongPoll, dict[str, Any] | SqsError]]:
        """The polls that end now, with their answers: those that got messages, and those whose deadline has come."""
        done: list[tuple[LongPoll, dict[str, Any] | SqsError]] = []
        for poll in self._ended:
            if poll.pending:
                poll.pending = False
                done.append((poll, {}))
        self._ended.clear()
        queues = tuple(self._touched if now < self._next else self._waiting)
        self._touched.clear()
        for queue in queues:
            queue.advance(now)
            if queue.ready and queue in self._waiting:
                self._serve(queue, now, done)
        while self._deadlines and self._deadlines[0][0] <= now:
            poll = heappop(self._deadlines)[2]
            if poll.pending:
                poll.pending = False
                done.append((poll, {}))
                self._tidy(poll.queue)
        return done

    def _serve(self, queue: Queue, now: float, done: list[tuple[LongPoll, dict[str, Any] | SqsError]]) -> None:
        polls = self._waiting[queue]
        while polls and queue.ready:
            poll = polls[0]
            if poll.pending:
                answer = _attempted(poll, now)
                if answer is None:
                    break
                poll.pending = False
                done.append((poll, answer))
            polls.popleft()
        self._tidy(queue)

    def _tidy(self, queue: Queue) -> None:
        polls = self._waiting.get(queue)
        if polls is None:
            return
        while polls and not polls[0].pending:
            polls.popleft()
        if not polls:
            del self._waiting[queue]
            queue.watched = False


def _attempted(poll: LongPoll, now: float) -> dict[str, Any] | SqsError | None:
    """What the poll gets. Its attempt id may have become invalid while it waited: another poll used it meanwhile."""
    try:
        return poll.attempt(now)
    except SqsError as error:
        return error
