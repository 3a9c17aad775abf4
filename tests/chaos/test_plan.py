"""The storm is drawn from a seed."""

from __future__ import annotations

from collections import Counter
from random import Random

from chaos import plan
from worker.testing.sqs_server.faults import rule


def test_a_seed_repeats_its_storm() -> None:
    """And another seed has another."""
    first, again, other = (plan.storm(Random(seed), seconds=30, kills=3, others=1) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_it_is_as_strong_as_it_was_asked_for() -> None:
    """Kills and other faults a second, each role and kind among them, by their times, none after the end."""
    blows = plan.storm(Random(1), seconds=2000, kills=3, others=2)
    kinds = Counter(blow.kind for blow in blows)
    assert 5500 < kinds["kill"] < 6500
    assert 3600 < kinds.total() - kinds["kill"] < 4400
    assert {blow.role for blow in blows if blow.kind == "kill"} == set(plan.KILLS)
    assert set(kinds) == {"kill", *(kind for kind, _ in plan.OTHERS)}
    assert blows == sorted(blows, key=lambda blow: blow.at)
    assert all(0 <= blow.at < 2000 and 0 <= blow.pick < 1 and blow.seconds >= 0 for blow in blows)


def test_what_a_pool_does_not_have_is_left_out() -> None:
    """The naive loop has no supervisor."""
    blows = plan.storm(Random(1), seconds=500, kills=3, others=2, without={"supervisor", "tree", "squeeze"})
    assert not {"supervisor", "tree", "squeeze"} & ({blow.role for blow in blows} | {blow.kind for blow in blows})


def test_the_server_takes_every_rule() -> None:
    """A rule that it refused would end a run, or a whole kind of fault would be missing."""
    for fields in plan.BROKER:
        assert rule({**fields, "until": 1.0}).effect == fields["effect"]
