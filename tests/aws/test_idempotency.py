"""Test process: keys in DynamoDB: what stands in the table, transactions, and what its failures say."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.idempotency.conftest import START, DynamoDB
from worker import Message
from worker.aws.dynamodb import Table, make_client
from worker.idempotency import (
    Claim,
    DynamoDBStore,
    KeyLost,
    NotCommitted,
    ResultNotStorable,
    StoreFailed,
    Taken,
    TransactionRefused,
    idempotent,
)

Make = Callable[..., Message]
SCOPE = "s"


def put(table: str, name: str, **fields: Any) -> dict[str, Any]:
    """An effect: an item of the function's own, in the same table for brevity."""
    return {"Put": {"TableName": table, "Item": {"id": {"S": name}}, **fields}}


def test_the_table_holds_what_the_documents_say(dynamodb: DynamoDB) -> None:
    """In progress with owner and until, done with result; `expires` in whole seconds, as the table's TTL needs it."""
    store = dynamodb.store
    store.begin("k", owner="a", now=START, until=START + 1.2345)
    assert dynamodb.item("k") == {
        "id": {"S": "k"},
        "state": {"S": "in-progress"},
        "owner": {"S": "a"},
        "until": {"N": f"{START + 1.234:.3f}"},
        "expires": {"N": f"{START + 2:.0f}"},
    }
    store.mark("k", owner="a", result='{"value":7}', expires=START + 60.5)
    assert dynamodb.item("k") == {
        "id": {"S": "k"},
        "state": {"S": "done"},
        "owner": {"S": "a"},
        "result": {"S": '{"value":7}'},
        "expires": {"N": f"{START + 61:.0f}"},
    }
    store.begin("other", owner="a", now=START, until=START + 10)
    store.release("other", owner="a")
    assert dynamodb.item("other") is None


def test_an_effect_and_its_mark_are_one_write(dynamodb: DynamoDB) -> None:
    """Both are there."""
    store = dynamodb.store
    store.begin("k", owner="a", now=START, until=START + 10)
    store.commit([put(dynamodb.table, "effect")], key="k", owner="a", result=None, expires=START + 100)
    assert dynamodb.item("effect")
    assert store.is_marked("k", owner="a")


def test_a_transaction_of_a_lost_key_writes_nothing(dynamodb: DynamoDB) -> None:
    """A process that was stopped for an hour cannot have its effect beside the winner's."""
    store = dynamodb.store
    store.begin("k", owner="loser", now=START, until=START + 10)
    store.begin("k", owner="winner", now=START + 11, until=START + 20)
    with pytest.raises(KeyLost):
        store.commit([put(dynamodb.table, "effect")], key="k", owner="loser", result=None, expires=START + 100)
    assert dynamodb.item("effect") is None
    with pytest.raises(KeyLost):
        store.commit([put(dynamodb.table, "effect")], key="no", owner="loser", result=None, expires=START + 100)


def test_a_transaction_that_was_written_before_is_not_refused(dynamodb: DynamoDB) -> None:
    """Its answer was lost on the way: the mark tells, whatever the function's own conditions say now."""
    store = dynamodb.store
    store.begin("k", owner="a", now=START, until=START + 10)
    items = [put(dynamodb.table, "effect", ConditionExpression="attribute_not_exists(id)")]
    for _ in range(2):
        store.commit(items, key="k", owner="a", result=None, expires=START + 100)


def test_a_condition_of_the_function_refuses_all(dynamodb: DynamoDB) -> None:
    """The codes tell which one, by the position of its item; the key stays the attempt's."""
    store = dynamodb.store
    dynamodb.client.put_item(TableName=dynamodb.table, Item={"id": {"S": "there"}})
    store.begin("k", owner="a", now=START, until=START + 10)
    items = [
        put(dynamodb.table, "effect"),
        put(dynamodb.table, "there", ConditionExpression="attribute_not_exists(id)"),
    ]
    with pytest.raises(TransactionRefused) as error:
        store.commit(items, key="k", owner="a", result=None, expires=START + 100)
    assert error.value.codes == ["None", "ConditionalCheckFailed"]
    assert dynamodb.item("effect") is None
    assert store.mark("k", owner="a", result=None, expires=START + 100)


def test_a_transaction_has_room_for_its_mark(dynamodb: DynamoDB) -> None:
    """DynamoDB takes 100 items."""
    for number in (0, 100):
        with pytest.raises(ValueError, match=f"not {number}"):
            dynamodb.store.commit([{}] * number, key="k", owner="a", result=None, expires=START)


