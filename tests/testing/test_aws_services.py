"""Test process: moto's server as a child process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from tests.conftest import eventually
from worker.testing.aws_services import AwsServicesProcess

HIDDEN = "import sys; sys.modules['moto'] = None\n"


@pytest.fixture(scope="module")
def services() -> Iterator[AwsServicesProcess]:
    with AwsServicesProcess() as server:
        yield server


def client(name: str, services: AwsServicesProcess) -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client(name, endpoint_url=services.url, region_name="us-east-1", **keys)


def test_services_share_an_account_with_the_sqs_server(services: AwsServicesProcess) -> None:
    """A topic's ARN is of the account 000000000000, as those of the embedded queues are."""
    arn = client("sns", services).create_topic(Name="alerts")["TopicArn"]
    assert arn == "arn:aws:sns:us-east-1:000000000000:alerts"


def test_a_reset_forgets_everything(services: AwsServicesProcess) -> None:
    """What one test made, the next one does not see."""
    s3 = client("s3", services)
    s3.create_bucket(Bucket="pictures")
    assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == ["pictures"]
    services.reset()
    assert s3.list_buckets()["Buckets"] == []


def test_a_ctrl_c_is_not_its_end_but_a_stop_is(services: AwsServicesProcess) -> None:
    """It goes on after SIGINT, which a terminal sends to all; after `stop` it is gone."""
    with AwsServicesProcess() as own:
        process = psutil.Process(own.pid)
        process.send_signal(signal.SIGINT)
        own.reset()
        assert process.is_running()
        own.stop()
        assert not psutil.pid_exists(process.pid)
    with pytest.raises(RuntimeError, match="not running"):
        _ = own.pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent(number: signal.Signals) -> None:
    """It outlives no parent, however that ended."""
    source = (
        "import sys\n"
        "from worker.testing.aws_services import AwsServicesProcess\n"
        "print(AwsServicesProcess().start().pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    process = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(number)
    parent.communicate(timeout=10)
    eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def test_where_moto_is_missing_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RuntimeError with the command, and no process is left."""
    (tmp_path / "sitecustomize.py").write_text(HIDDEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"moto is not installed .*: pip install 'worker\[demo\]'"):
        AwsServicesProcess().start()
