"""Whatever happens in whatever order: nothing is counted twice or forgotten, and no group runs out of order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.policy import build
from worker.message import Kind
from worker.policy import beats, outcomes
from worker.policy.delivery import Action, Delivery, Settlement, State

CHANCE = st.sampled_from([0.0, 0.5, 0.99])


class LedgerMachine(RuleBasedStateMachine):
    """Random receives, outcomes, deaths, failures, beats and drains against one ledger."""

    @initialize(fifo=st.booleans(), dead_letter=st.booleans())
    def start(self, fifo: bool, dead_letter: bool) -> None:
        self.books = build.ledger(fifo=fifo, dead_letter="https://sqs/dlq" if dead_letter else "", attempts=3)
        self.now = 0.0
        self.number = 0
        self.groups: list[str] = []
        self.calls: list[Delivery] = []
        self.beating: list[Delivery] = []

    @rule(groups=st.lists(st.sampled_from("ab"), min_size=1, max_size=4))
    def receive(self, groups: list[str]) -> None:
        fresh = []
        for group in groups:
            self.number += 1
            self.groups.append(group)
            fresh.append(build.message(f"m{self.number}", group=group))
        build.receive(self.books, *fresh, now=self.now)

    @rule(pick=st.integers(0, 50))
    def receive_again(self, pick: int) -> None:
        if self.number:
            number = pick % self.number
            again = build.message(f"m{number + 1}", group=self.groups[number], count=2)
            build.receive(self.books, again, now=self.now)

    @rule(seconds=st.sampled_from([0.1, 3.0, 11.0, 40.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.books.tick(self.now)

    @rule(handler=st.integers(1, 2), most=st.integers(1, 3))
    def give(self, handler: int, most: int) -> None:
        taken = build.dispatch(self.books, handler, most=most, now=self.now)
        assert all(one.lease_end > self.now for one in taken)

    @rule(handler=st.integers(1, 2))
    def give_suspect(self, handler: int) -> None:
        outcomes.take_suspect(self.books, handler, now=self.now)

    def dispatched(self) -> list[Delivery]:
        return [one for one in self.books.deliveries.values() if one.state is State.DISPATCHED]

    @rule(pick=st.integers(0, 9), kind=st.sampled_from(list(Kind)), chance=CHANCE)
    def outcome(self, pick: int, kind: Kind, chance: float) -> None:
        held = self.dispatched()
        if not held:
            return
        seq = held[pick % len(held)].seq
        if kind is Kind.ACK:
            outcomes.acked(self.books, [seq], now=self.now)
        elif kind is Kind.RETRY:
            outcomes.retried(self.books, seq, None, why="", now=self.now, chance=chance)
        elif kind is Kind.REJECT:
            outcomes.rejected(self.books, seq, "", body=b"", attributes={}, now=self.now)
        else:
            settlement = Settlement(Action.SEND, Kind.FORWARD, queue="q", body=b"")
            outcomes.forwarded(self.books, seq, settlement, now=self.now)

    @rule(
        handler=st.integers(1, 2), running=st.integers(0, 2), caused=st.booleans(), overdue=st.booleans(), chance=CHANCE
    )
    def die(self, handler: int, running: int, caused: bool, overdue: bool, chance: float) -> None:
        mine = {one.seq for one in self.dispatched() if one.handler == handler}
        ran = set(sorted(mine)[:running])
        outcomes.died(
            self.books,
            handler,
            ran,
            death=outcomes.Death(caused=caused, overdue=overdue, why=""),
            now=self.now,
            chance=chance,
        )

    @rule(handler=st.integers(1, 2))
    def recall(self, handler: int) -> None:
        outcomes.returned(self.books, [one.seq for one in self.dispatched() if one.handler == handler][1:])

    @rule()
    def call(self) -> None:
        for line in (self.books.deletes, self.books.sends, self.books.hides):
            while line:
                delivery = line.popleft()
                if self.books.begin(delivery):
                    assert delivery not in self.beating, "never two calls with one receipt"
                    assert delivery not in self.calls
                    self.calls.append(delivery)

    @rule(how=st.sampled_from(["ok", "ok", "again", "refused"]), chance=CHANCE)
    def answer(self, how: str, chance: float) -> None:
        for delivery in self.calls:
            if how == "ok":
                self.books.confirmed(delivery, now=self.now)
            else:
                self.books.unsettled(delivery, final=how == "refused", why="", now=self.now, chance=chance)
        self.calls.clear()

    @rule()
    def beat(self) -> None:
        self.beating += [delivery for delivery, _ in beats.due(self.books, self.now, most=10)]

    @rule(how=st.sampled_from(["ok", "ok", "again", "refused"]))
    def beat_answer(self, how: str) -> None:
        for delivery in self.beating:
            if how == "ok":
                beats.beaten(self.books, delivery, sent_at=self.now, seconds=30)
            else:
                beats.unbeaten(self.books, delivery, final=how == "refused", now=self.now)
        self.beating.clear()

    @rule()
    def drain(self) -> None:
        self.books.drain()

    @invariant()
    def nothing_is_counted_twice_or_forgotten(self) -> None:
        if hasattr(self, "books"):
            received, accounted = build.balance(self.books)
            assert received == accounted

    @invariant()
    def the_lease_table_tells_the_same(self) -> None:
        if hasattr(self, "books"):
            assert {one.place for one in self.books.deliveries.values()} == set(self.books.table.records)

    @invariant()
    def the_line_counts_what_stands_in_it(self) -> None:
        if hasattr(self, "books"):
            ready = [one for one in self.books.deliveries.values() if one.state is State.READY]
            assert self.books.line.count == len(ready)

    @invariant()
    def of_a_group_one_runs_at_a_time(self) -> None:
        if hasattr(self, "books") and self.books.rules.fifo:
            running = [one.group for one in self.dispatched() if not one.lost]
            assert len(running) == len(set(running))

    def teardown(self) -> None:
        """From every state, without further faults, everything held can leave."""
        if not hasattr(self, "books"):
            return
        self.books.drain()
        for _ in range(60):
            self.answer("ok", 0.5)
            self.beat_answer("ok")
            for handler in (1, 2):
                self.die(handler, 0, True, False, 0.5)
            self.call()
            self.pass_time(3.0)
            self.beat()
        assert not self.books.deliveries
        received, accounted = build.balance(self.books)
        assert received == accounted


LedgerMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestLedger = LedgerMachine.TestCase
