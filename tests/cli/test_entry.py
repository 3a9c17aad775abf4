"""The command line as a whole: help, versions, exit codes, and what it imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from worker import __version__
from worker.cli import main
from worker.cli.entry import COMMANDS


def test_without_a_command_it_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    """`worker` alone shows every command and the first steps, and is no error."""
    assert main([]) == 0
    shown = capsys.readouterr().out
    for command in COMMANDS:
        assert f"\n  {command} " in shown
    assert "worker init" in shown
    assert "exit codes" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each command holds at least one example of itself."""
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert f"\n  worker {command}" in shown


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """`worker --version` names it."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"worker {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["serve"],
        ["run", "--confg", "x"],
        ["scale", "orders"],
        ["scale", "orders", "0"],
        ["run", "--set", "wait=5"],
        ["--x"],
    ],
)
def test_wrong_arguments_end_with_64(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The complaint is on standard error and points to --help; nothing is on standard output."""
    assert main(words) == 64
    shown = capsys.readouterr()
    assert "--help" in shown.err
    assert shown.out == ""


def test_the_command_line_is_light() -> None:
    """What every command pays for is argparse: no rich, no TOML, no AWS until a command needs them."""
    source = """
import sys
from worker.cli import main
main([])
heavy = {"rich", "tomllib", "boto3", "botocore", "orjson", "asyncio", "subprocess"} & set(sys.modules)
print("heavy:", sorted(heavy - {"orjson"}), file=sys.stderr)
"""
    child = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60)
    assert child.stderr.strip() == "heavy: []"


@pytest.mark.parametrize("command", ["run", "check", "status", "drain"])
def test_no_command_but_those_that_provision_imports_boto3(command: str) -> None:
    """The process that becomes the supervisor never holds boto3."""
    source = f"""
import sys
from worker.cli import main
main([{command!r}, "--config", "/nowhere/worker.toml"])
sys.exit("boto3" in sys.modules or "rich" in sys.modules)
"""
    child = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, timeout=60)
    assert child.returncode == 0
    assert "No such file" in child.stderr


def test_python_m_worker_is_worker() -> None:
    """A machine without the script on its PATH can use the module."""
    command = [sys.executable, "-m", "worker", "--version"]
    child = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert child.stdout == f"worker {__version__}\n"


def test_a_reader_that_leaves_is_no_error() -> None:
    """`worker check --json | head -1` ends without a word on standard error."""
    source = """
import os, sys
from worker.cli import main
read, write = os.pipe()
os.close(read)
os.dup2(write, 1)
sys.exit(main(["check", "--json", "--config", "/nowhere/worker.toml"]))
"""
    child = subprocess.run([sys.executable, "-c", source], stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert child.stderr == ""
    assert child.returncode == 141
