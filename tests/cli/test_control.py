"""Commands that ask a running pool."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import STATUS, FakePool
from worker.cli import main

Write = Callable[[str], str]
Captured = pytest.CaptureFixture[str]


def test_status_shows_every_queue_and_process_in_plain_lines(pool: FakePool, capsys: Captured) -> None:
    """Without a terminal: aligned columns, a line each for queue, process and pace, and what somebody has to do."""
    assert main(["status", "--socket", pool.path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "shop: running for 1 min 15 s (up 2 h 5 min), pid 100, version 0.1.0"
    assert lines[1].split()[:3] == ["queue", "state", "received"]
    assert lines[2].split() == ["orders", "running", "1,234", "1,200", "30", "0", "0", "4", "3", "1"]
    assert lines[3].split()[:3] == ["mail", "gave_up", "0"]
    assert lines[5].split() == ["poller", "orders/0", "running", "101", "received", "2.5", "s", "ago", "0"]
    assert lines[6].split() == ["template", "orders", "ready", "103", "30.0", "MiB", "1"]
    assert lines[7].split()[:6] == ["handler", "orders/0", "busy", "102", "1,230", "30"]
    assert "2 of 20 running for 3.5 s" in lines[7]
    assert "50.0 MiB" in lines[7]
    assert lines[8].split() == ["poller", "limit", "messages/s", "a", "receive", "a", "settlement", "cores"]
    assert lines[9].split() == ["orders/0", "handlers", "1,234", "12.3", "ms", "0.25"]
    assert lines[10] == "mail: every boot of its handlers failed"
    assert lines[11].startswith("poller orders/0: the handlers are all busy")
    assert pool.requests == [{"verb": "status"}]


def test_status_says_what_a_pool_waits_for_that_ends_when_its_queues_are_empty(
    pool: FakePool, capsys: Captured
) -> None:
    """A line for each poller whose queue is not known to be empty."""
    orders = STATUS["queues"]["orders"]
    (poller,) = orders["pollers"]
    pollers = [poller | {"awaits": "in_flight"}, poller | {"number": 1, "awaits": ""}]
    pool.answer = STATUS | {"until_empty": True, "queues": {"orders": orders | {"pollers": pollers}}}
    assert main(["status", "--socket", pool.path]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "not empty yet" in line]
    assert told == ["poller orders/0: not empty yet: messages are in flight at another consumer, or hidden"]


def test_status_as_json_is_the_pools_own_answer(pool: FakePool, capsys: Captured) -> None:
    """--json hands the answer through, for programs."""
    assert main(["status", "--json", "--socket", pool.path]) == 0
    assert json.loads(capsys.readouterr().out) == STATUS


def test_status_on_a_terminal_is_a_table(pool: FakePool, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same figures, and nothing that a name holds is taken for markup."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    pool.answer = STATUS | {"queues": {"[red]": STATUS["queues"]["orders"]}}
    assert main(["status", "--socket", pool.path]) == 0
    shown = capsys.readouterr().out
    assert "[red]" in shown
    assert "1,234" in shown
    assert "running for 3.5 s" in shown
    assert "12.3 ms" in shown
    assert "raise handlers" in shown


@pytest.mark.parametrize(
    ("words", "request_", "told"),
    [
        (["scale", "orders", "8"], {"verb": "scale", "queue": "orders", "handlers": 8}, "scaling orders to 8 handlers"),
        (["drain"], {"verb": "drain"}, "draining"),
        (["reload"], {"verb": "reload"}, "reloading"),
        (["pause"], {"verb": "pause"}, "worker resume"),
        (["resume"], {"verb": "resume"}, "receiving again"),
    ],
)
def test_each_command_sends_its_request(
    pool: FakePool, capsys: Captured, words: list[str], request_: dict[str, object], told: str
) -> None:
    """One request each; the operator reads what happens now."""
    pool.answer = {"ok": True}
    assert main([*words, "--socket", pool.path]) == 0
    assert pool.requests == [request_]
    assert told in capsys.readouterr().out


def test_stacks_have_a_heading_each(pool: FakePool, capsys: Captured) -> None:
    """A process that gave none is told so."""
    pool.answer = {
        "ok": True,
        "stacks": [
            {"process": "handler", "queue": "orders", "number": 0, "pid": 7, "text": "Thread 1:\n  File x\n"},
            {"process": "poller", "queue": "orders", "number": 1, "pid": 8, "text": ""},
        ],
    }
    assert main(["stacks", "--socket", pool.path]) == 0
    shown = capsys.readouterr().out
    assert "== process=handler queue=orders number=0 pid=7\nThread 1:\n  File x\n\n==" in shown
    assert "pid=8\n(no answer" in shown


def test_a_refusal_is_told_with_its_reason(pool: FakePool, capsys: Captured) -> None:
    """What the pool says is what the operator reads; exit code 1."""
    pool.answer = {"ok": False, "error": "no queue 'odrers'; there is: orders"}
    assert main(["scale", "odrers", "2", "--socket", pool.path]) == 1
    assert "no queue 'odrers'; there is: orders" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", b"[]\n", b"{}\n", b"\xff\n", b'{"ok": true'])
def test_what_is_no_pool_is_told_so(pool: FakePool, capsys: Captured, answer: bytes) -> None:
    """Another program at that path, or a pool that dies mid-answer, gives no stack trace."""
    pool.answer = answer
    assert main(["status", "--socket", pool.path]) == 69
    assert "no answer of a pool" in capsys.readouterr().err


def test_nobody_listening_is_told_with_the_remedy(tmp_path: Path, capsys: Captured) -> None:
    """Exit code 69 (EX_UNAVAILABLE); a stale socket of a dead pool is the same as none."""
    path = tmp_path / "none.sock"
    assert main(["status", "--socket", str(path)]) == 69
    told = capsys.readouterr().err
    assert str(path) in told
    assert "worker run" in told
    stale = FakePool(path)
    stale.close()
    assert path.exists()
    assert main(["drain", "--socket", str(path)]) == 69
    assert "no pool listens" in capsys.readouterr().err


def test_the_socket_is_found_by_the_config(pool: FakePool, config: Write, capsys: Captured) -> None:
    """--config names the pool, even where the shell lacks the variables of its queues."""
    path = config('[worker]\ncontrol_socket = "control.sock"\n[queues.orders]\nurl = "${NOT_SET_HERE}"\n')
    assert main(["status", "--config", path]) == 0
    assert pool.requests == [{"verb": "status"}]
    assert main(["status", "--config", config("[worker]\n")]) == 78
    assert "control_socket" in capsys.readouterr().err
    assert main(["status", "--config", "/nowhere/worker.toml"]) == 78
    assert "--socket PATH" in capsys.readouterr().err


def test_a_path_that_no_kernel_takes_is_told(pool: FakePool, capsys: Captured) -> None:
    """A path longer than a unix socket's gives exit code 69 and no stack trace."""
    assert main(["status", "--socket", pool.path + "x" * 200]) == 69
    assert "does not answer" in capsys.readouterr().err
