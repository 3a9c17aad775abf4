"""Rows, tables, ratios, targets, and the page that they are put into."""

from __future__ import annotations

import pytest

from benchmarks import page
from benchmarks.report import markdown, ratios, tables
from benchmarks.rows import Case, Row, from_json, to_json
from benchmarks.targets import findings
from worker.policy.price import dollars_per_million


def row(contender: str, *, latency: float = 0.0, bench: str = "throughput", **figures: float) -> Row:
    made = Row(Case(bench=bench, contender=contender, latency=latency))
    for turn in (0, 1):
        made.add(figures, turn=turn)
    return made


def test_rows_survive_json() -> None:
    """A later run can show what an earlier one found, settings and failures included."""
    failed = Row(Case(bench="io_bound", settings={"threads": 50}), failure="nothing handled")
    rows = [row("worker", cpu_us=20.0), failed]
    assert from_json(to_json(rows)) == rows


def test_ratios_are_of_one_run_and_one_latency() -> None:
    """How many times our CPU each rival takes."""
    rows = [row("worker", cpu_us=20), row("a", cpu_us=100), row("worker", latency=0.01, cpu_us=10)]
    assert ratios(rows) == {"a": 5.0}
    assert ratios(rows[1:2]) == {}  # without us there is nothing to compare with


def test_a_variant_of_ours_is_no_rival_and_not_us() -> None:
    """The pool with other settings has a row, and is neither compared nor what others are compared with."""
    variant = Row(Case(bench="throughput", variant="boto3"), {"cpu_us": [[400.0]]})
    rows = [row("worker", cpu_us=20), row("a", cpu_us=100), variant]
    assert ratios(rows) == {"a": 5.0}
    (table,) = tables(rows)
    assert [line[table.columns.index("times our CPU")] for line in table.cells] == ["1x", "5.0x", "-"]


def test_a_table_leaves_out_what_all_rows_share() -> None:
    """Columns that tell nothing apart are not shown; CPU stands before messages a second."""
    (table,) = tables([row("worker", rate=50_000, cpu_us=20), row("a", rate=5, cpu_us=100)])
    assert table.columns == ["contender", "times our CPU", "CPU µs / message", "messages/s", "spread", "twice within"]
    assert table.cells[0] == ["worker", "1x", "20.0", "50,000", "±0%", "0% (worst 0%)"]
    assert table.cells[1][1] == "5.0x"


def test_a_failure_is_told() -> None:
    """A case without a figure has a row of dashes and a note: it is never left out."""
    failed = Row(Case(bench="throughput", contender="a"), failure="NoFigure: nothing handled")
    (table,) = tables([row("worker", cpu_us=20), failed])
    assert table.cells[1][1:3] == ["-", "-"]
    assert "nothing handled" in markdown(table)


def test_targets_are_judged_by_what_was_measured() -> None:
    """Reached, not reached, and not measured are three things."""
    rows = [row("worker", cpu_us=29.0, calls=0.25, rate=1.0), row("pyqs", cpu_us=29.0 * 54), row("a", cpu_us=1)]
    by_figure = {one.figure: one for one in findings(rows)}
    assert by_figure["CPU µs per message, no-op, 1 KiB, 0 ms"].reached is True
    assert by_figure["calls per message at load"].reached is False
    assert by_figure["CPU per message against pyqs, times less"].reached is False
    assert by_figure["calls a minute, idle"].reached is None
    assert by_figure["calls a minute, idle"].found == "not measured"


def test_a_share_that_cannot_be_is_not_reached() -> None:
    """More than the ceiling means that the ceiling was measured while something else ran."""
    title = "1 ms of Python, share of the ceiling, 0 ms"
    for share, reached in ((0.95, True), (0.80, False), (1.31, None)):
        found = {one.figure: one for one in findings([row("worker", bench="cpu_bound", share=share)])}
        assert found[title].reached is reached


def test_a_rival_never_reaches_our_target() -> None:
    """Figures of others are compared, not judged."""
    by_figure = {one.figure: one for one in findings([row("pyqs", cpu_us=1.0)])}
    assert by_figure["CPU µs per message, no-op, 1 KiB, 0 ms"].reached is None


def test_a_page_keeps_what_was_not_measured() -> None:
    """Only markers with new rows change; the text around them stays."""
    text = "a\n<!-- bench: throughput -->\nold\n<!-- end -->\nb\n<!-- bench: idle -->\nkept\n<!-- end -->\n"
    filled = page.fill(text, [row("worker", cpu_us=20)], [{"command": "x", "cores": "2"}])
    assert filled.startswith("a\n<!-- bench: throughput -->\n| contender")
    assert "old" not in filled
    assert filled.endswith("b\n<!-- bench: idle -->\nkept\n<!-- end -->\n")
    assert page.fill(filled, [row("worker", cpu_us=20)], []) == filled


@pytest.mark.parametrize(
    ("calls", "size", "fifo", "dollars"),
    [
        (0.2, 1024, False, 0.08),
        (0.2, 1024, True, 0.10),
        (0.2, 64 * 1024, False, 0.44),  # ten of them are ten chunks of 64 KB: nine more than the request
        (1.1, 1024 * 1024, False, 6.44),
    ],
)
def test_large_bodies_cost_more_than_their_calls(calls: float, size: int, fifo: bool, dollars: float) -> None:
    """Every 64 KB of a request count as one."""
    assert dollars_per_million(calls, size=size, fifo=fifo) == pytest.approx(dollars)
