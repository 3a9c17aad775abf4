"""Test process: random histories. Whatever happens in whatever order, the tree heals, and it ends when told to."""

from __future__ import annotations

import signal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.supervisor.histories import History, queue, running
from worker.protocol import ControlFrame
from worker.supervisor.tree import Child, Role

picks = st.integers(0, 10_000)
SIGNALS = (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGTSTP, signal.SIGCONT, signal.SIGUSR1)


class Storm(RuleBasedStateMachine):
    """Two queues, and everything that can happen to their processes."""

    @initialize(pollers=st.integers(1, 3), handlers=st.integers(1, 4), spares=st.integers(0, 2), preload=st.booleans())
    def begin(self, pollers: int, handlers: int, spares: int, preload: bool) -> None:
        orders = queue("orders", pollers=pollers, handlers=handlers, spares=spares, preload=preload)
        self.history = History(orders, queue("mails", handlers=1, spares=1))

    def pick(self, number: int, *, role: Role | None = None, booting: bool | None = None) -> Child | None:
        children = [child for child in self.history.pool.children() if child.pid]
        found = [c for c in children if role in (None, c.role) and booting in (None, c.phase == "starting")]
        return found[number % len(found)] if found else None

    @rule(number=picks)
    def one_gets_ready(self, number: int) -> None:
        child = self.pick(number, booting=True)
        if child and not self.history.row(child).killed:
            self.history.ready(child)

    @rule(number=picks)
    def a_template_forks(self, number: int) -> None:
        unborn = [child for child in self.history.pool.children() if not child.pid]
        if unborn:
            self.history.forked(unborn[number % len(unborn)])

    @rule(number=picks)
    def a_template_cannot_fork(self, number: int) -> None:
        unborn = [child for child in self.history.pool.children() if not child.pid]
        if unborn:
            child = unborn[number % len(unborn)]
            header = {"uid": child.uid, "reason": "no memory"}
            self.history.says(self.history.template(of=child.queue_set), ControlFrame.NOT_FORKED, header)

    @rule(number=picks, second=picks, by=st.sampled_from([9, 11]))
    def some_are_killed_together(self, number: int, second: int, by: int) -> None:
        found = {child for child in (self.pick(number), self.pick(second)) if child}
        self.history.die(*found, by=by)

    @rule(number=picks, code=st.sampled_from([0, 1]))
    def one_exits(self, number: int, code: int) -> None:
        child = self.pick(number)
        if child:
            self.history.die(child, code=code)

    @rule()
    def the_killed_are_reaped(self) -> None:
        self.history.reap_killed()

    @rule()
    def the_stopped_obey(self) -> None:
        self.history.stop_obeyed()

    @rule(number=picks)
    def a_leaver_is_empty(self, number: int) -> None:
        poller = self.pick(number, role=Role.POLLER)
        leaving = self.history.handlers("leaving", of=poller.queue_set) if poller else []
        if poller and leaving:
            self.history.says(poller, ControlFrame.DETACHED, {"handler": leaving[0].uid})

    @rule(number=picks)
    def a_message_runs_too_long(self, number: int) -> None:
        handler = self.pick(number, role=Role.HANDLER, booting=False)
        if handler and handler.poller in handler.queue_set.pollers.values():
            running(self.history, handler, deadline=self.history.now)
            self.history.says(handler.poller, ControlFrame.OVERDUE, {"handler": handler.uid, "seq": 7})

    @rule(number=st.sampled_from(SIGNALS))
    def a_signal_comes(self, number: signal.Signals) -> None:
        self.history.signal(number)

    @rule(handlers=st.integers(1, 6))
    def somebody_scales(self, handlers: int) -> None:
        self.history.ask(f'{{"verb":"scale","queue":"orders","handlers":{handlers}}}')

    @rule(problem=st.sampled_from(["", "no memory"]))
    def the_system_has_none_to_give(self, problem: str) -> None:
        self.history.table.spawn_problem = self.history.table.link_problem = problem

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.history.after(seconds)

    @precondition(lambda self: self.history.pool.stop is None)
    @rule()
    def the_storm_is_over(self) -> None:
        """Nobody dies any more: in time every place of every set has a living handler, linked with a living poller."""
        history = self.history
        history.table.spawn_problem = history.table.link_problem = ""
        for _ in range(75):
            history.reap_killed()
            history.stop_obeyed()
            history.all_ready()
            history.after(5)  # less than a template may take to fork
        if history.pool.stop is None:
            for queue_set in history.pool.current():
                if queue_set.budget is None:
                    self.healed(queue_set)

    def healed(self, queue_set: object) -> None:
        assert sorted(queue_set.pollers) == list(range(queue_set.queue.pollers))
        serving = self.history.handlers("serving", of=queue_set)
        assert [handler.number for handler in serving] == list(range(queue_set.wanted))
        assert all(handler.poller is queue_set.poller_of(handler) for handler in serving)
        assert len(self.history.handlers("spare", of=queue_set)) == queue_set.queue.spares
        assert (queue_set.template is not None) == queue_set.queue.preload

    @invariant()
    def places_are_unique(self) -> None:
        for queue_set in self.history.pool.sets:
            numbers = [h.number for h in self.history.handlers("starting", "spare", "serving", of=queue_set)]
            assert len(numbers) == len(set(numbers))

    @invariant()
    def nobody_dead_is_in_the_tree_and_nobody_living_is_buried(self) -> None:
        living = {child.uid for child in self.history.pool.children()}
        kept = {bequest.child.uid for s in self.history.pool.sets for bequest in s.bequests}
        assert not living & kept
        buried = {uid for uid, row in self.history.table.rows.items() if row.buried}
        assert buried == set(self.history.table.rows) - living - kept

    def teardown(self) -> None:
        """After TERM it ends within its budget, whatever it was doing, and nothing is left."""
        history = self.history
        history.signal(signal.SIGTERM)
        history.after(1)
        for queue_set in list(history.pool.sets):
            for poller in list(queue_set.pollers.values()):
                history.drained(poller)
        history.stop_obeyed()
        history.after(24.8)
        history.reap_killed()
        history.after(0.5)
        assert history.pool.exit_code in (0, 70, 75)
        assert history.pool.children() == []


Storm.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestStorm = Storm.TestCase
