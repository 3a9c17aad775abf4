"""The commands with real processes: dev, demo, and what an operator asks of a running pool."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.conftest import alive
from tests.system.pool import eventually

ROOT = Path(__file__).parents[2]
WORKER = [sys.executable, "-m", "worker"]

HANDLERS = """
import os, pathlib
from worker import Reject

def keep(message):
    if message.text == "bad":
        raise Reject("bad")
    with open(pathlib.Path(__file__).parent / "effects", "a") as file:
        file.write(message.queue + ":" + message.text + "\\n")
"""
CONFIG = """
[worker]
control_socket = "control.sock"
log_level = "warning"
[queues.first]
url = "https://sqs.eu-west-1.amazonaws.com/123456789012/first"
role_arn = "arn:aws:iam::123456789012:role/first"
handler = "own_handlers:keep"
handlers = "${HANDLERS:-1}"
wait = 1
[queues.second]
ssm = "/shop/second.fifo"
dead_letter = "other-dlq.fifo"
handler = "own_handlers:keep"
handlers = 1
wait = 1
"""


def run(*words: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    command = [*WORKER, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=90, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own_handlers.py").write_text(HANDLERS)
    config = tmp_path / "worker.toml"
    config.write_text(CONFIG)
    config.chmod(0o600)
    return tmp_path


@pytest.fixture
def dev(folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `worker dev`; afterwards nothing of it may be left, however it ended."""
    started: list[subprocess.Popen[str]] = []
    seen: dict[int, psutil.Process] = {}

    def start(*words: str) -> subprocess.Popen[str]:
        command = [*WORKER, "dev", "--port", "0", *words]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        eventually(
            lambda: (folder / "control.sock").exists() or process.poll() is not None, seconds=20, why="it listens"
        )
        seen.update({one.pid: one for one in psutil.Process(process.pid).children(recursive=True)})
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    eventually(lambda: not any(alive(one) for one in seen.values()), seconds=20, why="nothing is left behind")


def effects(folder: Path) -> list[str]:
    path = folder / "effects"
    return sorted(path.read_text().split()) if path.exists() else []


def status(folder: Path) -> dict[str, Any]:
    shown = run("status", "--json", cwd=folder)
    answer: dict[str, Any] = json.loads(shown.stdout) if shown.returncode == 0 else {}
    return answer


def test_dev_runs_a_config_of_aws_on_this_machine(folder: Path, dev: Callable[..., subprocess.Popen[str]]) -> None:
    """URLs, SSM parameters, roles and dead-letter queues lead to the embedded SQS; Ctrl-C drains and exits 0."""
    (folder / "bodies").write_text("b1\n\nb2\n")
    process = dev("--send", "a1", "--send", "bad", "--messages", "bodies", "--set", "queues.first.handlers=2")
    eventually(lambda: effects(folder) == ["first:a1", "first:b1", "first:b2"], seconds=20, why="handled")
    eventually(lambda: status(folder)["queues"]["first"]["counters"]["dead_lettered"] == 1, seconds=20, why="rejected")
    assert status(folder)["queues"]["first"]["handlers_wanted"] == 2
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    assert "sent 4 messages" in shown
    assert "sqs send-message --queue-url http://localhost:" in shown
    assert "python -c" in shown


def test_dev_shows_commands_that_work(folder: Path, dev: Callable[..., subprocess.Popen[str]]) -> None:
    """The python line that it prints, run in a shell, sends a message to the FIFO queue; --to chooses the queue."""
    process = dev("--to", "second")
    assert process.stdout is not None
    line = next(line for line in process.stdout if "python -c" in line)
    command = line.strip().replace("python -c", f"{sys.executable} -c")
    subprocess.run(["/bin/sh", "-c", command], check=True, timeout=60)
    eventually(lambda: effects(folder) == ["second:{}"], seconds=20, why="handled")
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 0


def test_nothing_outlives_a_killed_dev(folder: Path, dev: Callable[..., subprocess.Popen[str]]) -> None:
    """SIGKILL of the command ends pool and server too (the fixture looks at every process)."""
    process = dev("--send", "a1")
    eventually(lambda: effects(folder) == ["first:a1"], seconds=20, why="handled")
    process.kill()
    process.wait()


def test_an_operator_steers_a_running_pool(folder: Path, dev: Callable[..., subprocess.Popen[str]]) -> None:
    """scale, pause, resume, stacks, reload and drain do on a real pool what they say."""
    process = dev()
    eventually(lambda: status(folder).get("state") == "running", seconds=20, why="it runs")
    assert run("scale", "first", "3", cwd=folder).returncode == 0
    assert status(folder)["queues"]["first"]["handlers_wanted"] == 3
    refused = run("scale", "frist", "3", cwd=folder)
    assert refused.returncode == 1
    assert "first" in refused.stderr
    assert run("pause", cwd=folder).returncode == 0
    assert status(folder)["state"] == "paused"
    assert run("resume", cwd=folder).returncode == 0
    assert status(folder)["state"] == "running"
    stacks = run("stacks", cwd=folder)
    assert stacks.returncode == 0
    assert stacks.stdout.count("pid=") >= 6
    assert "most recent call first" in stacks.stdout
    config = folder / "worker.toml"
    config.write_text(CONFIG + "nonsense = 1\n")
    refused = run("reload", cwd=folder)
    assert refused.returncode == 1
    assert "nonsense" in refused.stderr
    config.write_text(CONFIG)
    assert run("reload", cwd=folder).returncode == 0
    assert run("drain", cwd=folder).returncode == 0
    assert process.wait(60) == 0
    gone = run("status", cwd=folder)
    assert gone.returncode == 69
    assert "no pool listens" in gone.stderr


