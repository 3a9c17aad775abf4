"""The figures of `worker demo`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cli.demo.balance import Balance, totals
from worker.cli.demo.moments import Meter, Moment
from worker.cli.demo.views import Lines, Silent, choose

GOOD = Balance(
    application="shop",
    sent=100,
    entered=101,  # one was sent to the dead-letter queue by the pool
    counters={"received": 112, "deleted": 97, "released": 14, "dead_lettered": 1, "lost": 0, "in_flight": 0},
    depths={"orders": 0, "orders-dlq": 3, "results": 97},
    sources=frozenset({"orders"}),
    dead_letters=frozenset({"orders-dlq"}),
    seconds=2.0,
    peak=60.0,
    handlers=2,
    exit_code=0,
)


def test_figures_that_balance_are_a_success() -> None:
    """Deliveries and messages add up, nothing is lost or left, the pool exited with 0."""
    assert GOOD.faults() == []
    lines = GOOD.lines()
    assert lines[1] == ("deliveries: 112 received = 97 deleted + 14 released + 1 dead-lettered + 0 lost + 0 left")
    assert lines[2] == "messages:   100 sent = 97 handled + 3 in dead-letter queues + 0 left"
    assert "balance" in lines[-1]
    shown = GOOD.to_json()
    assert shown["balanced"] is True
    assert (shown["received"], shown["in_dead_letter_queues"], shown["queues"]["results"]) == (112, 3, 97)


def test_messages_that_handlers_sent_are_counted_too() -> None:
    """What entered the application's queues beyond ours and the rejects was sent on, and must be accounted for."""
    chain = replace(GOOD, entered=141, counters=GOOD.counters | {"received": 152, "deleted": 137})
    assert (chain.sent_on, chain.faults()) == (40, [])
    assert (
        chain.lines()[2]
        == "messages:   100 sent + 40 sent on by handlers = 137 handled + 3 in dead-letter queues + 0 left"
    )
    (fault,) = replace(chain, entered=142).faults()
    assert "100 sent and 41 sent on by handlers, but 137 handled" in fault


def test_the_applications_own_counts_and_faults_are_shown() -> None:
    """A line for each count; a fault of the application's is one of the demonstration."""
    told = GOOD.with_verdict({"rows": 97, "rows_made_twice": 0}, ())
    assert told.lines()[-3:-1] == ["counts:     97 rows", "            0 rows made twice"]
    assert told.to_json()["counts"] == {"rows": 97, "rows_made_twice": 0}
    assert GOOD.with_verdict({}, ("a row is missing",)).faults() == ["a row is missing"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sent": 101}, "messages do not balance: 101 sent"),
        ({"counters": {**GOOD.counters, "received": 113}}, "deliveries do not balance: 113 received"),
        ({"counters": {**GOOD.counters, "lost": 1, "released": 13}}, "1 leases were lost"),
        (
            {"counters": {**GOOD.counters, "in_flight": 1, "released": 13}},
            "not drained: 0 messages in the queues, 1 in",
        ),
        ({"depths": {"orders": 1, "orders-dlq": 2}}, "not drained: 1 messages"),
        ({"exit_code": 75}, "exit code 75"),
        ({"exit_code": None}, "exit code None"),
        ({"reasons": ("it rained",)}, "it rained"),
    ],
)
def test_each_fault_keeps_it_from_being_a_success(change: dict[str, Any], told: str) -> None:
    """One figure that is off gives exactly one fault, and no word of balance."""
    balance = replace(GOOD, **change)
    (fault,) = balance.faults()
    assert told in fault
    assert balance.to_json()["balanced"] is False
    assert not any("the numbers balance" in line for line in balance.lines())


@given(
    st.lists(st.tuples(st.sampled_from(["deleted", "released", "dead_lettered"]), st.integers(0, 10**6)), max_size=9)
)
def test_totals_add_up_over_queues(counts: list[tuple[str, int]]) -> None:
    """The sum over all queues of each counter, as if one queue had counted all."""
    queues = {str(place): {"counters": {name: count}} for place, (name, count) in enumerate(counts)}
    expected: dict[str, int] = {}
    for name, count in counts:
        expected[name] = expected.get(name, 0) + count
    assert totals({"queues": queues}) == expected


def test_the_rate_is_of_the_last_seconds() -> None:
    """A pause is seen at once, not averaged away by an early rush."""
    meter = Meter()
    assert meter.rate(0.0, 0) == 0.0
    assert meter.rate(1.0, 100) == 100.0
    assert meter.rate(2.0, 200) == 100.0
    for second in range(3, 12):
        last = meter.rate(float(second), 200)
    assert last == 0.0


def test_plain_lines_come_once_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    """Many looks a second give one line a second."""
    with choose(json=False, terminal=False) as view:
        assert isinstance(view, Lines)
        for tick in range(21):
            view.look(Moment(seconds=tick / 10, sent=10, finished=3, buried=1, counters={"deleted": 2}))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].split("  ", 1)[1].strip().endswith("dead-lettered 1")
    assert "3 of 10" in lines[0]


def test_json_keeps_standard_output_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """No progress, whether on a terminal or not."""
    with choose(json=True, terminal=True) as view:
        assert isinstance(view, Silent)
        view.say("hello")
        view.look(Moment(seconds=0.0, sent=1))
    assert capsys.readouterr().out == ""


def test_the_live_picture_fits_80_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal of the usual width nothing is cut off or wrapped."""
    from tests.cli.conftest import STATUS

    monkeypatch.setenv("COLUMNS", "80")
    with choose(json=False, terminal=True) as view:
        view.look(Moment(seconds=1.0, sent=10, status=STATUS, counters={"deleted": 5}, finished=5))
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert "handler orders/0" in shown
    assert "dead-lettered" in shown
    assert "50.0 MiB" in shown
