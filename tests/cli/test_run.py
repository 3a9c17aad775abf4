"""`worker run` up to the moment in which the supervisor takes over."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import worker.supervisor
from worker.cli import main
from worker.config import ConfigError
from worker.settings import Settings

Write = Callable[[str], str]
GOOD = '[queues.orders]\nname = "${QUEUE}"\nhandler = "shop:place"\nhandlers = 2\n'


class Supervisor:
    """Stands in place of worker.supervisor.run."""

    def __init__(self) -> None:
        self.settings: list[Settings] = []
        self.reload: Callable[[], Settings] | None = None
        self.code = 0

    def run(self, settings: Settings, *, reload: Callable[[], Settings]) -> int:
        self.settings.append(settings)
        self.reload = reload
        return self.code

    def again(self) -> Settings:
        assert self.reload is not None
        return self.reload()


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    made = Supervisor()
    monkeypatch.setattr(worker.supervisor, "run", made.run)
    # setenv, so that what the command puts into the environment is gone after the test.
    monkeypatch.setenv("QUEUE", "orders")
    return made


def test_the_supervisor_gets_the_settings_and_its_code_is_ours(config: Write, supervisor: Supervisor) -> None:
    """Options stand in place of the file's keys, and the exit code comes through."""
    supervisor.code = 75
    path = config(GOOD)
    words = ["--log-level", "debug", "--set", "queues.orders.handlers=7", "--set", "worker.drain_timeout=60"]
    assert main(["run", "--config", path, *words]) == 75
    (settings,) = supervisor.settings
    assert (settings.log_level, settings.drain_timeout, settings.config) == ("debug", 60.0, path)
    assert (settings.queues[0].handlers, settings.queues[0].queue_name) == (7, "orders")


def test_a_wrong_config_ends_with_78_and_every_fault(
    config: Write, supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    """Faults go to standard error, one a line, without a stack trace; the supervisor is never started."""
    path = config('[queues.orders]\nname = "${UNSET_IN_THIS_TEST}"\nhandelr = "x"\n')
    assert main(["run", "--config", path]) == 78
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{path}:") for line in lines)
    assert shown.out == ""
    assert supervisor.settings == []


def test_a_missing_config_ends_with_78(supervisor: Supervisor, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is named."""
    assert main(["run", "--config", "/nowhere/worker.toml"]) == 78
    assert capsys.readouterr().err == "/nowhere/worker.toml: cannot be read: No such file or directory\n"
    assert supervisor.settings == []


def test_worker_toml_is_the_default(
    config: Write, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`worker run` alone reads worker.toml of the working directory."""
    config(GOOD)
    monkeypatch.chdir(tmp_path)
    assert main(["run"]) == 0
    assert supervisor.settings[0].config == str(tmp_path / "worker.toml")


def test_a_reload_reads_the_file_anew(
    config: Write, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also after the working directory has changed; what the command line set stays; a bad file raises."""
    monkeypatch.chdir(tmp_path)
    config(GOOD)
    main(["run", "--config", "worker.toml", "--set", "queues.orders.polls=3"])
    monkeypatch.chdir("/")
    config(GOOD.replace("handlers = 2", "handlers = 5"))
    again = supervisor.again()
    assert (again.queues[0].handlers, again.queues[0].polls) == (5, 3)
    config(GOOD + "nonsense = 1")
    with pytest.raises(ConfigError, match="nonsense"):
        supervisor.again()


def test_an_env_file_fills_what_is_not_set(
    config: Write, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It reaches the config and the environment of all children, overrides nothing, and is read again at a reload."""
    monkeypatch.setattr(os, "environ", os.environ | {"HANDLERS_SET": "3"})
    path = config(GOOD + 'pollers = "${POLLERS:-1}"\npolls = "${POLLS:-1}"\n')
    env = tmp_path / ".env"
    env.write_text("QUEUE=from-file\nPOLLERS=2\nPOLLS=4\nOTHER='x y'\n")
    assert main(["run", "--config", path, "--env-file", str(env)]) == 0
    queue = supervisor.settings[0].queues[0]
    assert (queue.queue_name, queue.pollers, queue.polls) == ("orders", 2, 4)
    assert os.environ["OTHER"] == "x y"
    env.write_text("POLLS=5\nQUEUE=from-file\n")
    queue = supervisor.again().queues[0]
    assert (queue.queue_name, queue.pollers, queue.polls) == ("orders", 1, 5)
    assert "OTHER" not in os.environ
    env.write_text("oops")
    with pytest.raises(ConfigError, match=r"\.env:1: "):
        supervisor.again()


def test_a_reload_that_fails_leaves_the_environment_as_it_was(
    config: Write, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Processes that are started later belong to the config that runs on; the next good reload takes the file."""
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if k != "QUEUE"})
    path, env = config(GOOD), tmp_path / ".env"
    env.write_text("QUEUE=first\nOLD=1\n")
    assert main(["run", "--config", path, "--env-file", str(env)]) == 0
    env.write_text("QUEUE=second\nNEW=1\n")
    config(GOOD + "nonsense = 1")
    with pytest.raises(ConfigError, match="nonsense"):
        supervisor.again()
    assert (os.environ["QUEUE"], "OLD" in os.environ, "NEW" in os.environ) == ("first", True, False)
    config(GOOD)
    assert supervisor.again().queues[0].queue_name == "second"
    assert (os.environ["QUEUE"], "OLD" in os.environ, "NEW" in os.environ) == ("second", False, True)


def test_secrets_that_everybody_may_read_are_warned_of(
    config: Write,
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One log line with the variable's name and the command that mends it, and never its text; the start goes on."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    env = tmp_path / ".env"
    env.write_text("QUEUE=first\nDB_PASSWORD=xyzzy\n")
    env.chmod(0o644)
    assert main(["run", "--config", config(GOOD), "--env-file", str(env)]) == 0
    told = capfd.readouterr().err
    assert "env_file_open" in told
    assert f"DB_PASSWORD in {env} can be read by every user of this machine: chmod 600 {env}" in told
    assert "xyzzy" not in told


def test_a_bad_env_file_ends_with_78(
    config: Write, supervisor: Supervisor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line is named, its text is not shown: it may be a secret."""
    env = tmp_path / ".env"
    assert main(["run", "--config", config(GOOD), "--env-file", str(env)]) == 78
    assert "No such file" in capsys.readouterr().err
    env.write_text("A=b\nSECRET='unclosed-secret\n")
    assert main(["run", "--config", config(GOOD), "--env-file", str(env)]) == 78
    told: Any = capsys.readouterr().err
    assert f"{env}:2: " in told
    assert "unclosed-secret" not in told
    assert supervisor.settings == []
