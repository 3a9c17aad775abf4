"""`worker check` and `worker init`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.cli import main

Write = Callable[[str], str]
Captured = pytest.CaptureFixture[str]
GOOD = '[queues.orders]\nname = "orders"\nhandler = "shop_application:place"\nhandlers = 2\npoll_interval = 17.5\n'


@pytest.fixture
def good(config: Write, tmp_path: Path) -> str:
    (tmp_path / "shop_application.py").write_text("def place(message): pass\n")
    return config(GOOD)


def test_a_good_config_is_shown_as_it_will_run(good: str, capsys: Captured) -> None:
    """One `ok` line for each queue, with the values that a run would use."""
    assert main(["check", "--config", good, "--set", "queues.orders.max_messages=5"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    (line,) = shown.out.splitlines()
    assert line.startswith("ok queue=orders handler=shop_application:place takes_from=orders handlers=2 ")
    assert "wait=17s+0.5s" in line


@pytest.mark.parametrize(
    ("source", "keys", "shown"),
    [
        ("def place(message): pass", "threads = 8", "at_once=8threads"),
        ("async def place(message): pass", "concurrency = 100", "at_once=100async"),
        (
            "from worker import Message\ndef place(messages: list[Message]): pass",
            "batch = { size = 10 }",
            "at_once=1x10",
        ),
    ],
)
def test_what_runs_at_once_is_shown(
    config: Write, tmp_path: Path, capsys: Captured, source: str, keys: str, shown: str
) -> None:
    """Each form of handler function with its keys."""
    (tmp_path / "shop_application.py").write_text(source + "\n")
    assert main(["check", "--config", config(GOOD + keys + "\n")]) == 0
    assert shown in capsys.readouterr().out


def test_a_function_that_does_not_fit_its_table_is_a_fault(config: Write, tmp_path: Path, capsys: Captured) -> None:
    """An async def with threads, say: the fault names the key to write."""
    (tmp_path / "shop_application.py").write_text("async def place(message): pass\n")
    assert main(["check", "--config", config(GOOD + "threads = 8\n")]) == 78
    told = capsys.readouterr().err
    assert "[queues.orders] handler" in told
    assert "write concurrency = 8, and no threads" in told


def test_a_good_config_on_a_terminal_is_a_table(good: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, for people."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["check", "--config", good]) == 0
    shown = capsys.readouterr().out
    assert "ok" in shown
    assert "shop_application:place" in shown


def test_the_same_as_json(good: str, capsys: Captured) -> None:
    """--json holds the settings, or the problems by their parts, and nothing else is printed."""
    assert main(["check", "--json", "--config", good]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert answer["settings"]["queues"][0]["pause"] == 0.5
    assert main(["check", "--json", "--config", good, "--set", "queues.orders.wiat=5"]) == 78
    shown = capsys.readouterr()
    assert shown.err == ""
    answer = json.loads(shown.out)
    assert answer["ok"] is False
    assert answer["problems"][0]["table"] == "queues.orders"
    assert answer["problems"][0]["key"] == "wiat"
    assert "wait" in answer["problems"][0]["text"]


def test_a_handler_function_that_cannot_be_imported_is_a_fault(config: Write, capsys: Captured) -> None:
    """The file may be right and the code wrong: exit code 78 all the same."""
    path = config(GOOD.replace("shop_application", "no_such_application"))
    assert main(["check", "--config", path]) == 78
    shown = capsys.readouterr()
    assert "[queues.orders] handler" in shown.err
    assert "no_such_application" in shown.err
    assert "1 fault" in shown.err
    assert shown.out == ""


def test_check_help_lists_every_key(capsys: Captured) -> None:
    """Whoever has no documentation at hand sees all keys with an example."""
    assert main(["check", "--help"]) == 0
    shown = capsys.readouterr().out
    assert 'dead_letter = "orders-dlq"' in shown
    assert "[queues.NAME.retry]" in shown


def test_init_writes_an_application_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """Its config passes check, its tests pass, its files are safe whatever the umask, and it says how to go on."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o002)
    try:
        assert main(["init", "s/my.shop"]) == 0
    finally:
        os.umask(before)
    shown = capsys.readouterr().out
    assert [line.split("#")[0].split("--send")[0].strip() for line in shown.splitlines()[-3:]] == [
        "cd s/my.shop",
        "python -m pytest",
        "worker dev",
    ]
    folder = tmp_path / "s/my.shop"
    assert {path.name for path in folder.iterdir()} == {"handlers.py", "worker.toml", "test_handlers.py", "README.md"}
    monkeypatch.chdir(folder)
    assert main(["check"]) == 0
    assert "queue=my-shop handler=handlers:handle takes_from=my-shop" in capsys.readouterr().out
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environ = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    tests = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60, env=environ)
    assert tests.returncode == 0, tests.stdout
    assert "4 passed" in tests.stdout


def test_init_overwrites_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """One file that is there already, and nothing at all is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/handlers.py").write_text("mine")
    assert main(["init", "shop"]) == 73
    assert "shop/handlers.py" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["handlers.py"]
    assert (tmp_path / "shop/handlers.py").read_text() == "mine"


@pytest.mark.parametrize(("name", "code"), [("my shop", 64), ("x" * 81, 64), ("..", 64), ("file/below", 73)])
def test_init_refuses_what_cannot_be(
    name: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """Names that no queue may have, and folders that cannot be made, are told without a stack trace."""
    folder = tmp_path / "with space"
    folder.mkdir()
    (folder / "file").write_text("")
    monkeypatch.chdir(folder)
    assert main(["init", name]) == code
    assert capsys.readouterr().err


def test_a_queue_that_is_left_out_is_named(config: Write, good: str, capsys: Captured) -> None:
    """Nobody has to find out from what is not there."""
    other = '[queues.returns]\nwhen = "${RETURNS_TABLE:-}"\nurl = "${NOWHERE}"\n'
    assert main(["check", "--config", config(GOOD + other)]) == 0
    assert "left out: returns, by its `when`" in capsys.readouterr().out
