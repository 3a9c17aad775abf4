"""Test process: what happened to each message, read from the server's event log, the effect log and the faults' log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulation.application import Run, read
from tests.simulation.journal import Release
from worker.testing.sqs_server.events import CAPACITY

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Events of a world, at most: all that the server keeps. A lease that lapses at each call makes 14,000 in 15 seconds.
EVENTS = CAPACITY


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
    """A receipt's visibility ended though its holder had not given the message back."""

    at: float
    receipt: str
    injected: bool = False
    by: str = ""  #: the older receipt by which somebody made it visible; nothing: it ran out


@dataclass(slots=True)
class Story:
    """One message of the source queue."""

    message_id: str
    sent: float
    sequence: int
    group: str
    number: int = -1
    assigned: list[Assigned] = field(default_factory=list)
    given_back: bool = False  #: the last change of its visibility was no heartbeat
    given_up: list[tuple[float, str]] = field(default_factory=list)  #: when, and by which receipt older than its last
    overruled: str = ""  #: an older receipt by which its visibility was changed since it was given out
    lapses: list[Lapse] = field(default_factory=list)
    deleted: float | None = None
    redriven: float | None = None
    runs: list[Run] = field(default_factory=list)
    given_twice: bool = False  #: by one receive, with two receipts
    deaths: int = 0  #: of handlers whose slot named it
    dead_lettered: list[float] = field(default_factory=list)
    forwarded: list[float] = field(default_factory=list)

    def given(self, receives: int) -> Assigned | None:
        """The receive with this count."""
        return next((one for one in self.assigned if one.receives == receives), None)

    def together(self, one: str, other: str) -> bool:
        """Whether the same receive gave these two receipts: the log names a second one only when it lapses."""
        return self._receive_of(one) == self._receive_of(other)

    def _receive_of(self, receipt: str) -> int:
        number = int(receipt.partition(".")[2])
        return max((given.receives for given in self.assigned if given.receives <= number), default=0)

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
    known: dict[str, float]  #: receipts: till when pollers knew that they had them
    came: dict[str, float]  #: receipts: till when they had it by its receive alone
    owned: dict[str, float]  #: receipts: when they were written into a lease table
    hidden: dict[str, float]  #: receipts: when a poller first gave them back
    releases: dict[str, list[Release]]  #: receipts: the calls that gave them back
    machines: dict[int, str]  #: by connection
    pollers: dict[int, str]  #: by connection: names of processes
    places: dict[int, str]  #: by connection: which of its set's pollers it is
    overdue: list[tuple[str, float]]  #: handlers that were killed for a message past its deadline
    visibility: float
    wait: float

    def same_poller(self, one: int, other: int) -> bool:
        """Whether these connections are of one poller, or of it and a successor."""
        places = [(self.machines.get(connection), self.places.get(connection)) for connection in (one, other)]
        return None not in places[0] and places[0] == places[1]


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
            story.given_back, story.overruled = False, ""
        elif kind == "visibility" and event["outcome"] == "done":
            self._changed(story, event)
        elif kind == "expire":
            when, injected = event["at"], bool(event.get("fault"))
            # A release whose call never arrived is one all the same: its holder has let go.
            kept = not story.given_back and self._hidden.get(receipt, float("inf")) > when
            if injected or kept:
                story.lapses.append(Lapse(when, receipt, injected))
            elif story.overruled:
                story.lapses.append(Lapse(when, receipt, by=story.overruled))
        elif kind == "delete" and event["outcome"] == "done":
            story.deleted = at
        elif kind == "redrive":
            story.redriven = at

    def _changed(self, story: Story, event: dict[str, Any]) -> None:
        """On a standard queue any receipt of a message will do, also one that is older than its holder's."""
        sequence, _, number = event["receipt"].partition(".")
        by, at = f"{sequence}.{event['number']}", event["now"]
        story.given_back = self._hidden.get(by, float("inf")) <= at
        if event["number"] == int(number):
            story.overruled = ""
        elif event["seconds"]:
            story.overruled = by  # it lapses later, unless its holder extends it before
            if story.given_back:
                story.given_up.append((at, by))
        else:
            story.lapses.append(Lapse(at, event["receipt"], by=by))


def gather(world: World) -> Facts:
    """The facts of a world that has ended."""
    hidden = world.journal.hidden
    reader = Reader(world.url.rpartition("/")[2], hidden=hidden)
    reader.take(world.server.events.after(0, limit=EVENTS))
    numbers = {message_id: number for number, message_id in world.sent.items()}
    by_number: dict[int, Story] = {}
    for story in reader.stories.values():
        story.number = numbers[story.message_id]
        story.deaths = world.died_with[story.message_id]
        by_number[story.number] = story
        known = {one.receipt for one in story.assigned}
        mine = (one for one in world.journal.owned if one.partition(".")[0] == str(story.sequence))
        story.given_twice = any(one not in known for one in mine)
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
        known=world.journal.known,
        came=world.journal.came,
        owned=world.journal.owned,
        hidden=hidden,
        releases=world.journal.releases,
        machines={line.connection: process.machine.name for line, process in world.lines},
        places={line.connection: process.place for line, process in world.lines},
        pollers={line.connection: process.name for line, process in world.lines},
        overdue=world.overdue,
        visibility=world.plan.visibility,
        wait=world.plan.wait,
    )


def by_group(stories: Iterable[Story]) -> dict[str, list[Story]]:
    """Each group's messages, as they were sent."""
    groups: defaultdict[str, list[Story]] = defaultdict(list)
    for story in sorted(stories, key=lambda story: story.sequence):
        groups[story.group].append(story)
    return groups
