"""Test process: the world of one search: a queue, the shipped poller, its handlers, and what really happened so far.

A world is a tuple of numbers and tuples; the poller and the handlers in it are numbers of states (`states`). `Model`
holds those, and carries frames between them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import orjson

from tests.model import handler, poller, steps
from tests.model.broker import Queue, Stored
from tests.model.doubles import Sent, Violation
from tests.model.poller import Facts, Started, Told
from tests.model.scope import Scope
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
    spent: frozenset[str] = frozenset()  #: kinds of faults


class Model:
    """The states of one search's pollers and handlers, and what the world sees of them."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.pollers = poller.states()
        self.handlers = handler.states()
        self.facts: Callable[[int], Facts] = cache(lambda number: poller.facts(self.pollers[number]))
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

    def tidy(self, world: World) -> World:
        """Equal but for sequences and for what is over and done with: told as one."""
        facts = self.facts(world.poller)
        seqs = set(facts.seqs)
        for hand in world.hands:
            seqs |= self.shown(hand.state).seqs
        order = tuple(sorted(seqs))
        if order != tuple(range(1, len(order) + 1)) or facts.next_seq != len(order) + 1:
            number, _ = self.pollers.after(world.poller, steps.renumber, order)
            world = world._replace(poller=number)
        hands = tuple(self._tidied(hand, order) for hand in world.hands)
        held = {one.receipt for one in facts.held}
        return world._replace(hands=hands, over=world.over & held)

    def _tidied(self, hand: Hand, order: tuple[int, ...]) -> Hand:
        state, _ = self.handlers.after(hand.state, handler.renumber, order)
        return hand._replace(state=state)
