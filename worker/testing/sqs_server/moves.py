"""SQS server process: moves messages out of dead-letter queues, at the rate their tasks ask for."""

import base64
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from worker.testing.sqs_server import limits
from worker.testing.sqs_server.events import EventLog
from worker.testing.sqs_server.messages import Message
from worker.testing.sqs_server.queue import Queue


@dataclass(slots=True, eq=False)
class MoveTask:
    """One move of messages; times in seconds, `rate` in messages a second as it was asked for."""

    task_id: str
    source: Queue
    destination_arn: str | None
    rate: int | None
    started: float
    to_move: int
    status: str = "RUNNING"
    moved: int = 0
    reason: str = ""

    @property
    def handle(self) -> str:
        """The TaskHandle: the task and its source queue, as AWS packs them."""
        return base64.b64encode(orjson.dumps({"taskId": self.task_id, "sourceArn": self.source.arn})).decode()

    def due(self, now: float) -> int:
        """How many messages it should have moved by now; the first one at once (recorded on AWS)."""
        return 1 + int((now - self.started) * (self.rate or limits.MOVE_RATE))

    def next_moment(self) -> float:
        """When its next message is due."""
        return self.started + self.moved / (self.rate or limits.MOVE_RATE)

    def fail(self, reason: str) -> None:
        """Ends the task; what was moved stays moved."""
        self.status, self.reason = "FAILED", reason


class MoveTasks:
    """The move tasks of the account. `find` gives the queue of an ARN, `new_id` the id of a moved message."""

    def __init__(
        self, find: Callable[[str], Queue | None], *, new_id: Callable[[], str], events: EventLog | None = None
    ) -> None:
        self._find = find
        self._new_id = new_id
        self._events = events
        self._tasks: list[MoveTask] = []
        #: Whether a task was started since `run`, so that the driver asks for the next moment anew.
        self.started = False

    def start(self, task: MoveTask) -> None:
        """Begins to move."""
        self._tasks.append(task)
        self.started = True

    def of(self, source: Queue) -> list[MoveTask]:
        """The tasks of a source queue, the newest first."""
        return [task for task in reversed(self._tasks) if task.source is source]

    def running(self) -> list[MoveTask]:
        """The tasks that still move messages."""
        return [task for task in self._tasks if task.status == "RUNNING"]

    def next_moment(self) -> float | None:
        """When the next message of any task is due; None while none runs."""
        return min((task.next_moment() for task in self.running()), default=None) if self._tasks else None

    def run(self, now: float) -> None:
        """Moves what is due."""
        self.started = False
        for task in self.running():
            if now - task.started > limits.MOVE_SECONDS:
                task.fail("TimedOut")
            while task.status == "RUNNING" and task.moved < task.due(now):
                self._move_one(task, now)
            if task.status == "RUNNING" and not task.source.ready:
                task.status = "COMPLETED"

    def _move_one(self, task: MoveTask, now: float) -> None:
        taken = task.source.withdraw(1, now=now)
        if not taken:
            task.status = "COMPLETED"
            return
        target = self._target(task, taken[0])
        if target is None:
            task.source.add(taken[0], 0.0, now=now)
            return
        moved = taken[0].redriven(self._new_id(), now=now)
        target.add(moved, 0.0, now=now)
        task.moved += 1
        if self._events is not None:
            self._events.record(
                "move",
                now=now,
                queue=task.source.name,
                target=target.name,
                message_id=taken[0].message_id,
                new_message_id=moved.message_id,
            )

    def _target(self, task: MoveTask, message: Message) -> Queue | None:
        """Where a message goes; None where it cannot, and then the task has failed."""
        arn = task.destination_arn or message.source_arn
        queue = self._find(arn) if arn is not None else None
        if arn is None:
            task.fail("CouldNotDetermineMessageSource")
        elif queue is None:
            task.fail("AWS.SimpleQueueService.NonExistentQueue")
        return queue
