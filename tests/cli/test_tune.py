"""`worker tune`: what is varied, what is recommended, which messages are used."""

from __future__ import annotations

import builtins
import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from worker.cli import exits
from worker.cli.entry import main
from worker.cli.tune.candidates import VALUES, space
from worker.cli.tune.chart import NoChart, draw
from worker.cli.tune.recommendation import choose, recommend
from worker.cli.tune.source import bodies
from worker.config import load
from worker.config.queue_keys import QUEUE
from worker.policy.tuning import Trial
from worker.settings import QueueSettings, Settings

CONFIG = """\
[worker]
drain_timeout = 27

[queues.orders]
url = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
handler = "shop.handlers:place_\\"order"
handlers = "${HANDLERS:-4}"
retry = { first = 0.5, most = 60 }

[queues.orders.recycle]
max_messages = 1000
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "worker.toml"
    path.write_text(CONFIG.replace('place_\\"order', "place_order"))
    path.chmod(0o600)
    return load(path, {})


def trial(rate: float, **changes: Any) -> Trial:
    settings = {"handlers": 4, "polls": 8, "pollers": 1, "ready_messages": 1000, "wait": 10}
    given: dict[str, Any] = {"rate": rate, "calls": 0.2, "size": 1024.0, "handlers_busy": 0.5}
    return Trial(settings=settings | changes, **given)


@pytest.mark.parametrize(("concurrency", "without"), [(0, "concurrency"), (100, "threads")])
def test_every_key_that_suits_the_handler_function_is_varied(
    settings: Settings, concurrency: int, without: str
) -> None:
    """From the user's own values on; threads are for plain functions, concurrency for `async def`."""
    found = space(settings, replace(settings.queue("orders"), concurrency=concurrency))
    assert [one.key for one in found.dimensions] == [name for name in VALUES if name != without]
    assert found.start["handlers"] == 4


def test_values_are_those_that_the_config_takes() -> None:
    """Within the limits of each key."""
    keys = {key.name: key for key in QUEUE}
    for name, values in VALUES.items():
        most = keys[name].most
        assert all((keys[name].least or 0) <= value <= (float("inf") if most is None else most) for value in values)


@pytest.mark.parametrize(
    ("queue", "candidate", "allowed"),
    [
        ({}, {"handlers": 1, "pollers": 2}, False),
        ({}, {"handlers": 2, "pollers": 2}, True),
        ({"queue_name": "o.fifo"}, {"handlers": 2, "pollers": 2}, False),
        ({}, {"wait": 20}, False),  # needs drain_timeout = 27
        ({}, {"wait": 18}, True),
        ({"visibility_timeout": 20.0}, {"wait": 10}, False),
        ({}, {"ready_messages": 5}, False),
    ],
)
def test_only_valid_configs_are_tried(queue: dict[str, Any], candidate: dict[str, int], allowed: bool) -> None:
    """The rules between keys, as docs/configuration.md has them."""
    one = QueueSettings(name="orders", handler="m:f", **({"queue_name": "o"} | queue))
    assert space(Settings(name="x", queues=(one,)), one).allowed(candidate) is allowed


def test_the_recommended_table_is_the_users_with_new_values(settings: Settings) -> None:
    """Valid TOML that our own reader takes; what was not tuned stays, references to the environment included."""
    trials = [trial(1000.0, handlers=2), trial(2000.0, handlers=8, wait=20)]
    advice = recommend(settings, settings.queue("orders"), trials)
    assert advice.faults == ""
    table = tomllib.loads(advice.toml)["queues"]["orders"]
    assert (table["handlers"], table["wait"]) == (8, 20)
    assert table["url"] == settings.queue("orders").url
    assert table["retry"] == {"first": 0.5, "most": 60}
    assert table["recycle"] == {"max_messages": 1000}
    assert advice.dollars == pytest.approx(0.08)