def test_a_dev_that_cannot_start_says_why(folder: Path) -> None:
    """A port that is taken, a queue that is not in the config, a file that is not there."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        shown = run("dev", "--port", str(taken.getsockname()[1]), cwd=folder)
    assert shown.returncode == 69
    assert "--port 0" in shown.stderr
    assert run("dev", "--to", "third", cwd=folder).returncode == 64
    assert run("dev", "--messages", "nowhere", cwd=folder).returncode == 64


def test_the_sqs_server_is_a_command(tmp_path: Path) -> None:
    """`worker sqs-server` says where it listens, answers /health, and ends with SIGTERM."""
    process = subprocess.Popen(
        [*WORKER, "sqs-server", "--port", "0"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr:
        line = process.stderr.readline()
        url = next(word for word in line.split() if word.startswith("http://"))
        with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:  # noqa: S310 - a loopback URL of our own
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


APPLICATION = """
from worker import Forward
from worker.testing.demonstration import Demonstration, DemonstrationQueue

DEMONSTRATION = Demonstration(
    about="a test of its own",
    queues=(
        DemonstrationQueue(name="in", dead_letter="in-dlq", receives=2),
        DemonstrationQueue(name="out", source=False),
    ),
    environment=lambda urls: {"IN": urls["in"], "OUT": urls["out"]},
    messages=lambda count: (("in", "bad" if n % 100 == 5 else str(n)) for n in range(count)),
)
"""
APPLICATION_HANDLERS = """
import os
from worker import Forward

def handle(message):
    return Forward(queue=os.environ["OUT"], body=str(int(message.text) + 1))
"""


@pytest.fixture
def applications(tmp_path: Path) -> Path:
    folder = tmp_path / "apps" / "own_demo"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")  # as the project's own; a folder without would give way to that
    (folder / "demonstration.py").write_text(APPLICATION)
    (folder / "handlers.py").write_text(APPLICATION_HANDLERS)
    (folder / "worker.toml").write_text('[queues.q]\nurl = "${IN}"\nhandler = "apps.own_demo.handlers:handle"\n')
    (folder / "worker.toml").chmod(0o664)  # as a clone with a umask of 002 has it
    return tmp_path


def test_a_demonstration_ends_with_numbers_that_balance(applications: Path) -> None:
    """Every message is in the output or in the dead-letter queue, nothing else is on standard output, exit code 0."""
    shown = run("demo", "own_demo", "--messages", "300", "--handlers", "2", "--json", cwd=applications)
    assert shown.returncode == 0, shown.stderr
    figures = json.loads(shown.stdout)
    assert figures["balanced"] is True
    assert figures["sent"] == 300
    assert figures["queues"] == {"in": 0, "in-dlq": 3, "out": 297}
    assert (figures["forwarded"], figures["released"], figures["received"]) == (297, 6, 303)
    assert figures["exit_code"] == 0


def test_a_demonstration_whose_application_fails_says_why(applications: Path) -> None:
    """Exit code 1, the application's own error, and no claim that the numbers balance."""
    (applications / "apps/own_demo/handlers.py").write_text("import not_there_at_all\n")
    shown = run("demo", "own_demo", "--messages", "20", cwd=applications)
    assert shown.returncode == 1
    assert "not_there_at_all" in shown.stderr
    assert "the numbers balance" not in shown.stdout


def test_an_unknown_demonstration_is_named(applications: Path) -> None:
    """The nearest one is offered."""
    shown = run("demo", "own-dmeo", cwd=applications)
    assert shown.returncode == 64
    assert "own_demo" in shown.stderr


def test_the_demonstration_on_a_terminal_is_live(applications: Path) -> None:
    """On a pseudo-terminal the picture shows queues and processes, and ends with the summary."""
    main, other = pty.openpty()
    environ = os.environ | {"COLUMNS": "100", "LINES": "40", "TERM": "xterm"}
    process = subprocess.Popen(
        [*WORKER, "demo", "own_demo", "--messages", "50"], cwd=applications, stdout=other, stderr=other, env=environ
    )
    os.close(other)
    shown = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # Linux says EIO when the other end has closed
            break
        if not part:
            break
        shown += part
    os.close(main)
    assert process.wait(60) == 0
    assert b"handler q/0" in shown
    assert b"the numbers balance" in shown


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's: pytest's own are too long for that under xdist."""
    with tempfile.TemporaryDirectory(prefix="w") as folder:
        yield Path(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_a_kill_ends_a_demonstration_and_all_of_it(
    applications: Path, number: signal.Signals, short_folder: Path
) -> None:
    """A signal in the middle: exit code 130, no process left, no temporary folder left."""
    environ = os.environ | {"TMPDIR": str(short_folder)}
    process = subprocess.Popen(
        [*WORKER, "demo", "own_demo", "--messages", "200"],
        cwd=applications,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if " of 200 " in line:
            break
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    process.send_signal(number)
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 130, shown
    assert "Traceback" not in shown
    eventually(lambda: not any(alive(one) for one in family), seconds=20, why="nothing is left behind")
    assert not list(short_folder.iterdir())


def test_the_project_has_its_demonstration() -> None:
    """`worker demo` needs no name in the project's folder; its messages hold good and broken ones for both sources."""
    from apps.message_status.demonstration import DEMONSTRATION

    sent = list(DEMONSTRATION.messages(1000))
    assert {queue for queue, _ in sent} == {"StatusUpdateQueue", "DLQ"}
    broken = 0
    for _, body in sent:
        try:
            broken += "deliveryStatus" not in json.loads(body)
        except ValueError:
            broken += 1
    assert broken == 10
