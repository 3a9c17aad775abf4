"""The simulation: promises hold in every world, a seed is one history, and the oracle finds bugs that are put in."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.bugs import BUGS, Bug
from tests.simulation.hub import Spinning
from tests.simulation.operators import ORDERLY
from tests.simulation.run import digest, main, simulate
from tests.simulation.story import gather
from tests.simulation.world import World
from worker.policy.delivery import Delivery
from worker.policy.ledger import Ledger
from worker.poller import watchman

#: Seeds, each of them a world with a standard and one with a FIFO queue; in parts, so that both cores have some.
SEEDS, PART = 1000, 25
#: Seeds within which a bug that was put in has to show.
WITHIN = 400


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_every_promise_holds_in_every_world(first: int) -> None:
    """Nothing lost; each duplicate, lapsed lease and inversion explained; clean drains; counters that balance."""
    failed = [
        f"python -m tests.simulation.run {result.name}: {result.violations}"
        for seed in range(first, first + PART)
        for fifo in (False, True)
        if (result := simulate(seed, fifo=fifo)).violations
    ]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("fifo", [False, True])
def test_a_seed_is_one_history(fifo: bool) -> None:
    """In another process, with other hashes of texts, every event happens at the same moment."""
    mine = [digest(seed, fifo=fifo) for seed in range(3)]
    assert mine == [digest(seed, fifo=fifo) for seed in range(3)]
    command = [sys.executable, "-m", "tests.simulation.run", "--seeds", "0:3", "--digests"]
    for hashes in ("1", "2"):
        done = subprocess.run(
            [*command, "--fifo" if fifo else "--standard"],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": hashes},
            cwd=Path(__file__).parents[2],
            check=True,
        )
        assert [line.split()[-1] for line in done.stdout.decode().splitlines()] == mine


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle can fail, and the faults reach what they are meant for."""
    bug.put(monkeypatch)
    assert any(broken(seed, bug) for seed in range(WITHIN))


def test_a_denied_heartbeat_excuses_a_kill_at_the_end_of_a_lease_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that nobody may keep a lease for is stopped shortly before it ends; to stop it earlier is a bug."""
    bug = Bug(
        "stopped early", lambda patch: patch.setattr(watchman, "_ENDING", 8.0), True, ("server: error",), "deaths"
    )
    assert not any(broken(seed, bug) for seed in range(5))
    bug.put(monkeypatch)
    assert any(broken(seed, bug) for seed in range(5))


def broken(seed: int, bug: Bug) -> bool:
    """Whether a world with the faults that bring the bug to light breaks a promise."""
    world = World(seed, fifo=bug.fifo, only=frozenset(bug.faults), mix=bug.mix)
    try:
        world.run()
    except Spinning:
        return True
    return bool(world.verdict().violations)


def test_every_kind_of_fault_strikes() -> None:
    """None of them is in the list only: each hits somebody, in a world that has no other."""
    kinds = World(0, fifo=False).faults.kinds()
    assert not {kind for kind in kinds if not any(struck(seed, kind) for seed in range(8))}


def struck(seed: int, kind: str) -> bool:
    """Whether a world in which nothing else goes wrong had this fault."""
    world = World(seed, fifo=False, only=frozenset({kind}))
    world.run()
    return world.faults.injected[kind] > 0


def test_a_world_without_faults_needs_no_excuse() -> None:
    """Nothing happens twice, no lease lapses and no receive count is burnt, though handlers crash, hang and retry."""
    for seed in range(20):
        for fifo in (False, True):
            world = World(seed, fifo=fifo, only=frozenset())
            world.run()
            assert not world.verdict().violations
            # Without a dead-letter queue a FIFO group is given back with a head that is rejected.
            assert not received_in_vain(world) or (fifo and not world.plan.dead_letters)


@pytest.mark.parametrize("mix", ["quick", "retries", "sends"])
def test_what_operators_do_makes_nothing_happen_twice(mix: str) -> None:
    """Reloads, scaling, pauses: no duplicate, no lapsed lease, whatever runs meanwhile."""
    for seed in range(8):
        for fifo in (False, True):
            world = World(seed, fifo=fifo, only=ORDERLY, mix=mix)
            world.run()
            assert not world.verdict().violations, seed


def test_a_release_excuses_the_end_of_older_second_deliveries_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that came after the release was sent has a lease of its own; to drop it as well is a bug."""
    original = Ledger._unpark

    def unpark(self: Ledger, first: Delivery, *, done: bool, hidden: bool) -> Delivery | None:
        for delivery in first.parked or ():
            delivery.earlier = True
        return original(self, first, done=done, hidden=hidden)

    faults = ("server: lapse", "server: duplicate")
    bug = Bug("dropped with it", lambda patch: patch.setattr(Ledger, "_unpark", unpark), False, faults, "retries")
    assert not any(broken(seed, bug) for seed in range(5))
    bug.put(monkeypatch)
    assert any(broken(seed, bug) for seed in range(5))


def test_the_oracle_reads_a_long_history_to_its_end() -> None:
    """A message is judged also if its events come after many thousand others."""
    world = World(0, fifo=False, only=frozenset())
    for _ in range(20_000):
        world.server.events.record("fault", now=world.hub.now, effect="none", action="ReceiveMessage", connection=0)
    world.run()
    assert not world.verdict().violations
    assert len(gather(world).stories) == len(world.orders)


def received_in_vain(world: World) -> list[str]:
    """Messages that were received more often than they were started."""
    stories = gather(world).stories.values()
    return [f"message {one.number}" for one in stories if len(one.assigned) > max(1, len(one.runs))]


def test_a_world_leaves_no_descriptor_behind() -> None:
    """Neither the shipped code nor the simulated kernel, whatever was killed."""
    simulate(0, fifo=False)
    before = descriptors()
    for seed in range(20):
        simulate(seed, fifo=bool(seed % 2))
    assert descriptors() <= before


def test_a_failing_seed_is_told_with_the_command_that_brings_it_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make simulate` ends with 1, and prints what was broken, the end of the history, and how to see it again."""
    BUGS[0].put(monkeypatch)
    assert main(["--seeds", "0:2", "--standard"]) == 1
    said = capsys.readouterr().out
    assert "python -m tests.simulation.run --seeds 1 --standard --verbose" in said
    assert "sqs delete of" in said
    assert "is lost" in said


def test_seeds_that_break_nothing_end_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    """By several processes too; the summary counts worlds, of which each seed has two."""
    assert main(["--seeds", "0:3", "--jobs", "2"]) == 0
    assert "6 worlds, 0 failed" in capsys.readouterr().out


def descriptors() -> int:
    """How many are open; a mapping that nobody needs any more keeps one until it is collected."""
    gc.collect()
    return len(list(Path("/dev/fd").iterdir()))
