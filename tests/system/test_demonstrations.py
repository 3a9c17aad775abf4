"""`worker demo` on an application with everything that one can have: services, chains of queues, its own counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
APPLICATIONS = sorted(path.parent.name for path in ROOT.glob("apps/*/demonstration.py"))

pytestmark = pytest.mark.system

DEMONSTRATION = '''
"""Command line: a demonstration of a test."""
import os
from pathlib import Path
import boto3
from worker.testing.demonstration import Demonstration, DemonstrationQueue


def prepare():
    boto3.client("dynamodb").create_table(
        TableName=os.environ["TABLE"], BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])


def send(count):
    sqs = boto3.client("sqs")
    for n in range(count):
        body = "bad" if n == 7 else str(n)
        sqs.send_message(QueueUrl=os.environ["FIRST"], MessageBody=body, MessageGroupId=f"g{n % 3}",
                         MessageDeduplicationId=str(n))
    return count CLAIMED


def counts():
    rows = boto3.client("dynamodb").scan(TableName=os.environ["TABLE"], ConsistentRead=True)["Items"]
    return {"rows": len(rows), "lines": len((Path(os.environ["DEMO_FOLDER"]) / "lines").read_text().split())}


def faults(sent, counts):
    return [] if counts["rows"] == sent - 2 else [f"{counts['rows']} rows of {sent} messages"]


DEMONSTRATION = Demonstration(
    about="a chain",
    queues=(
        DemonstrationQueue(name="first.fifo", dead_letter="first-dlq.fifo", receives=2),
        DemonstrationQueue(name="second", dead_letter="dead", receives=2),
        DemonstrationQueue(name="dead", dead_letter="dead-dlq", receives=2),
    ),
    environment=lambda given: {"FIRST": given["first.fifo"], "SECOND": given["second"], "DEAD": given["dead"],
                               "TABLE": "rows", "DEMO_FOLDER": given["DEMO_FOLDER"]},
    services=True, scratch=True, prepare=prepare, send=send, counts=counts, faults=faults,
)
'''
HANDLERS = '''
"""Handler process: handlers of a test."""
import os
import boto3
from worker import Reject

SQS = boto3.client("sqs")
TABLE = boto3.client("dynamodb")


def first(message):
    number = int(message.text)
    with open(os.environ["DEMO_FOLDER"] + "/lines", "a") as file:
        file.write(f"{number}\\n")
    SQS.send_message(QueueUrl=os.environ["SECOND"], MessageBody=message.text)


def second(message):
    if int(message.text) in (3, 5):
        raise Reject("to the dead")
    save(message)


def dead(message):
    if message.text == "5":
        raise ValueError("no row for it")
    save(message)


def save(message):
    TABLE.put_item(TableName=os.environ["TABLE"], Item={"id": {"S": message.text}})
'''
CONFIG = "".join(
    f'[queues.{name}]\nurl = "${{{name.upper()}}}"\nhandler = "apps.chain.handlers:{name}"\nhandlers = 1\n'
    for name in ("first", "second", "dead")
)


def show(folder: Path, *options: str, demonstration: str = DEMONSTRATION.replace("CLAIMED", "")) -> Any:
    application = folder / "apps" / "chain"
    application.mkdir(parents=True, exist_ok=True)
    (folder / "apps" / "__init__.py").write_text("")
    (application / "__init__.py").write_text('"""Handler process: one message makes another."""\n')
    (application / "demonstration.py").write_text(demonstration)
    (application / "handlers.py").write_text(HANDLERS)
    (application / "worker.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "worker", "demo", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_chain_of_queues_with_services_balances(tmp_path: Path) -> None:
    """Messages that handlers send are counted, a dead-letter queue may be a source, and the table has what it should.

    One of 40 fails in its FIFO queue, two are rejected to a queue that is handled itself, of which one fails there too.
    """
    shown = show(tmp_path, "chain", "--messages", "40", "--json")
    assert shown.returncode == 0, shown.stderr
    figures = json.loads(shown.stdout)
    assert (figures["sent"], figures["sent_on"], figures["handled"], figures["in_dead_letter_queues"]) == (
        40,
        39,
        77,
        2,
    )
    assert figures["queues"] == {"first.fifo": 0, "first-dlq.fifo": 1, "second": 0, "dead": 0, "dead-dlq": 1}
    assert figures["counts"] == {"rows": 38, "lines": 39}
    assert (figures["balanced"], figures["faults"]) == (True, [])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("sent - 2", "sent - 1"), "worker demo: 10 rows of 12 messages"),
        (("CLAIMED", "+ 1"), "13 messages were sent, but the queues got 12"),
        (('"rows": len(rows)', '"rows": 1 // 0'), "`counts` failed at demonstration.py:"),
        (('TableName=os.environ["TABLE"], BillingMode', 'TableName="", BillingMode'), "`prepare` failed at demonst"),
    ],
)
def test_what_goes_wrong_in_a_demonstration_is_told(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    """Exit code 1, the reason, and no claim that all is well."""
    text = DEMONSTRATION.replace(*change).replace("CLAIMED", "")
    shown = show(tmp_path, "chain", "--messages", "12", demonstration=text)
    assert shown.returncode == 1, shown.stderr
    assert told in shown.stderr
    assert "the numbers balance" not in shown.stdout
    assert "Traceback" not in shown.stderr


def test_without_moto_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 69 and the command; the same for an application of the user's own."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['moto'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    shown = show(tmp_path, "chain")
    assert shown.returncode == 69
    assert "pip install 'worker[demo]'" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_the_help_lists_the_applications(tmp_path: Path) -> None:
    """With what their packages say, and without importing them."""
    shown = show(tmp_path, "--help", demonstration="raise SystemExit(1)")
    assert shown.returncode == 0
    assert "  chain              one message makes another." in shown.stdout


@pytest.mark.parametrize("name", APPLICATIONS)
def test_each_application_of_the_project_is_shown_and_balances(name: str) -> None:
    """`worker demo NAME` provisions, sends, drains and counts; its numbers balance, and the application agrees."""
    command = [sys.executable, "-m", "worker", "demo", name, "--messages", "120", "--handlers", "1", "--json"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert shown.returncode == 0, shown.stderr
    figures = json.loads(shown.stdout)
    assert (figures["application"], figures["balanced"], figures["faults"]) == (name, True, [])
    assert figures["sent"] >= 1
