"""Test process: orders: a row once, a notification that its recipients get once; on moto and the strict SQS server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.domain_operations import clients, provision
from apps.domain_operations.order_rules import BadOrder, read
from apps.domain_operations.order_table import OrderTable, State
from apps.domain_operations.rules import CLAIM
from apps.notifications.rules import read as read_notification
from tests.apps.conftest import make_queue, take_all
from tests.apps.domain_operations.test_handlers import module
from worker import Message
from worker.testing.run_inline import Kind, run_inline

ORDER: dict[str, Any] = {
    "order_id": "o-1",
    "recipients": [{"id": "customer-7"}, {"id": "warehouse"}],
    "channel": "recording",
    "content": "Your order is on its way",
}
TABLE = "orders"


def body(**fields: object) -> bytes:
    return json.dumps({name: value for name, value in (ORDER | fields).items() if value is not ...}).encode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "not JSON"),
        (b"[]", "no object"),
        (body(order_id=...), "order_id is no text"),
        (body(order_id=7), "order_id is no text"),
        (body(order_id=""), "order_id is no text"),
        (body(order_id="x" * 257), "order_id is no text"),
        (body(recipients=[]), "no recipients"),
        (body(recipients=...), "recipients is not a list"),
        (body(recipients=[{"name": "x"}]), "recipient 0 has no id"),
        (body(channel="pigeon"), "unknown channel"),
        (body(content=...), "content is not text"),
    ],
)
def test_what_is_no_order_is_refused_with_the_reason(text: bytes, why: str) -> None:
    """Nothing is sent on that the notifications application would refuse."""
    with pytest.raises(BadOrder, match=why):
        read(text)


@given(st.integers(1, 450), st.text(max_size=50))
def test_an_order_is_one_batch_of_notifications(recipients: int, content: str) -> None:
    """However many messages it takes, all have the one batch id, which the order's id alone decides, and each recipient
    is in one of them."""
    made = read(body(recipients=[{"id": number} for number in range(recipients)], content=content))
    sent = [read_notification(text) for text in made.notifications]
    assert {one.batch_id for one in sent} == {made.batch_id, read(body()).batch_id}
    assert [recipient.id for one in sent for recipient in one.recipients] == [str(n) for n in range(recipients)]
    assert {one.content for one in sent} == {content}
    assert made.recipients == recipients


def test_other_words_are_another_order() -> None:
    """The digest knows what was said, not how it was written; another id is another batch."""
    same = json.dumps(dict(reversed(ORDER.items())), indent=1).encode()
    assert read(same).digest == read(body()).digest
    assert read(body(content="Other")).digest != read(body()).digest
    assert read(body(order_id="o-2")).batch_id != read(body()).batch_id


def message(text: bytes) -> Message:
    return Message(id="m-1", body=text, queue="orders")


@dataclass(frozen=True)
class Shop:
    """The orders' handler functions, their table, and what is in the notification queue."""

    module: ModuleType
    rows: Any
    queue: str

    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(message["Body"]) for message in take_all(boto3.client("sqs"), self.queue)]

    def row(self, order_id: str = "o-1") -> dict[str, Any]:
        return dict(self.rows.get_item(Key={"order_id": order_id}, ConsistentRead=True).get("Item", {}))


