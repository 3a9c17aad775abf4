"""Test process: what docs/idempotency.md shows runs, on a table made by the commands that it shows."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.idempotency.conftest import DynamoDB
from worker.testing.run_inline import Kind, run_inline

DOCUMENT = Path(__file__).parents[2] / "docs/idempotency.md"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for found, text in _BLOCK.findall(DOCUMENT.read_text()) if found == language]


@pytest.fixture
def table(dynamodb: DynamoDB) -> DynamoDB:
    """The table `idempotency`, by the AWS CLI."""
    (commands,) = blocks("")
    for line in commands.replace("\\\n", " ").splitlines():
        command = [str(Path(sys.executable).with_name("aws")), *shlex.split(line)[1:]]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    keys = [{"AttributeName": "id", "KeyType": "HASH"}]
    names = [{"AttributeName": "id", "AttributeType": "S"}]
    dynamodb.client.create_table(
        TableName="totals", KeySchema=keys, AttributeDefinitions=names, BillingMode="PAY_PER_REQUEST"
    )
    return DynamoDB(dynamodb.client, "idempotency", dynamodb.store)


def test_the_examples_run_once_for_each_key(
    table: DynamoDB, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One prints, one counts; the second message of a key does neither. The table expires by `expires`."""
    handlers = []
    for place, (name, source) in enumerate(zip(("place_order", "count_order"), blocks("python"), strict=True)):
        path = tmp_path / f"example_{place}.py"
        path.write_text(source)
        handlers.append(runpy.run_path(str(path))[name])
    for handler in handlers:
        for order in (1, 1, 2):
            assert run_inline(handler, {"order": {"id": order, "shop": "s"}}).kind is Kind.ACK
        assert run_inline(handler, {"order": {}}).kind is Kind.RETRY
    assert capsys.readouterr().out.splitlines() == [f"the order is placed here: {order}" for order in (1, 2)]
    total = table.client.get_item(TableName="totals", Key={"id": {"S": "s"}})["Item"]
    assert total["orders"] == {"N": "2"}
    described = table.client.describe_time_to_live(TableName=table.table)["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