class Canned:
    """A client that answers as it is told: what a moto server never does."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**_: Any) -> Any:
            self.asked.append(operation)
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def cancelled(*codes: str) -> Exception:
    from botocore.exceptions import ClientError

    reasons = [{"Code": code} for code in codes]
    answer: Any = {"Error": {"Code": "TransactionCanceledException", "Message": ""}, "CancellationReasons": reasons}
    return ClientError(answer, "TransactWriteItems")


def test_transactions_that_cross_are_tried_again() -> None:
    """Two handlers on one counter are no reason for a receive; three pauses later it is an error, and a retry."""
    pauses: list[float] = []
    crossed = cancelled("TransactionConflict", "None")
    client: Any = Canned(crossed, crossed, {})
    store = DynamoDBStore("t", client=lambda: client, pause=pauses.append)
    store.commit([{}], key="k", owner="a", result=None, expires=START)
    assert pauses == [0.05, 0.2]
    client.answers = [crossed] * 4
    with pytest.raises(StoreFailed, match="TransactionConflict"):
        store.commit([{}], key="k", owner="a", result=None, expires=START)
    assert client.answers == []


def test_a_claim_writes_the_functions_effect_once(dynamodb: DynamoDB, message: Make) -> None:
    """A duplicate returns what was committed; the decorator marks nothing itself."""
    ran: list[str] = []

    @idempotent(dynamodb.store, key="id", scope=SCOPE)
    def handle(message: Message, claim: Claim) -> str:
        ran.append(message.id)
        claim.commit([put(dynamodb.table, "effect")], result="stored")
        with pytest.raises(RuntimeError, match="committed before"):
            claim.commit([put(dynamodb.table, "second")])
        return "stored"

    assert handle(message(b'{"id": 1}')) == handle(message(b'{"id": 1}')) == "stored"  # type: ignore[call-arg]  # the claim comes from the decorator
    assert len(ran) == 1
    assert dynamodb.item("effect")
    assert dynamodb.item("second") is None


def test_an_exception_behind_the_transaction_repeats_nothing(dynamodb: DynamoDB, message: Make) -> None:
    """What is committed stays done."""
    ran: list[str] = []

    @idempotent(dynamodb.store, key="id", scope=SCOPE)
    def handle(message: Message, claim: Claim) -> None:
        ran.append(message.id)
        claim.commit([put(dynamodb.table, "effect")])
        raise RuntimeError("told to")

    run: Any = handle
    with pytest.raises(RuntimeError):
        run(message(b'{"id": 1}'))
    assert run(message(b'{"id": 1}')) is None
    assert len(ran) == 1


def test_a_refused_transaction_leaves_the_claim_usable(dynamodb: DynamoDB, message: Make) -> None:
    """The function may find that its effect is there already, and return: then it is marked as usual."""
    dynamodb.client.put_item(TableName=dynamodb.table, Item={"id": {"S": "effect"}})

    @idempotent(dynamodb.store, key="id", scope=SCOPE)
    def handle(message: Message, claim: Claim) -> None:
        with pytest.raises(TransactionRefused):
            claim.commit([put(dynamodb.table, "effect", ConditionExpression="attribute_not_exists(id)")])

    run: Any = handle
    run(message(b'{"id": 1}'))
    assert dynamodb.item(f"{SCOPE}#1")["state"] == {"S": "done"}  # type: ignore[index]  # it is there


def test_a_marking_item_is_written_by_the_function_itself(dynamodb: DynamoDB, message: Make) -> None:
    """With a client of its own, in a transaction of its own."""
    ran: list[str] = []

    @idempotent(dynamodb.store, key="id", scope=SCOPE)
    def handle(message: Message, claim: Claim) -> None:
        ran.append(message.id)
        items = [put(dynamodb.table, "effect"), claim.marking_item()]
        dynamodb.client.transact_write_items(TransactItems=items)

    run: Any = handle
    run(message(b'{"id": 1}'))
    run(message(b'{"id": 1}'))
    assert len(ran) == 1


def test_a_marking_item_that_was_not_written_is_no_ack(dynamodb: DynamoDB, message: Make) -> None:
    """The effects beside it were not written either: an error that says so, and the key is free for the retry."""

    @idempotent(dynamodb.store, key="id", scope=SCOPE)
    def handle(message: Message, claim: Claim) -> None:
        claim.marking_item()

    run: Any = handle
    with pytest.raises(NotCommitted, match="message m-1: "):
        run(message(b'{"id": 1}', id="m-1"))
    assert dynamodb.item(f"{SCOPE}#1") is None


def test_a_commit_without_an_answer_is_looked_up(dynamodb: DynamoDB, message: Make) -> None:
    """A function that swallows the error must not be marked as done: nobody knows whether it is."""
    wanted: dict[str, Any] = {"Error": {"Code": "InternalServerError", "Message": "m"}, "ResponseMetadata": {}}
    from botocore.exceptions import ClientError

    class Deaf(DynamoDBStore):
        def commit(self, items: Any, **fields: Any) -> None:
            if written:
                super().commit(items, **fields)
            raise StoreFailed("no answer") from ClientError(wanted, "TransactWriteItems")

    store = Deaf(dynamodb.table)
    ran: list[str] = []

    @idempotent(store, key="id", scope=SCOPE)
    def handle(message: Message, claim: Claim) -> None:
        ran.append(message.id)
        with pytest.raises(StoreFailed):
            claim.commit([put(dynamodb.table, "effect")])

    run: Any = handle
    written = False
    with pytest.raises(NotCommitted):
        run(message(b'{"id": 1}'))
    written = True
    run(message(b'{"id": 1}'))
    run(message(b'{"id": 1}'))
    assert len(ran) == 2


def test_a_result_that_cannot_be_kept_is_refused_before_the_transaction(dynamodb: DynamoDB, message: Make) -> None:
    """Nothing is written."""

    @idempotent(dynamodb.store, key="id", scope=SCOPE)
    def handle(message: Message, claim: Claim) -> None:
        claim.commit([put(dynamodb.table, "effect")], result=object())

    run: Any = handle
    with pytest.raises(ResultNotStorable):
        run(message(b'{"id": 1}'))
    assert dynamodb.item("effect") is None
    assert dynamodb.item(f"{SCOPE}#1") is None


def test_a_missing_table_is_named_with_what_to_do(dynamodb: DynamoDB) -> None:
    """And so is a region that nobody has set, in its place."""
    with pytest.raises(StoreFailed, match=r"table 'nowhere' .*create it as docs/idempotency\.md shows"):
        DynamoDBStore("nowhere").begin("k", owner="a", now=START, until=START + 1)


def test_settings_that_make_no_client_are_an_error_of_the_store(
    dynamodb: DynamoDB, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It passes as one, so the message is retried."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(StoreFailed, match="NoRegionError"):
        DynamoDBStore(dynamodb.table).begin("k", owner="a", now=START, until=START + 1)
    assert (
        DynamoDBStore(dynamodb.table, region="us-east-1").begin("k", owner="a", now=START, until=START + 1) == Taken()
    )


def test_an_endpoint_that_nobody_listens_at_is_an_error_of_the_store(dynamodb: DynamoDB) -> None:
    """After a few tries, which take no longer than a backoff."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and never listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        store = DynamoDBStore(dynamodb.table, endpoint_url=url)
        with pytest.raises(StoreFailed, match=f"table '{dynamodb.table}' .*EndpointConnectionError"):
            store.begin("k", owner="a", now=START, until=START + 1)


