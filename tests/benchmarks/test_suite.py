"""Which runs a selection makes, and that one that fails is told and costs no other."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks import suite
from benchmarks.endpoints import Remote, aws, batches
from benchmarks.environments import make_python
from benchmarks.options import parse
from benchmarks.rivals.catalog import RIVALS, installed
from benchmarks.rows import Case
from benchmarks.stage import Stage


class Nowhere(Remote):
    """An endpoint that nobody speaks to."""

    has_latency = True

    def __init__(self) -> None:
        self.name = self.url = "nowhere"


STAGE = Stage(endpoint=Nowhere())


def test_cases_take_turns() -> None:
    """All cases of a repetition come before the next repetition; counts are taken once a pass."""
    one, two = Case(bench="throughput"), Case(bench="idle")
    assert suite.order([one, two], passes=2, repetitions=2) == [
        *((one, 0), (two, 0), (one, 0)),
        *((one, 1), (two, 1), (one, 1)),
    ]


def test_every_benchmark_has_cases_that_differ() -> None:
    """Two cases with one key would be one row; and each is measured by the module that made it."""
    far = Nowhere()
    far.has_latency = False
    cases = [*suite.plan(list(suite.BENCHES), STAGE), *suite.plan(["elsewhere"], Stage(endpoint=far))]
    assert len({case.key() for case in cases}) == len(cases)
    assert {case.bench for case in cases} == suite.BENCHES.keys()


def test_a_failure_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noted with its row, and the next case runs."""

    def run(case: Case, stage: Stage) -> dict[str, float]:
        if case.contender == "bad":
            raise RuntimeError("cannot")
        return {"cpu_us": 1.0}

    monkeypatch.setitem(suite.BENCHES, "throughput", SimpleNamespace(run=run))  # type: ignore[misc]  # a stand-in
    told: list[str] = []
    runs = [(Case(bench="throughput", contender=name), 0) for name in ("bad", "good")]
    bad, good = suite.run(runs, STAGE, told.append)
    assert (bad.failure, bad.figures) == ("RuntimeError: cannot", {})
    assert (good.failure, good.figures) == ("", {"cpu_us": [[1.0]]})
    assert len(told) == 2


def test_a_run_that_is_broken_off_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour of figures is not thrown away by a Ctrl-C."""

    def run(case: Case, stage: Stage) -> dict[str, float]:
        if case.contender == "second":
            raise KeyboardInterrupt
        return {"cpu_us": 1.0}

    monkeypatch.setitem(suite.BENCHES, "throughput", SimpleNamespace(run=run))  # type: ignore[misc]  # a stand-in
    told: list[str] = []
    runs = [(Case(bench="throughput", contender=name), 0) for name in ("first", "second", "third")]
    rows = suite.run(runs, STAGE, told.append)
    assert [(row.case.contender, bool(row.figures)) for row in rows] == [("first", True), ("second", False)]


def test_batches_fit_into_requests() -> None:
    """Ten at most, and never more bytes than SQS takes, however large the bodies are."""
    assert [len(batch) for batch in batches(["x"] * 25)] == [10, 10, 5]
    assert [len(batch) for batch in batches(["x" * 600_000] * 3)] == [1, 1, 1]
    assert [len(batch) for batch in batches(["x" * 300_000] * 4)] == [3, 1]


@pytest.mark.parametrize("environ", [{}, {"BENCH_AWS": "yes"}, {"AWS_DEFAULT_REGION": "eu-west-1"}])
def test_aws_wants_to_be_told_twice(environ: dict[str, str]) -> None:
    """It makes queues and costs money: the variable alone, or a region alone, is not enough."""
    with pytest.raises(RuntimeError, match="BENCH_AWS=yes"):
        aws(environ)


def test_an_unknown_name_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a benchmark, and of a rival."""
    with pytest.raises(SystemExit):
        parse(["coffee"])
    assert "no benchmark coffee" in capsys.readouterr().err
    with pytest.raises(ValueError, match="no rival coffee"):
        installed(["coffee"])


def test_rivals_run_what_compares() -> None:
    """Benchmarks that look into our pool are not run for others; a quick look is one run of each case."""
    options = parse(["--rivals", "all", "--quick"])
    assert options.benches == suite.FOR_RIVALS
    assert (options.passes, options.repetitions) == (1, 1)


def test_rivals_are_pinned() -> None:
    """A figure names the version that made it."""
    for rival in RIVALS:
        assert all(
            "==" in package or "@" in package[1:] for package in rival.packages if package != "typing_extensions"
        )


def test_an_environment_that_is_there_is_kept(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed again unless the packages changed."""
    from pathlib import Path

    from benchmarks import environments

    folder = Path(str(tmp_path))
    monkeypatch.setattr(environments, "CACHE", folder)
    (folder / "x").mkdir()
    assert not environments.ready("x", ("a==1",))
    (folder / "x" / "installed").write_text(environments._mark(("a==1",)))
    make_python("x", ("a==1",))
    assert environments.ready("x", ("a==1",))
    assert not environments.ready("x", ("a==2",))
    assert [path.name for path in (folder / "x").iterdir()] == ["installed"]


def test_a_backlog_lasts_for_all_places_of_a_handler() -> None:
    """A thousand coroutines use up in a moment what one process would need a minute for: then nothing is measured."""
    one = Case(bench="io_bound", work="pause", handlers=1)
    many = replace(one, settings={"concurrency": 1000})
    stage = Stage(endpoint=Nowhere(), quick=True)
    assert stage.backlog(many) >= Nowhere.rate * (stage.window + stage.warm_up)
    assert stage.backlog(one) == 500
