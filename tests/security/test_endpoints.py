"""Test process: nothing is sent in clear to another machine unless that is allowed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.pool import ROOT

#: Not a loopback address as far as anybody can say, yet no packet to it leaves this machine.
ELSEWHERE = "http://0.0.0.0:9"
CONFIG = """
[worker]
{worker}
[queues.work]
url = "https://sqs.us-east-1.amazonaws.com/123456789012/work"
handler = "tests.system.effects:record"
"""


def worker(folder: Path, *words: str, keys: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """One command with a config whose [worker] table has these lines."""
    config = folder / "worker.toml"
    config.write_text(CONFIG.format(worker=keys))
    config.chmod(0o600)
    credentials = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_EC2_METADATA_DISABLED": "true"}
    environ = os.environ | credentials | {"EFFECTS": str(folder / "effects")} | environment
    command = [sys.executable, "-m", "worker", *words, "--config", str(config)]
    return subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, check=False, timeout=60)


@pytest.mark.system
@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("keys", "environment"),
    [
        (f'endpoint_url = "{ELSEWHERE}"', {}),
        ("", {"AWS_ENDPOINT_URL": ELSEWHERE}),
        ("", {"AWS_ENDPOINT_URL_SQS": ELSEWHERE}),
    ],
    ids=["key", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"],
)
def test_plain_http_elsewhere_is_a_fault_of_the_config(
    tmp_path: Path, command: str, keys: str, environment: dict[str, str]
) -> None:
    """Both commands end with 78 and name the key that would allow it; nothing is started."""
    ended = worker(tmp_path, command, keys=keys, **environment)
    assert ended.returncode == 78
    assert b"plain http to another machine" in ended.stderr
    assert b"allow_insecure_endpoint = true" in ended.stderr
    assert b"supervisor_started" not in ended.stderr


@pytest.mark.system
def test_it_can_be_allowed(tmp_path: Path) -> None:
    """For LocalStack in a neighbouring container."""
    keys = f'endpoint_url = "{ELSEWHERE}"\nallow_insecure_endpoint = true'
    ended = worker(tmp_path, "check", keys=keys)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.system
def test_an_endpoint_of_the_aws_config_file_is_refused_as_well(tmp_path: Path) -> None:
    """Only boto3 reads that file, so only a poller can see it: it refuses before its first call, and the pool ends."""
    profile = tmp_path / "aws"
    profile.write_text(f"[default]\nendpoint_url = {ELSEWHERE}\n")
    ended = worker(tmp_path, "run", AWS_CONFIG_FILE=str(profile))
    assert ended.returncode == 78
    assert b"config_rejected" in ended.stderr
    assert b"plain http to another machine" in ended.stderr
    assert b"calls_fail" not in ended.stderr
    assert b"queue_not_resolved" not in ended.stderr