def test_an_item_that_is_no_record_is_not_run_over(dynamodb: DynamoDB) -> None:
    """Somebody else's table, or somebody's edit: neither free nor busy."""
    dynamodb.client.put_item(TableName=dynamodb.table, Item={"id": {"S": "k"}, "total": {"N": "1"}})
    with pytest.raises(StoreFailed, match="no record of ours"):
        dynamodb.store.begin("k", owner="a", now=START, until=START + 1)


def test_what_botocore_would_not_send_shows_no_value(dynamodb: DynamoDB) -> None:
    """Its complaint has the values of the function's items, and those may be of the body."""
    bad = {"Put": {"TableName": dynamodb.table, "Item": {"id": "secret-7"}}}
    with pytest.raises(ValueError, match="TransactItems") as error:
        dynamodb.store.commit([bad], key="k", owner="a", result=None, expires=START)
    assert "secret-7" not in str(error.value)


def test_a_forked_process_has_a_client_of_its_own(dynamodb: DynamoDB) -> None:
    """A template process may hold one; two processes on one connection would read each other's answers."""
    made: list[int] = []

    def make() -> Any:
        made.append(os.getpid())
        return make_client(None, None)

    store = DynamoDBStore(dynamodb.table, client=make)
    store.begin("k", owner="a", now=START, until=START + 10)
    child = os.fork()
    if child == 0:
        try:
            store.mark("k", owner="a", result=None, expires=START + 20)
            os._exit(0 if made == [os.getppid(), os.getpid()] else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert store.is_marked("k", owner="a")
    assert made == [os.getpid()]


def test_threads_share_one_client(dynamodb: DynamoDB) -> None:
    """It is made once, though all ask for it at the same moment."""
    together, made = threading.Barrier(8), []

    def make() -> Any:
        made.append(1)
        return make_client(None, None)

    table = Table(dynamodb.table, make)

    def ask() -> None:
        together.wait(20)
        table.ask("describe_table", TableName=dynamodb.table)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert made == [1]
