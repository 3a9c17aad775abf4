"""How many long polls are on their way, against a queue that is played on a virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from worker.policy.demand import Demand
from worker.policy.failures import FailureKind

#: Seconds of one tick, and of a long poll.
TICK, WAIT = 0.001, 10.0
MOST, COUNT = 64, 10


@dataclass
class Poll:
    sent_at: float
    ends_at: float = 0.0  #: 0.0: it waits at the queue
    count: int = 0


@dataclass
class Played:
    """A queue that gets `load(now)` messages a second, a demand, and handlers that take `capacity` of them a second."""

    load: Callable[[float], float]
    capacity: float = 1e9
    round_trip: float = 0.02
    backlog: float = 0.0
    target: int = 1000
    demand: Demand = field(default_factory=lambda: Demand(most=MOST, pause=0.0))
    now: float = 0.0
    line: float = 0.0
    polls: list[Poll] = field(default_factory=list)
    calls: int = 0
    received: int = 0
    #: (wanted, open, backlog) at each tick of the last run
    seen: list[tuple[int, int, float]] = field(default_factory=list)

    def run(self, seconds: float) -> Played:
        self.calls, self.received, self.seen = 0, 0, []
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            self.tick()
            self.seen.append((self.demand.wanted, len(self.polls), self.backlog))
        return self

    def tick(self) -> None:
        self.backlog += self.load(self.now) * TICK
        self.line = max(0.0, self.line - self.capacity * TICK)
        for poll in self.polls:
            if not poll.ends_at and self.now >= poll.sent_at + self.round_trip / 2:
                poll.count = min(COUNT, int(self.backlog))
                self.backlog -= poll.count
                if poll.count or self.now >= poll.sent_at + WAIT:
                    poll.ends_at = self.now + self.round_trip / 2
        for poll in [one for one in self.polls if one.ends_at and one.ends_at <= self.now]:
            self.polls.remove(poll)
            self.line += poll.count
            self.received += poll.count
            self.demand.came(poll.count, asked=COUNT, took=self.now - poll.sent_at, now=self.now)
        room = self.target - int(self.line) - COUNT * len(self.polls)
        if room >= COUNT:
            more = self.demand.polls(on_their_way=len(self.polls), room=room, count=COUNT, now=self.now)
            self.polls += [Poll(self.now) for _ in range(more)]
            self.calls += more

    def range(self, place: int) -> tuple[float, float]:
        """The least and the most of what was seen."""
        values = [one[place] for one in self.seen]
        return min(values), max(values)


def deep(_now: float) -> float:
    """More than anybody takes."""
    return 1e6


@pytest.mark.parametrize("round_trip", [0.01, 0.05, 0.2])
def test_a_deep_queue_gets_every_poll_within_seconds_and_no_poll_rests(round_trip: float) -> None:
    """95 % of connections x 10 / round trip, 5 s after the first message, and 0.1 calls a message."""
    played = Played(deep, round_trip=round_trip, target=20_000)
    played.run(5.0)
    played.run(4.0)
    assert played.received / 4.0 >= 0.95 * MOST * COUNT / (round_trip + 2 * TICK)
    assert played.range(0) == (MOST, MOST)
    assert played.calls / played.received <= 0.105


def test_slow_handlers_have_the_polls_that_little_s_law_says() -> None:
    """500 messages a second at 20 ms take one poll: the line is full, and nothing is asked for that it cannot hold."""
    played = Played(deep, capacity=500.0, target=125)
    played.run(5.0)
    played.run(10.0)
    assert played.received == pytest.approx(5000, rel=0.02)
    assert played.range(1)[1] <= 2
    assert played.range(0)[1] <= 4
    assert played.calls / played.received <= 0.105


def test_faster_handlers_are_served_within_a_second() -> None:
    """A step from 500 to 8,000 messages a second."""
    played = Played(deep, capacity=500.0, target=125)
    played.run(5.0)
    played.capacity, played.target = 8000.0, 1000
    played.run(1.0)
    played.run(4.0)
    assert played.received == pytest.approx(4 * 8000, rel=0.05)


@pytest.mark.parametrize("load", [200.0, 1000.0, 4000.0])
def test_a_steady_load_keeps_nothing_waiting_and_does_not_flap(load: float) -> None:
    """Five seconds later the queue stays empty, with a few polls more than the law needs, and not all of them."""
    played = Played(lambda _now: load)
    played.run(5.0)
    played.run(10.0)
    needed = load * played.round_trip / COUNT
    assert played.received == pytest.approx(10 * load, rel=0.02)
    assert played.range(2)[1] <= load * 0.02 + COUNT  # 20 ms of messages
    assert played.range(0)[1] <= 1.5 * needed + 2
    assert played.range(0)[1] - played.range(0)[0] <= needed + 2
    assert load == 200.0 or played.calls / played.received <= 0.21


def test_a_ramp_is_followed() -> None:
    """From nothing to 6,000 messages a second in 20 s: never a second of messages left behind."""
    played = Played(lambda now: min(6000.0, 300.0 * now))
    played.run(25.0)
    assert played.range(2)[1] <= 100
    assert played.received >= 6000 * 14.5


def test_a_load_that_stops_leaves_one_scout() -> None:
    """When the open polls have returned there is one, and it makes six calls a minute."""
    played = Played(lambda now: 6000.0 if now < 5.0 else 0.0)
    played.run(5.0 + WAIT + 0.1)
    played.run(60.0)
    assert played.range(0) == (1, 1)
    assert played.range(1)[1] == 1
    assert played.calls <= 6


def test_a_trickle_takes_one_poll() -> None:
    """Five messages a second after a burst: each receive brings one, so more of them would only cost."""
    played = Played(lambda now: 6000.0 if now < 2.0 else 5.0)
    played.run(15.0)
    played.run(10.0)
    assert played.range(0)[1] <= 2


def test_a_producer_that_sends_in_tens_does_not_open_every_poll() -> None:
    """Each receive is full, but has waited for it: more polls would bring nothing more."""
    played = Played(lambda _now: 0.0)
    for _ in range(100):
        played.backlog += 10.0
        played.run(0.1)
    assert played.range(0)[1] <= 8
    assert not played.demand.most_wanted
    assert played.received == 10


def test_short_answers_take_no_poll_away() -> None:
    """SQS asks only some of its servers: seven messages of a deep queue are no sign of an empty one."""
    demand = Demand(most=MOST, pause=0.0)
    for second in range(8):
        demand.polls(on_their_way=0, room=1000, count=10, now=float(second))
        demand.came(10, asked=10, took=0.02, now=second + 0.02)
    wanted = demand.wanted
    for _ in range(100):
        demand.came(7, asked=10, took=0.02, now=9.0)
    assert demand.wanted == wanted > 1


def test_while_receives_fail_there_is_one_at_a_time() -> None:
    """After a backoff that grows; full rate is built up again from one."""
    played = Played(deep)
    played.run(1.0)
    demand = played.demand
    for _ in range(5):
        demand.failed(FailureKind.TRANSIENT, now=played.now, chance=1.0)
    assert demand.wanted == 1
    assert demand.failing
    assert demand.polls(on_their_way=0, room=1000, count=10, now=played.now + 3.0) == 0
    assert demand.polls(on_their_way=0, room=1000, count=10, now=played.now + 3.3) == 1


def test_a_pause_follows_an_empty_receive_only() -> None:
    """`poll_interval` above 20 s: the scout rests, and a message on the way back does not make it."""
    demand = Demand(most=MOST, pause=40.0)
    demand.came(3, asked=10, took=0.1, now=100.0)
    assert demand.polls(on_their_way=0, room=1000, count=10, now=100.0) == 1
    demand.came(0, asked=10, took=20.0, now=120.0)
    assert demand.polls(on_their_way=0, room=1000, count=10, now=159.0) == 0
    assert demand.polls(on_their_way=0, room=1000, count=10, now=160.0) == 1
