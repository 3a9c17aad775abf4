"""One poller's actors, the strict SQS server and handlers that the test plays, in one thread under a virtual clock."""

from __future__ import annotations

import mmap
import os
import random
from typing import Any

from worker.channel import Channel, Frame, pair
from worker.leases import LeaseTable
from worker.message import Kind
from worker.policy.ledger import Ledger
from worker.policy.rules import Rules
from worker.policy.silence import Silence
from worker.poller.adoption import adopt
from worker.poller.links import HandlerLink
from worker.poller.lookout import Lookout
from worker.poller.loop import PollerLoop
from worker.poller.state import PollerState
from worker.protocol import Outcome, StreamFrame, read_messages, send_outcomes
from worker.settings import QueueSettings, RetrySettings
from worker.slots import ChildState, HandlerSlot, PollerSlot
from worker.telemetry import Log
from worker.testing.simulated_sqs import Clock, SimulatedServer, SimulatedSqs
from worker.testing.sqs_server import limits
from worker.testing.sqs_server.faults import rule


class PlayedHandler:
    """A handler process played by the test: it does what it is told, through a real stream and a real slot."""

    def __init__(self, world: World, uid: int) -> None:
        self.world = world
        self.uid = uid
        self.places = world.settings.places
        self.memory = mmap.mmap(-1, HandlerSlot.size(self.places))
        self.slot = HandlerSlot(self.memory, self.places)
        self.slot.tell(pid=os.getpid(), state=ChildState.READY)
        self.inbox: list[Any] = []
        self.frames: list[Frame] = []
        self.finished = 0
        self.attach()

    def attach(self) -> None:
        """A new stream to the world's poller, and a hello."""
        ours, theirs = pair()
        self.channel = Channel(ours)
        self.link = HandlerLink(
            self.uid,
            self.uid,
            pid=os.getpid(),
            channel=Channel(theirs),
            slot=HandlerSlot(self.memory, self.places),
            now=self.world.clock.now,
        )
        self.world.loop.dispatcher.attach(self.link, self.world.clock.now)
        running = [entry.seq for entry in self.slot.running()]
        unstarted = [one.seq for one in self.inbox if one.seq not in running]
        self.channel.send(StreamFrame.HELLO, {"running": running, "unstarted": unstarted})

    def read(self) -> list[str]:
        """Take what has arrived; gives the ids of the new messages."""
        new = []
        for frame in self.channel.receive():
            if frame.kind == StreamFrame.MESSAGES:
                new += read_messages(frame)
            elif frame.kind == StreamFrame.RECALL:
                running = {entry.seq for entry in self.slot.running()}
                back = [one for one in self.inbox + new if one.seq not in running]
                self.inbox = [one for one in self.inbox if one.seq in running]
                new = []
                self.channel.send(StreamFrame.RETURNED, [one.seq for one in back])
            self.frames.append(frame)
        self.inbox += new
        return [one.id for one in new]

    def start(self) -> str:
        """Start the oldest message."""
        parcel = self.inbox[0]
        self.slot.start(0, parcel.seq, now=self.world.clock.now, deadline=self.world.clock.now + 300)
        return str(parcel.id)

    def start_all(self, *deadlines: float) -> list[str]:
        """Start the oldest messages, one for each deadline (seconds from now); gives their bodies."""
        now = self.world.clock.now
        started = self.inbox[: len(deadlines)]
        for place, (parcel, deadline) in enumerate(zip(started, deadlines, strict=True)):
            self.slot.start(place, parcel.seq, now=now, deadline=now + deadline)
        return [parcel.body.decode() for parcel in started]

    def finish(self, kind: Kind = Kind.ACK, *, tell: bool = True, **outcome: Any) -> None:
        """The oldest message has an outcome."""
        parcel = self.inbox.pop(0)
        after = outcome.get("after")
        self.slot.finish(0, parcel.seq, kind=kind, after=-1.0 if after is None else after, attempt=parcel.attempt)
        self.finished += 1
        self.slot.progress(
            done=self.finished, failed=0, busy=0.001 * self.finished, resident=0, now=self.world.clock.now
        )
        if not tell:
            return
        if kind is Kind.ACK:
            send_outcomes(self.channel, [parcel.seq], [])
        else:
            if kind is Kind.REJECT:
                outcome.setdefault("body", parcel.body)
            send_outcomes(self.channel, [], [Outcome(parcel.seq, kind, attempt=parcel.attempt, **outcome)])

    def close(self) -> None:
        self.channel.close()
        self.link.channel.close()


