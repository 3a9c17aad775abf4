"""Test process: the world of one search: a queue, the shipped poller, its handlers, and what really happened so far.

A world is a tuple of numbers and tuples; the poller and the handlers in it are numbers of states (`states`). `Model`
holds those, and carries frames between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import orjson

from tests.model import broker, facts, handler, poller, steps
from tests.model.broker import GONE, Queue, Stored
from tests.model.doubles import Sent, Violation
from tests.model.facts import Facts, Started
from tests.model.scope import Scope
from tests.model.steps import Told
from worker.protocol import StreamFrame


class Hand(NamedTuple):
    """One handler process in the world."""

    uid: int
    state: int
    attached: bool = True


class World(NamedTuple):
    """Everything that is true at one moment."""

    poller: int
    hands: tuple[Hand, ...]
    queue: Queue
    polls: int  #: long polls on their way that SQS has not answered yet
    transit: tuple[tuple[str, ...], ...] = ()  #: answers of long polls on their way: receipts
    ghosts: int = 0  #: long polls of a dead poller
    again: tuple[str, ...] = ()  #: FIFO: the receipts of a lost answer, whose attempt id is sent again
    answers: tuple[tuple[Any, ...], ...] = ()  #: of each other call on its way: what SQS said of each entry
    faults: int = 0  #: left
    code: int | None = None  #: the poller has exited
    # What really happened, which no process knows:
    effects: tuple[int, ...] = ()  #: of each message
    excused: tuple[int, ...] = ()  #: of each message: repeated effects that a fault accounts for
    started: frozenset[int] = frozenset()  #: messages that a handler function was started on
    dead: frozenset[int] = frozenset()  #: messages that we sent to the dead-letter queue
    sent: frozenset[int] = frozenset()  #: messages that we forwarded
    over: frozenset[str] = frozenset()  #: receipts whose lease is really over
    stained: frozenset[int] = frozenset()  #: messages that a fault may leave in flight


class Model:
    """The states of one search's pollers and handlers, and what the world sees of them."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.struck: Counter[str] = Counter()  #: how often each kind of fault struck, in all worlds together
        self.pollers = poller.states()
        self.handlers = handler.states()
        self.facts: Callable[[int], Facts] = cache(lambda number: facts.facts(self.pollers[number]))
        self.shown: Callable[[int], handler.Shown] = cache(lambda number: handler.shown(self.handlers[number]))

    def first(self) -> World:
        """A poller that has just booted, its handlers attached, and a queue of visible messages."""
        scope = self.scope
        fresh = self.handlers.number(handler.fresh())
        world = World(
            poller=self.pollers.number(poller.boot(scope)),
            hands=tuple(Hand(uid, fresh, attached=False) for uid in range(1, scope.handlers + 1)),
            queue=tuple(Stored() for _ in scope.messages),
            polls=scope.polls,
            faults=scope.faults,
            effects=tuple(0 for _ in scope.messages),
            excused=tuple(0 for _ in scope.messages),
        )
        for place in range(scope.handlers):
            world = self.attach(world, place)
        return world

    def step(self, world: World, step: Callable[..., Told], *args: Any) -> tuple[World, tuple[Started, ...]]:
        """A step of the poller; what it tells handlers reaches them. Gives also the requests that it started."""
        number, told = self.pollers.after(world.poller, step, *args)
        world = world._replace(poller=number, code=told.code)
        for uid, frame in told.frames:
            world = self._carry(world, uid, frame)
        return world, told.started

    def happen(self, world: World, step: Callable[..., Told], *args: Any) -> World:
        """A step of the poller that starts no request."""
        world, started = self.step(world, step, *args)
        assert not started
        return world

    def attach(self, world: World, place: int) -> World:
        """A handler gets a new stream to the poller; both say hello."""
        hand = world.hands[place]
        ring = self.shown(hand.state).ring
        state, hello = self.handlers.after(hand.state, handler.attach)
        world = self.put(world, place, hand._replace(state=state, attached=True))
        world = self.happen(world, steps.attach, hand.uid, self.scope.credit, ring)
        return self.happen(world, steps.hear, hand.uid, hello, ring)

    def act(self, world: World, place: int, step: Callable[..., tuple[Sent, ...]], *args: Any) -> World:
        """A step of a handler; what it tells reaches the poller at once.

        A delay on this way is not lost: hearing later is as if it had happened later, and what a death leaves unheard
        is in the ring.
        """
        hand = world.hands[place]
        state, sent = self.handlers.after(hand.state, step, *args)
        world = self.put(world, place, hand._replace(state=state))
        if sent:
            world = self.happen(world, steps.hear, hand.uid, sent, self.shown(state).ring)
        return world

    def put(self, world: World, place: int, hand: Hand) -> World:
        """The world with another handler in this place."""
        return world._replace(hands=(*world.hands[:place], hand, *world.hands[place + 1 :]))

    def _carry(self, world: World, uid: int, frame: Sent) -> World:
        if frame.kind == StreamFrame.MESSAGES:
            self._no_lost_lease(world, frame)
        for place, hand in enumerate(world.hands):
            if hand.uid == uid and hand.attached:
                return self.act(world, place, handler.hear, (frame,))
        return world

    def _no_lost_lease(self, world: World, frame: Sent) -> None:
        given = {seq for seq, *_ in orjson.loads(frame.header)}
        late = [one.receipt for one in self.facts(world.poller).held if one.seq in given and one.receipt in world.over]
        if late:
            raise Violation(f"given to a handler although its lease is over: {late[0]}")

    def receipts(self, world: World) -> set[str]:
        """Every receipt that somebody has: the poller, an answer or a call on its way."""
        facts = self.facts(world.poller)
        called = (name for call in facts.calls if call.kind != "send" for name, _ in call.entries)
        return {one.receipt for one in facts.held}.union(called, *world.transit, world.again)

    def tidy(self, world: World) -> World:
        """The same world, told so that worlds which differ in names only, or in what is over, are one."""
        facts = self.facts(world.poller)
        shown = {hand.uid: self.shown(hand.state) for hand in world.hands}
        hands = sorted(world.hands, key=lambda hand: (not hand.attached, *shown[hand.uid].order, hand.uid))
        seqs = tuple(sorted(facts.seqs.union(*(one.seqs for one in shown.values()))))
        uids = tuple(hand.uid for hand in hands)
        about = self.receipts(world)
        busy = {broker.split(receipt)[0] for receipt in about}.union(*(one.messages for one in shown.values()))
        over = frozenset(one for one, stored in enumerate(world.queue) if stored.place in GONE and one not in busy)
        number = world.poller
        if facts.order != (seqs, uids) or seqs != tuple(range(1, len(seqs) + 1)) or over & facts.done:
            number, _ = self.pollers.after(world.poller, steps.tidy, seqs, uids, tuple(sorted(over)))
        tidied = tuple(
            Hand(uid, self.handlers.after(hand.state, handler.renumber, seqs)[0], hand.attached)
            for uid, hand in enumerate(hands, 1)
        )
        return _forget(world._replace(poller=number, hands=tidied, over=world.over & about), about=about, over=over)


def _forget(world: World, *, about: set[str], over: frozenset[int]) -> World:
    """Without what decides nothing any more: receipts that nobody has, the history of messages that are gone."""
    queue = tuple(
        stored if broker.receipt_name(message, stored.receipt) in about else stored._replace(receipt=0)
        for message, stored in enumerate(world.queue)
    )
    done = over.intersection(one for one in over if world.effects[one] or one in world.dead or one in world.sent)
    if not done:
        return world._replace(queue=queue)
    return world._replace(
        queue=queue,
        effects=tuple(1 if message in done else count for message, count in enumerate(world.effects)),
        excused=tuple(0 if message in done else count for message, count in enumerate(world.excused)),
        started=world.started | done,
        dead=world.dead - done,
        sent=world.sent - done,
        stained=world.stained - done,
    )
