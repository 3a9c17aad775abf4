"""A fault explains what it can have caused, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos.logs import Step
from tests.chaos.build import SECOND, Run


def twice(run: Run) -> None:
    """Message 1 has its effect at 1.5 in process 1, and once more at 4.5 in process 2; its lease never ran out."""
    run.send(1)
    run.assign(1, 1.0)
    run.work(1, 1.1, 1.5, pid=1)
    run.work(1, 4.0, 4.5, pid=2)
    run.delete(1, 5.0)


class TestRepeats:
    """An effect that happened again."""

    @pytest.mark.parametrize(
        ("strike", "cause"),
        [
            (lambda run: run.fault("kill", "handler", 1.6, pid=1), "kill handler, between effect and word"),
            (lambda run: run.fault("stop", "handler", 1.4, until=3.0, pid=1), "stop handler, between effect and word"),
            (lambda run: run.fault("squeeze", "handler", 1.0, until=2.0, pid=1), "squeeze handler, between"),
            (lambda run: run.fault("kill", "supervisor", 1.6, pid=9, victims=(1, 2)), "kill supervisor, between"),
            (lambda run: run.fault("kill", "supervisor", 1.45, pid=9, victims=(1, 2)), "kill supervisor, between"),
            (lambda run: run.fault("kill", "tree", 3.0, pid=9, victims=(5, 6)), "kill tree, delete unconfirmed"),
        ],
    )
    def test_explained(self, strike: Callable[[Run], None], cause: str) -> None:
        """By a fault on the process that had the effect, or the end of all of them."""
        run = Run()
        twice(run)
        strike(run)
        verdict = run.verdict()
        assert verdict.valid
        assert next(iter(verdict.duplicated)).startswith(cause)

    @pytest.mark.parametrize(
        "strike",
        [
            lambda run: run.fault("kill", "handler", 1.6, pid=2),
            lambda run: run.fault("kill", "handler", 1.4, pid=1),
            lambda run: run.fault("kill", "handler", 2.8, pid=1),
            lambda run: run.fault("kill", "poller", 1.6, pid=7),
            lambda run: run.fault("kill", "supervisor", 1.6, pid=9, victims=(2, 3)),
            lambda run: run.fault("kill", "supervisor", 1.3, pid=9, victims=(1, 2)),
            lambda run: run.fault("kill", "tree", 1.2, pid=9, victims=(5, 6)),
            lambda run: run.fault("network", "reset", 1.4, until=2.0),
            lambda run: run.hit("fail_entries", "DeleteMessageBatch", 1.6),
        ],
        ids=[
            "another process",
            "before",
            "long after",
            "poller",
            "others' supervisor",
            "supervisor, long before",
            "tree before",
            "network",
            "delete",
        ],
    )
    def test_not_explained(self, strike: Callable[[Run], None]) -> None:
        """A poller's death, a failed delete, and a death elsewhere may repeat nothing."""
        run = Run()
        twice(run)
        strike(run)
        assert run.violations() == {"unattributed duplicate"}

    def test_only_the_last_message_of_a_dead_process(self) -> None:
        """It had already said what became of those before."""
        run = Run()
        run.send(2)
        twice(run)
        run.assign(2, 1.0)
        run.work(2, 1.5, 1.55, pid=1)
        run.delete(2, 1.9)
        run.fault("kill", "handler", 1.6, pid=1)
        assert run.violations() == {"unattributed duplicate"}

    def test_one_kill_explains_one_repeat(self) -> None:
        """A third effect needs a second fault."""
        run = Run()
        twice(run)
        run.work(1, 4.6, 4.7, pid=3)
        run.fault("kill", "handler", 1.6, pid=1)
        verdict = run.verdict()
        assert verdict.duplicated["unattributed"] == 1
        assert verdict.duplicated.total() == 2

    def test_a_process_may_be_killed_for_a_stop_that_has_just_ended(self) -> None:
        """It was judged hung while it stood still, and went on before the kill came."""
        run = Run()
        twice(run)
        run.fault("stop", "handler", 0.2, until=1.4, pid=1)
        assert run.verdict().valid

    def test_the_kernel_may_take_another_process_than_the_one_that_eats(self) -> None:
        """The limit is the whole pool's; one meal explains one death."""
        run = Run()
        run.send(2)
        twice(run)
        run.assign(2, 1.0)
        run.work(2, 1.1, pid=9)
        run.steps.append(Step("eat", 2, "m2", 1, 9, int(1.2 * SECOND)))
        run.work(2, 6.0, 6.5, pid=3)
        run.delete(2, 7.0)
        assert run.verdict().valid
        run.work(1, 5.0, 5.2, pid=4)
        assert run.verdict().duplicated["unattributed"] == 1

    def test_a_pid_that_comes_round_is_another_process(self) -> None:
        """The killed process 1 ran message 1 last, whatever a later process 1 runs."""
        run = Run()
        run.send(2)
        twice(run)
        run.fault("kill", "handler", 1.6, pid=1)
        run.boot(19.0, pid=1)
        run.handle(2, 20.0, pid=1)
        assert run.verdict().valid

    def test_a_poller_with_the_number_of_a_dead_handler_is_another_process(self) -> None:
        """The kernel took the handler for its memory; much later a poller of that number is killed."""
        run = Run()
        run.send(1)
        run.assign(1, 1.0)
        run.work(1, 1.1, pid=1)
        run.work(1, 2.0, 2.5, pid=2)
        run.delete(1, 2.6)
        run.fault("kill", "poller", 30.0, pid=1)
        assert run.verdict().valid

    @pytest.mark.parametrize("killed_later", [False, True])
    def test_what_a_dead_process_left_unfinished_is_over_when_its_number_comes_round(self, killed_later: bool) -> None:
        """It met nobody who ran the message meanwhile, whatever happens to the later process of that number."""
        run = Run()
        run.send(1, 2)
        run.assign(1, 1.0)
        run.work(1, 1.1, pid=1)  # memory took it: no kill of ours
        run.steps.append(Step("eat", 1, "m1", 1, 1, int(1.2 * SECOND)))
        run.boot(1.5, pid=1)
        run.work(1, 2.0, 2.5, pid=2)
        run.delete(1, 2.6)
        run.handle(2, 20.0, pid=1)
        if killed_later:
            run.fault("kill", "handler", 30.0, pid=1)
        assert run.verdict().valid

    def test_the_lease_under_which_it_ran_was_ended_by_the_plan(self) -> None:
        """So somebody else got it."""
        run = Run()
        run.send(1)
        run.assign(1, 1.0)
        run.work(1, 1.1, 4.0, pid=1)
        run.expire(1, 2.0, fault=True)
        run.assign(1, 2.1, request=2)
        run.work(1, 2.2, 2.3, pid=2)
        run.delete(1, 5.0)
        verdict = run.verdict()
        assert verdict.valid
        assert verdict.duplicated == verdict.met == {"lease ran out: broker lapse": 1}