def test_a_table_that_the_reader_refuses_is_told(settings: Settings) -> None:
    """Should a rule be missing in the search, the result says so instead of looking fine."""
    advice = recommend(settings, settings.queue("orders"), [trial(1.0, handlers=1, pollers=9)])
    assert "pollers" in advice.faults
    assert any(line.startswith("fault:") for line in advice.lines())


def test_strings_are_written_as_toml_reads_them(tmp_path: Path) -> None:
    """Quotes, control characters and other scripts come through."""
    path = tmp_path / "worker.toml"
    path.write_text('[queues.orders]\nname = "o"\nhandler = "m:f"\ndead_letter = "a\\"b\\u0001\\u007f\\u00fc"\n')
    queue = QueueSettings(name="orders", queue_name="o", handler="m:f")
    advice = recommend(Settings(name="x", queues=(queue,), config=str(path)), queue, [trial(1.0)])
    assert tomllib.loads(advice.toml)["queues"]["orders"]["dead_letter"] == 'a"b\x01\x7fü'


def test_of_two_that_are_as_fast_the_smaller_is_recommended() -> None:
    """1 % more is noise, and not worth twice the processes."""
    small, large = trial(1000.0, handlers=4), trial(1010.0, handlers=8)
    assert choose([large, small]) is small
    assert choose([large, trial(900.0, handlers=1)]) is large


def test_failed_messages_are_told(settings: Settings) -> None:
    """Synthetic messages that a handler cannot read measure nothing that matters."""
    bad = Trial(settings=trial(1).settings, rate=1.0, calls=1.0, size=1.0, handlers_busy=0.1, failed=0.4)
    advice = recommend(settings, settings.queue("orders"), [bad])
    assert any("40% of the messages were retried or rejected" in line for line in advice.lines())


def test_made_up_bodies_have_the_size_that_was_asked_for() -> None:
    """And are JSON."""
    made = bodies(None, 1024)
    assert {len(body) for body in made} == {1024}
    assert json.loads(made[0])["id"] == 1000


def test_the_lines_of_a_file_are_bodies(tmp_path: Path) -> None:
    """Empty lines are none; a file without a line, or that is not there, is an error that says so."""
    path = tmp_path / "m.jsonl"
    path.write_text('{"id": 1}\n\n{"id": 2}\n')
    assert bodies(str(path), 0) == ['{"id": 1}', '{"id": 2}']
    path.write_text("\n")
    for bad in (path, tmp_path / "absent"):
        with pytest.raises(exits.Quit):
            bodies(str(bad), 0)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_chart_is_drawn_where_matplotlib_is(settings: Settings, tmp_path: Path, ending: str) -> None:
    """In the form that its name asks for."""
    path = tmp_path / f"chart.{ending}"
    draw(recommend(settings, settings.queue("orders"), [trial(1.0), trial(2.0, handlers=8)]), path)
    head = path.read_bytes()[:300]
    assert head.startswith(b"\x89PNG") if ending == "png" else b"<svg" in head or b"<?xml" in head


def test_without_matplotlib_it_says_how(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the result does not depend on it."""
    real = builtins.__import__

    def missing(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    advice = recommend(settings, settings.queue("orders"), [trial(1.0)])
    with pytest.raises(NoChart, match="pip install"):
        draw(advice, tmp_path / "chart.svg")
    with pytest.raises(NoChart, match="ends neither"):
        draw(advice, tmp_path / "chart.gif")


@pytest.mark.parametrize("words", [["--budget", "1s"], ["--budget", "soon"]])
def test_wrong_arguments_are_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the exit code of a usage error."""
    assert main(["tune", *words]) == exits.USAGE
    assert "such as 90s or 5m" in capsys.readouterr().err


def test_an_unknown_queue_is_told(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """With those that there are."""
    assert main(["tune", "--config", settings.config, "--queue", "coffee"]) == exits.USAGE
    assert "there are: orders" in capsys.readouterr().err