class World:
    """Made with what is to differ from the defaults; `run(seconds)` lets virtual time pass."""

    def __init__(
        self,
        *,
        fifo: bool = False,
        dead_letter: bool = True,
        round_trip: float = 0.005,
        handlers: int = 1,
        in_flight_limit: int = limits.IN_FLIGHT,
        **queue: Any,
    ) -> None:
        self.clock = Clock()
        self.random = random.Random(7)
        self.in_flight_limit = in_flight_limit
        self.server = SimulatedServer(self.clock, chance=self.random.random, in_flight_limit=in_flight_limit)
        suffix = ".fifo" if fifo else ""
        attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if fifo else {}
        self.dlq = self.server.call("CreateQueue", QueueName=f"dlq{suffix}", Attributes=attributes)["QueueUrl"]
        self.url = self.server.call("CreateQueue", QueueName=f"work{suffix}", Attributes=attributes)["QueueUrl"]
        self.fifo = fifo
        self.dead_letter = self.dlq if dead_letter else ""
        self.round_trip = round_trip
        self.settings = QueueSettings(
            name="work", handler="app:handle", url=self.url, retry=RetrySettings(first=2.0, most=60.0), **queue
        )
        self.table_memory = mmap.mmap(-1, LeaseTable.size(200))
        self.epoch = 0
        self.handlers: list[PlayedHandler] = []
        self.start_poller(expected=set())
        for _ in range(handlers):
            self.add_handler()
        self.settle()

    def add_handler(self) -> None:
        """One more handler process is ready."""
        self.handlers.append(PlayedHandler(self, len(self.handlers) + 1))

    def start_poller(self, *, expected: set[int]) -> None:
        """A poller, or its successor, on the same lease table."""
        self.epoch += 1
        table = LeaseTable(self.table_memory)
        rules = Rules(
            fifo=self.fifo,
            visibility=int(self.settings.visibility_timeout),
            retry=self.settings.retry,
            dead_letter=self.dead_letter,
        )
        self.ledger = Ledger(table, rules, first_seq=(self.epoch << 40) + 1)
        self.sqs = SimulatedSqs(self.server, self.url, round_trip=lambda: self.round_trip)
        ours, self.supervisor_socket = pair()
        self.supervisor = Channel(self.supervisor_socket)
        self.state = PollerState(
            queue=self.settings,
            ledger=self.ledger,
            table=table,
            sqs=self.sqs,
            control=Channel(ours),
            log=Log("error", human=False),
            chance=self.random.random,
            token=lambda: f"token-{self.random.getrandbits(64)}",
        )
        self.slot = PollerSlot(mmap.mmap(-1, PollerSlot.size()))
        self.loop = PollerLoop(self.state, self.slot)
        self.loop.lookout = Lookout(self.state, Silence(limit=self.in_flight_limit))
        adopt(self.ledger, table, handlers=expected, now=self.clock.now)

    def kill_poller(self) -> None:
        """SIGKILL: the streams end, answers on their way are lost, and a successor starts."""
        for handler in self.handlers:
            handler.read()
            handler.close()
        self.close_poller()
        self.start_poller(expected={handler.uid for handler in self.handlers})
        for handler in self.handlers:
            handler.attach()

    def close_poller(self) -> None:
        self.loop.close()
        self.sqs.close()
        self.state.control.close()
        self.supervisor.close()

    def close(self) -> None:
        for handler in self.handlers:
            handler.close()
        self.close_poller()

    def send(self, *bodies: str, group: str = "") -> None:
        """A producer."""
        options = {"MessageGroupId": group} if group else {}
        for body in bodies:
            self.server.call("SendMessage", QueueUrl=self.url, MessageBody=body, **options)

    def fault(self, **fields: Any) -> None:
        """Put a rule of the server's fault plan in force."""
        self.server.service.plan.add([rule(fields)], self.clock.now)

    def settle(self) -> None:
        """Everything that happens now, at this instant."""
        for _ in range(20):
            before = self.loop.step(self.clock.now)
            self._server_acts()
            for answer in self.sqs.answers():
                self.loop.answered(answer, self.clock.now)
            for handler in self.handlers:
                self.loop.dispatcher.readable(handler.link, self.clock.now)
            if before > 0 and self.sqs.next_arrival() > self.clock.now:
                return

    def run(self, seconds: float, *, step: float = 0.05) -> None:
        """Let virtual time pass."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.settle()
            self.clock.now = min(end, self.clock.now + step)
        self.settle()

    def _server_acts(self) -> None:
        for poll, answer in self.server.broker.complete(self.clock.now):
            poll.owner.finish(poll, answer)

    def depth(self, url: str = "") -> tuple[int, int]:
        """(visible, in flight) of a queue."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.server.call("GetQueueAttributes", QueueUrl=url or self.url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def orders(self) -> list[Frame]:
        """What the poller told the supervisor."""
        return self.supervisor.receive()
