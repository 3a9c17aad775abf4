"""The oracle finds every kind of violation, and finds none where there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos.logs import Drain
from tests.chaos.build import SECOND, Run


def test_a_run_without_faults_is_valid() -> None:
    """Everything adds up, and nothing is counted that did not happen."""
    run = Run()
    run.send(1, 2, 3)
    for number in (1, 2, 3):
        run.handle(number, float(number))
    verdict = run.verdict()
    assert verdict.valid
    assert verdict.counts["effective"] == 3
    assert verdict.messages == {"sent": 3, "deleted": 3, "redriven": 0, "left": 0}
    assert verdict.deliveries["assigned"] == verdict.deliveries["deleted"] == 3
    assert not verdict.duplicated
    assert not verdict.lapsed


def lost(run: Run) -> None:
    run.assign(1, 1.0)
    run.delete(1, 1.1)


def confirmed_and_never_there(run: Run) -> None:
    run.attempt(2)


def unexpected(run: Run) -> None:
    run.handle(1, 1.0)
    run.event("send", 2.0, 99)
    run.handle(99, 2.0)


def ran_without_a_delivery(run: Run) -> None:
    run.handle(1, 1.0)
    run.attempt(2, outcome="unknown")
    run.work(2, 2.0, 2.1)


def early_delete(run: Run) -> None:
    run.assign(1, 1.0)
    run.delete(1, 1.1)
    run.work(1, 1.2, 1.3)


def duplicate(run: Run) -> None:
    run.assign(1, 1.0)
    run.work(1, 1.1, 1.2)
    run.hide(1, 1.3, 0)
    run.handle(1, 2.0, pid=2)


def lapse(run: Run) -> None:
    run.assign(1, 1.0)
    run.expire(1, 10.0)
    run.handle(1, 11.0)


def two_at_once(run: Run) -> None:
    run.assign(1, 1.0)
    run.work(1, 1.1, 3.0)
    run.hide(1, 1.5, 0)
    run.handle(1, 2.0, pid=2)


def left_in_the_queue(run: Run) -> None:
    run.handle(1, 1.0)
    run.send(2, outcome="unknown")
    run.depth = 1


def vanished_from_the_queue(run: Run) -> None:
    run.handle(1, 1.0)
    run.send(2, outcome="unknown")


def left_open(run: Run) -> None:
    run.handle(1, 1.0)
    run.send(2, outcome="unknown")
    run.assign(2, 2.0)
    run.depth = 1


def dead_unstarted(run: Run) -> None:
    run.assign(1, 1.0)
    run.event("redrive", 2.0, 1)
    run.expire(1, 1.5, fault=True)
    run.dead = [1]


def unclean_drain(run: Run) -> None:
    run.handle(1, 1.0)
    run.drains = [Drain(5 * SECOND, 6 * SECOND, 75)]


def left_by_a_drain(run: Run) -> None:
    run.assign(1, 4.0)
    run.drains = [Drain(5 * SECOND, 6 * SECOND, 0)]
    run.expire(1, 13.0)
    run.handle(1, 14.0)


@pytest.mark.parametrize(
    ("wrong", "kinds"),
    [
        (lost, {"lost", "deleted before its effect"}),
        (confirmed_and_never_there, {"lost", "conservation"}),
        (unexpected, {"unexpected"}),
        (ran_without_a_delivery, {"unexpected"}),
        (early_delete, {"deleted before its effect"}),
        (duplicate, {"unattributed duplicate"}),
        (lapse, {"unattributed lapse"}),
        (two_at_once, {"two at once", "unattributed duplicate"}),
        (left_in_the_queue, {"conservation"}),
        (vanished_from_the_queue, {"conservation"}),
        (left_open, {"conservation"}),
        (dead_unstarted, {"dead-lettered unstarted"}),
        (unclean_drain, {"unclean drain"}),
        (left_by_a_drain, {"left in flight by a drain", "unattributed lapse"}),
    ],
)
def test_each_violation_is_found(wrong: Callable[[Run], None], kinds: set[str]) -> None:
    """And nothing else is taken for one."""
    run = Run()
    run.send(1)
    wrong(run)
    if wrong is confirmed_and_never_there:
        run.handle(1, 1.0)
    assert run.violations() == kinds


def test_what_was_not_confirmed_may_be_lost_and_counts_as_recovered_if_it_was_not() -> None:
    """The producer does not know whether it was sent."""
    run = Run()
    run.attempt(1, outcome="unknown")
    run.send(2, outcome="unknown")
    run.handle(2, 1.0)
    verdict = run.verdict()
    assert verdict.valid
    assert verdict.counts["recovered"] == 1


def test_a_quarantined_message_is_not_lost() -> None:
    """Its handlers died of it, it is in the dead-letter queue, and was deleted from its own."""
    run = Run()
    run.send(1)
    run.assign(1, 1.0)
    for number in range(3):
        run.work(1, 1.1 + number, pid=number + 1)
        run.fault("kill", "handler", 1.2 + number, pid=number + 1)
    run.delete(1, 5.0)
    run.dead = [1]
    verdict = run.verdict()
    assert verdict.valid
    assert verdict.counts["dead_lettered"] == 1


class TestGroups:
    """FIFO: one after the other, in the order in which they were sent."""

    def test_in_order(self) -> None:
        """Two groups run side by side."""
        run = Run(fifo=True)
        run.send(1, 3, group="a")
        run.send(2, 4, group="b")
        for number, at in ((1, 1.0), (2, 1.2), (3, 2.0), (4, 2.2)):
            run.handle(number, at, pid=1 if number % 2 else 2)
        assert run.verdict().valid

    def test_an_older_message_after_a_newer_one(self) -> None:
        """By the first effects."""
        run = Run(fifo=True)
        run.send(1, 2, group="a")
        run.handle(2, 1.0)
        run.handle(1, 2.0)
        assert run.violations() == {"order inverted"}

    def test_an_older_one_again_after_a_newer_one_is_no_inversion(self) -> None:
        """Only the first effect counts; the second is a duplicate, and has to be explained as one."""
        run = Run(fifo=True)
        run.send(1, 2, group="a")
        run.handle(1, 1.0)
        run.handle(2, 2.0)
        run.work(1, 3.0, 3.1)
        assert run.violations() == {"unattributed duplicate"}

    def test_two_of_a_group_at_once(self) -> None:
        """In two processes, though in the right order."""
        run = Run(fifo=True)
        run.send(1, 2, group="a")
        run.handle(1, 1.0)
        run.handle(2, 1.3, pid=2)
        assert run.violations() == {"two at once"}

    def test_a_killed_one_does_not_run_beside_its_successor(self) -> None:
        """It has no end, but its process had one."""
        run = Run(fifo=True)
        run.send(1, group="a")
        run.assign(1, 1.0)
        run.work(1, 1.1)
        run.fault("kill", "handler", 1.5, pid=1)
        run.work(1, 2.0, 2.1, pid=2)
        run.delete(1, 2.2)
        assert run.verdict().valid
