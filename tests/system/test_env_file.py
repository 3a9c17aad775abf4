"""`worker run --env-file`: the file's variables are those of the whole pool."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests.system.pool import eventually
from worker.testing.sqs_server.process import SqsServerProcess

HANDLER = """
import os

def handle(message):
    with open("effects", "a") as file:
        file.write(f"{message.text} {os.environ['GREETING']} {os.environ['GIVEN']}\\n")
"""
CONFIG = '[queues.q]\nurl = "${QUEUE}"\nhandler = "own:handle"\nhandlers = 1\nwait = 1\n'


def test_pollers_and_handlers_have_the_files_variables_and_a_reload_reads_it_again(
    server: SqsServerProcess, tmp_path: Path
) -> None:
    """Endpoint and credentials of SQS come from the file alone; what the environment has already stays."""
    keys = {"AWS_ACCESS_KEY_ID": "file", "AWS_SECRET_ACCESS_KEY": "file", "AWS_DEFAULT_REGION": "us-east-1"}
    sqs = boto3.client(
        "sqs",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    url = sqs.create_queue(QueueName="env-file")["QueueUrl"]

    def write(greeting: str) -> None:
        given = keys | {"AWS_ENDPOINT_URL_SQS": server.url, "QUEUE": url, "GREETING": greeting, "GIVEN": "by the file"}
        (tmp_path / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in given.items()))
        (tmp_path / ".env").chmod(0o600)

    def effects() -> list[str]:
        return (tmp_path / "effects").read_text().splitlines() if (tmp_path / "effects").exists() else []

    write("hello $GIVEN")
    (tmp_path / "own.py").write_text(HANDLER)
    (tmp_path / "worker.toml").write_text(CONFIG)
    (tmp_path / "worker.toml").chmod(0o600)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environ |= {"GIVEN": "by the shell", "AWS_EC2_METADATA_DISABLED": "true"}
    log = tmp_path / "log"
    command = [sys.executable, "-m", "worker", "run", "--env-file", ".env"]
    with log.open("wb") as file, subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=file) as pool:
        try:
            sqs.send_message(QueueUrl=url, MessageBody="1")
            eventually(lambda: effects() == ["1 hello $GIVEN by the shell"], seconds=60, why="the first message")
            write("good bye")
            pool.send_signal(signal.SIGHUP)
            eventually(lambda: '"reload_finished"' in log.read_text(), seconds=60, why="the reload")
            sqs.send_message(QueueUrl=url, MessageBody="2")
            eventually(lambda: effects()[1:] == ["2 good bye by the shell"], seconds=60, why="the second message")
            pool.terminate()
            assert pool.wait(40) == 0
        finally:
            pool.kill()
    assert "good bye" not in log.read_text()


def test_a_bad_file_ends_the_start_with_its_line(tmp_path: Path) -> None:
    """78 for `run` and for `check`, with file and line, and without what stands there."""
    (tmp_path / "worker.toml").write_text(CONFIG)
    (tmp_path / "worker.toml").chmod(0o600)
    (tmp_path / ".env").write_text("A=b\nthe-secret\n")
    for command in ("run", "check"):
        words = [sys.executable, "-m", "worker", command, "--env-file", ".env"]
        ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 78
        assert f"{tmp_path}/.env:2: expected NAME=text" in ended.stderr
        assert "the-secret" not in ended.stderr + ended.stdout


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_missing_file_ends_the_start(tmp_path: Path, command: str) -> None:
    """78, and its name."""
    (tmp_path / "worker.toml").write_text(CONFIG)
    (tmp_path / "worker.toml").chmod(0o600)
    words = [sys.executable, "-m", "worker", command, "--env-file", "nowhere.env"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 78
    assert "nowhere.env: cannot be read: No such file or directory" in ended.stderr
