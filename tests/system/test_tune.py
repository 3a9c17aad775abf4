"""`worker tune` with real pools: it ends within its budget, and what it recommends is a config."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest

from worker.cli.entry import main
from worker.cli.tune import source, window
from worker.config import load_text

_APPLICATION = """\
import time
def work(message):
    time.sleep(0.002)
"""


@pytest.mark.timeout(120)
def test_it_recommends_a_table_for_a_users_own_handler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The queue of the config is in AWS and is never asked: an embedded one stands in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tuned_application.py").write_text(_APPLICATION)
    config = tmp_path / "worker.toml"
    config.write_text(
        '[queues.orders]\nurl = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"\n'
        'handler = "tuned_application:work"\nhandlers = 1\n'
    )
    config.chmod(0o600)
    assert main(["tune", "--budget", "5s", "--json", "--chart", "chart.svg"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert load_text(found["toml"], path=config, environ={}).queue("orders").handler == "tuned_application:work"
    assert 0 < found["messages_a_second"] <= 500  # one handler process, 2 ms each
    assert 0.1 <= found["calls_per_message"] < 1  # 0.2; a window of a second cuts some off
    assert found["limit"].partition(":")[0] in {"handlers", "CPU", "poller CPU", "round trips to SQS"}
    assert len(found["trials"]) >= 1
    assert (tmp_path / "chart.svg").exists()


@pytest.mark.timeout(120)
def test_a_real_queue_that_runs_empty_ends_the_trials_and_not_the_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], sqs_endpoint: str
) -> None:
    """What was measured before is recommended from; the messages were handled and deleted, as the warning says."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="tune-real")["QueueUrl"]
    for _ in range(200):
        entries = [{"Id": str(number), "MessageBody": "{}"} for number in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(source, "_HESITATION", 0.0)
    monkeypatch.setattr(window, "_DRY", 3.0)
    (tmp_path / "tuned_for_real.py").write_text(_APPLICATION)
    config = tmp_path / "worker.toml"
    config.write_text('[queues.orders]\nname = "elsewhere"\nhandler = "tuned_for_real:work"\nhandlers = 2\nwait = 1\n')
    config.chmod(0o600)
    assert main(["tune", "--budget", "90s", "--json", "--no-chart", "--queue-url", url]) == 0
    told = capfd.readouterr()
    assert json.loads(told.out)["messages_a_second"] > 0
    assert "the queue ran empty" in told.err
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "0"