def lapsed(run: Run, *, beats: tuple[float, ...] = ()) -> None:
    """Message 1 is given out at 10.0; its lease runs out 9 s after that, or after the last beat."""
    run.send(1)
    run.assign(1, 10.0, connection=3, request=4)
    for beat in beats:
        run.hide(1, beat)
    end = max((10.0, *beats)) + 9.0
    run.expire(1, end)
    run.handle(1, end + 1.0, request=9)


class TestLapses:
    """A lease that ran out."""

    @pytest.mark.parametrize(
        ("strike", "cause"),
        [
            (lambda run: run.hit("drop", "ReceiveMessage", 10.0, connection=3, request=4), "broker drop"),
            (lambda run: run.hit("mangle", "ReceiveMessage", 10.0, connection=3, request=4), "broker mangle"),
            (lambda run: run.fault("kill", "poller", 10.1, pid=7), "kill poller, with the answer on its way"),
            (lambda run: run.fault("network", "half_open", 9.0, until=11.0), "network half_open, with the answer"),
            (lambda run: run.fault("kill", "tree", 15.0, pid=9), "kill tree"),
        ],
    )
    def test_explained(self, strike: Callable[[Run], None], cause: str) -> None:
        """The answer that brought it went wrong, or nobody was left who knew."""
        run = Run()
        lapsed(run)
        strike(run)
        verdict = run.verdict()
        assert verdict.valid
        assert next(iter(verdict.lapsed)).startswith(cause)

    @pytest.mark.parametrize(
        "strike",
        [
            lambda run: run.fault("kill", "poller", 12.0, pid=7),
            lambda run: run.fault("kill", "poller", 8.0, pid=7),
            lambda run: run.fault("kill", "handler", 10.1, pid=1),
            lambda run: run.fault("kill", "supervisor", 10.1, pid=9),
            lambda run: run.fault("network", "reset", 14.0, until=14.1),
            lambda run: run.hit("drop", "ReceiveMessage", 10.0, connection=5, request=4),
            lambda run: run.hit("duplicate", "ReceiveMessage", 10.0, connection=3, request=4),
            lambda run: run.hit("throttle", "ChangeMessageVisibilityBatch", 14.0),
        ],
        ids=["later", "before", "handler", "supervisor", "one beat", "other answer", "harmless", "one beat throttled"],
    )
    def test_not_explained(self, strike: Callable[[Run], None]) -> None:
        """A successor takes the leases over, and one beat of two is enough."""
        run = Run()
        lapsed(run)
        strike(run)
        assert run.violations() == {"unattributed lapse"}

    def test_a_long_poll_outlives_its_poller(self) -> None:
        """It is given out a while after the death, to a socket that nobody reads."""
        run = Run()
        lapsed(run)
        run.event("response", 10.0, connection=3, request=4, outcome="aborted")
        assert run.violations() == {"unattributed lapse"}
        run.fault("kill", "poller", 9.2, pid=7)
        assert run.verdict().valid

    @pytest.mark.parametrize(("polled", "valid"), [(13.5, False), (14.5, True)])
    def test_the_supervisor_died_while_its_poller_was_dead(self, *, polled: float, valid: bool) -> None:
        """The lease table was its memory, and nobody else's; once a successor polls, that has taken over."""
        run = Run()
        lapsed(run)
        run.fault("kill", "poller", 13.0, pid=7)
        run.fault("kill", "supervisor", 14.0, pid=9)
        run.poll(polled)
        assert run.verdict().valid is valid

    def test_both_beats_were_hit(self) -> None:
        """They are due a third and two thirds into the term; what hits only one of them explains nothing."""
        run = Run()
        lapsed(run, beats=(13.0,))
        run.hit("throttle", "ChangeMessageVisibilityBatch", 16.2)
        assert run.violations() == {"unattributed lapse"}
        run.hit("throttle", "ChangeMessageVisibilityBatch", 19.1)
        assert run.verdict().valid

    def test_what_was_extended_once_had_arrived(self) -> None:
        """Then the poller's death explains nothing any more."""
        run = Run()
        lapsed(run, beats=(10.2,))
        run.fault("kill", "poller", 10.3, pid=7)
        assert run.violations() == {"unattributed lapse"}

    def test_what_was_given_back_did_not_run_out(self) -> None:
        """The broker says "expire" when a message that was hidden for a while comes back."""
        run = Run()
        run.send(1)
        run.assign(1, 1.0)
        run.hide(1, 1.5, seconds=2)
        run.expire(1, 3.5)
        run.handle(1, 4.0)
        verdict = run.verdict()
        assert verdict.valid
        assert verdict.deliveries["released"] == 1
