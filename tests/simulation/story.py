"""Test process: what happened to each message, read from the server's event log, the effect log and the faults' log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulation.application import Run, read

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(slots=True)
class Incident:
    """A fault that was injected, or what follows from one: a poller that is down."""

    kind: str
    start: float
    end: float = float("inf")
    machine: str = ""  #: nothing: it hits all
    what: str = ""


@dataclass(frozen=True, slots=True)
class Assigned:
    """A receive gave the message out."""

    at: float
    receipt: str
    receives: int
    connection: int


@dataclass(frozen=True, slots=True)
class Lapse:
    """A receipt's visibility ran out though nobody had given the message back."""

    at: float
    receipt: str
    injected: bool


@dataclass(slots=True)
class Story:
    """One message of the source queue."""

    message_id: str
    sent: float
    sequence: int
    group: str
    number: int = -1
    assigned: list[Assigned] = field(default_factory=list)
    extended: dict[str, float] = field(default_factory=dict)  #: by receipt: when it was last extended, or given out
    lapses: list[Lapse] = field(default_factory=list)
    deleted: float | None = None
    redriven: float | None = None
    runs: list[Run] = field(default_factory=list)
    dead_lettered: list[float] = field(default_factory=list)
    forwarded: list[float] = field(default_factory=list)

    def given(self, receives: int) -> Assigned | None:
        """The receive with this count."""
        return next((one for one in self.assigned if one.receives == receives), None)

    def effects(self) -> list[Run]:
        """The runs that had an effect, in its order."""
        return sorted((run for run in self.runs if run.effect is not None), key=lambda run: run.effect or 0.0)


@dataclass(slots=True)
class Facts:
    """All that the oracle looks at."""

    stories: dict[str, Story]
    faults: list[dict[str, Any]]  #: events of the server's fault plan
    incidents: list[Incident]
    died: dict[str, float]  #: processes by name
    killed: dict[str, float]  #: those of them that did not end by themselves
    read: dict[str, float]  #: receipts: when a poller read them
    hidden: dict[str, float]  #: receipts: when a poller first gave them back
    machines: dict[int, str]  #: by connection
    pollers: dict[int, str]  #: by connection: names of processes
    visibility: float


class Reader:
    """Reads the server's events of one world."""

    def __init__(self, queue: str, *, hidden: dict[str, float]) -> None:
        self._queue = queue
        self._hidden = hidden
        self.stories: dict[str, Story] = {}
        self.faults: list[dict[str, Any]] = []

    def take(self, events: Iterable[dict[str, Any]]) -> None:
        """In their order."""
        for event in events:
            if event["event"] == "fault":
                self.faults.append(event)
            elif event["queue"] == self._queue:
                self._own(event)

    def _own(self, event: dict[str, Any]) -> None:
        at, kind, name = event["now"], event["event"], event.get("message_id")
        if name is None:
            return  # a delete or a change of a message that is gone
        if kind == "send":
            self.stories[name] = Story(name, at, event["sequence"], event["group"] or "")
            return
        story = self.stories[name]
        receipt = event.get("receipt", "")
        if kind == "assign":
            story.assigned.append(Assigned(at, receipt, event["receives"], event["connection"]))
            story.extended[receipt] = at
        elif kind == "visibility" and event["outcome"] == "done":
            story.extended[receipt] = at
        elif kind == "expire":
            when, injected = event["at"], bool(event.get("fault"))
            if injected or self._hidden.get(receipt, float("inf")) > when:
                story.lapses.append(Lapse(when, receipt, injected))
        elif kind == "delete" and event["outcome"] == "done":
            story.deleted = at
        elif kind == "redrive":
            story.redriven = at


def gather(world: World) -> Facts:
    """The facts of a world that has ended."""
    hidden: dict[str, float] = {}
    for at, receipt, _ in world.journal.hidden:
        hidden.setdefault(receipt, at)
    reader = Reader(world.url.rpartition("/")[2], hidden=hidden)
    reader.take(world.server.events.after(0))
    numbers = {message_id: number for number, message_id in world.sent.items()}
    by_number: dict[int, Story] = {}
    for story in reader.stories.values():
        story.number = numbers[story.message_id]
        by_number[story.number] = story
    for run in world.application.runs:
        by_number[run.number].runs.append(run)
    for message in world.queue_of(world.dead_letters).messages.values():
        by_number[read(message.body.encode()).number].dead_lettered.append(message.sent)
    for message in world.queue_of(world.target).messages.values():
        by_number[int(message.body)].forwarded.append(message.sent)
    return Facts(
        stories=reader.stories,
        faults=reader.faults,
        incidents=world.incidents,
        died=world.hub.died,
        killed=world.hub.killed,
        read=world.journal.read,
        hidden=hidden,
        machines=world.machine_names,
        pollers={line.connection: process.name for line, process in world.lines},
        visibility=world.plan.visibility,
    )


def by_group(stories: Iterable[Story]) -> dict[str, list[Story]]:
    """Each group's messages, as they were sent."""
    groups: defaultdict[str, list[Story]] = defaultdict(list)
    for story in sorted(stories, key=lambda story: story.sequence):
        groups[story.group].append(story)
    return groups