@pytest.fixture
def shop(aws_services: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    environment = f"t{zlib.crc32(request.node.name.encode())}"
    queue = make_queue(boto3.client("sqs"), f"notification-{environment}")
    provision.make_table(TABLE, "order_id")
    monkeypatch.delenv("DOMAIN_QUEUE_ROLE_ARN", raising=False)
    orders = module("orders", monkeypatch, ORDERS_TABLE=TABLE, ENVIRONMENT=environment)
    monkeypatch.setattr(orders, "_PATIENCE", 0.0)
    yield Shop(orders, boto3.resource("dynamodb").Table(TABLE), queue)
    orders._producer().close()


def test_an_order_is_a_row_and_a_notification(shop: Shop) -> None:
    """The row says what was done; the notification is as the notifications application takes it."""
    assert run_inline(shop.module.place_order, ORDER).kind is Kind.ACK
    row = shop.row()
    assert (row["status"], row["channel"], row["recipients"]) == ("notified", "recording", 2)
    assert "claimed_by" not in row
    [notification] = shop.sent()
    assert notification == {"batch_id": row["batch_id"], "chunk": 0} | {
        name: ORDER[name] for name in ("content", "channel", "recipients")
    }


def test_an_order_that_comes_again_does_nothing(shop: Shop) -> None:
    """Acked; no second notification, and the row is as it was."""
    run_inline(shop.module.place_order, ORDER)
    before = shop.row()
    assert run_inline(shop.module.place_order, ORDER).kind is Kind.ACK
    assert (len(shop.sent()), shop.row()) == (1, before)


def test_another_order_under_the_same_id_is_rejected(shop: Shop) -> None:
    """It is neither acked unseen, nor does it overwrite."""
    run_inline(shop.module.place_order, ORDER)
    outcome = run_inline(shop.module.place_order, ORDER | {"content": "Something else"})
    assert outcome.kind is Kind.REJECT
    assert "order 'o-1' exists, and says something else" in outcome.reason
    assert len(shop.sent()) == 1


def test_what_is_no_order_is_rejected(shop: Shop) -> None:
    """With the reason, and without a row."""
    outcome = run_inline(shop.module.place_order, ORDER | {"channel": "pigeon"})
    assert (outcome.kind, shop.row()) == (Kind.REJECT, {})


def test_an_order_that_was_not_sent_is_tried_again(shop: Shop) -> None:
    """The notification queue is gone: a retry, and the row still says `received`; once it is back, all goes on."""
    sqs = boto3.client("sqs")
    sqs.delete_queue(QueueUrl=shop.queue)
    outcome = run_inline(shop.module.place_order, ORDER)
    assert outcome.kind is Kind.RETRY
    assert "order 'o-1'" in outcome.reason
    assert shop.row()["status"] == "received"
    sqs.create_queue(QueueName=shop.queue.rpartition("/")[2])
    assert run_inline(shop.module.place_order, ORDER).kind is Kind.ACK
    assert (len(shop.sent()), shop.row()["status"]) == (1, "notified")


class Died(BaseException):
    """As SIGKILL: no `except Exception` runs."""


def test_an_order_that_died_before_its_end_is_sent_again_as_the_same_batch(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the send and the last write; the notifications application drops the second by its batch id."""

    def dies(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(OrderTable, "notified", dies)
        with pytest.raises(Died):
            shop.module.place_order(message(body()))
    assert shop.row()["status"] == "received"
    shop.module.place_order(message(body()))
    first, second = shop.sent()
    assert first == second
    assert first["batch_id"] == shop.row()["batch_id"]
    assert shop.row()["status"] == "notified"


def test_one_message_of_an_order_is_at_work_at_a_time(shop: Shop) -> None:
    """Another one waits for the claim's end, and says how long; the same one goes on at once."""
    table, order = OrderTable(clients.dynamodb(), TABLE), read(body())
    assert table.claim(order, owner="a", now=1000.0).state is State.CLAIMED
    assert table.claim(order, owner="a", now=1001.0).state is State.CLAIMED
    busy = table.claim(order, owner="b", now=1002.0)
    assert busy.state is State.BUSY
    assert busy.seconds == pytest.approx(CLAIM - 1)
    assert table.claim(order, owner="b", now=1001.0 + CLAIM).state is State.CLAIMED
    table.notified(order, now=1200.0)
    assert table.claim(order, owner="c", now=1201.0).state is State.NOTIFIED
    assert table.claim(read(body(content="x")), owner="c", now=1201.0).state is State.ANOTHER


def test_a_busy_order_is_a_retry_when_the_claim_has_ended(shop: Shop) -> None:
    """No receive is wasted on looking in between."""
    OrderTable(clients.dynamodb(), TABLE).claim(read(body()), owner="dead", now=time.time())
    outcome = run_inline(shop.module.place_order, ORDER)
    assert outcome.kind is Kind.RETRY
    assert outcome.after is not None
    assert CLAIM - 30 < outcome.after <= CLAIM
    assert shop.sent() == []


@pytest.mark.parametrize("name", ["ORDERS_TABLE", "ENVIRONMENT"])
def test_a_missing_variable_is_named_at_start(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The handler process does not boot without it."""
    with pytest.raises(RuntimeError, match=f"{name} is not set"):
        module("orders", monkeypatch, **({"ORDERS_TABLE": "orders", "ENVIRONMENT": "dev"} | {name: ""}))


@pytest.mark.usefixtures("aws_services")
def test_provisioning_may_run_again() -> None:
    """The command prints the variables, as a `.env` file has them, and the second time the same ones."""
    command = [sys.executable, "-m", "apps.domain_operations.provision", "again"]
    root = Path(__file__).parents[3]
    first, second = (subprocess.run(command, cwd=root, capture_output=True, text=True, check=False) for _ in range(2))
    assert (first.returncode, second.returncode, first.stderr) == (0, 0, "")
    assert first.stdout == second.stdout
    names = [line.partition("=")[0] for line in first.stdout.splitlines()]
    assert names == [
        "ENVIRONMENT",
        "DOMAIN_TABLE",
        "DOMAINS_BUCKET",
        "ORDERS_TABLE",
        "NOTIFICATIONS_TABLE",
        "ALERT_TOPIC_ARN",
    ]
    sqs = boto3.client("sqs")
    for kind in provision.QUEUES:
        url = sqs.get_queue_url(QueueName=f"{kind}-again")["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert (found["VisibilityTimeout"], found["MessageRetentionPeriod"]) == ("300", "1209600")
        redrive = json.loads(found["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"].endswith(f":{kind}-again-dlq")
        assert int(redrive["maxReceiveCount"]) == 3
