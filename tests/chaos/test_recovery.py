"""How long a kill was felt is seen from outside."""

from __future__ import annotations

import pytest

from chaos import executions
from chaos.logs import Fault, Poll
from chaos.recovery import Load, Recovery, percentile, recoveries
from tests.chaos.build import SECOND, Run


def kill(role: str, at: float, pid: int) -> Fault:
    return Fault("kill", role, pid, int(at * SECOND), int(at * SECOND))


def seen(run: Run, *faults: Fault, polls: tuple[Poll, ...] = (), busy: float = 0.0) -> list[Recovery]:
    loads = [Load(int(tenth * SECOND / 10), busy) for tenth in range(200)]
    return recoveries(executions.read(run.steps, faults), polls, faults, loads)


def test_a_handler_is_back_when_a_new_process_runs_a_message() -> None:
    """Not when an old one does."""
    run = Run()
    run.work(1, 1.0, 1.1, pid=1)
    run.work(2, 1.0, 1.1, pid=2)
    run.work(3, 5.1, 5.2, pid=2)
    run.work(4, 5.3, 5.4, pid=3)
    (found,) = seen(run, kill("handler", 5.0, 1))
    assert (found.role, round(found.seconds, 3), found.alone, found.contended) == ("handler", 0.3, True, False)


def test_two_kills_are_made_good_in_their_order() -> None:
    """The second waits for the second newcomer, and neither came alone."""
    run = Run()
    for pid in (1, 2):
        run.work(pid, 1.0, 1.1, pid=pid)
    run.work(3, 5.1, 5.2, pid=3)
    run.work(4, 5.6, 5.7, pid=4)
    found = seen(run, kill("handler", 5.0, 1), kill("handler", 5.05, 2))
    assert [round(one.seconds, 3) for one in found] == [0.1, 0.55]
    assert not any(one.alone for one in found)


def test_a_spare_that_dies_leaves_nothing_to_make_good() -> None:
    """It had no place."""
    run = Run()
    run.work(1, 1.0, 1.1, pid=1)
    run.work(2, 6.0, 6.1, pid=2)
    assert seen(run, kill("handler", 5.0, 77)) == []


def test_a_poller_is_back_when_a_connection_that_is_younger_than_its_death_receives() -> None:
    """What arrives on older ones was sent by the dead one."""
    old = Poll(int(4.9 * SECOND), int(5.1 * SECOND))
    new = Poll(int(5.4 * SECOND), int(5.5 * SECOND))
    (found,) = seen(Run(), kill("poller", 5.0, 9), polls=(old, new), busy=0.95)
    assert (found.role, round(found.seconds, 3), found.contended) == ("poller", 0.5, True)


def test_another_fault_within_a_second_before_is_no_calm() -> None:
    """The spare that was to step in may still boot."""
    new = Poll(int(5.4 * SECOND), int(5.5 * SECOND))
    network = Fault("network", "delay", 0, int(3.0 * SECOND), int(4.5 * SECOND))
    (found,) = seen(Run(), kill("poller", 5.0, 9), network, polls=(new,))
    assert not found.alone


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, 0.0), ([3.0], 0.99, 3.0), ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0), (list(range(1, 101)), 0.99, 99)],
)
def test_percentiles_are_nearest_ranks(values: list[float], share: float, expected: float) -> None:
    """A value that was measured, never one between two."""
    assert percentile(values, share) == expected
