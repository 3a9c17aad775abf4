"""Test process: hostile answers through the poller's calls: each client on a real socket, then the ledger."""

from __future__ import annotations

import json
import logging
import mmap
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.aws.conftest import wait
from tests.hostile.corpus import ACTIVE, CORPUS, Hostile, Way
from tests.hostile.proxy import Call, Proxy, Said
from worker.aws.clients import client_for
from worker.aws.library_log import LibraryLog, tell_warnings
from worker.aws.session import Session
from worker.leases import LeaseTable
from worker.policy import arrivals, outcomes
from worker.policy.delivery import State
from worker.policy.failures import FailureKind
from worker.policy.ledger import Ledger
from worker.policy.requests import Answer, Delete, Hide, Outgoing, Receive, Request, Send
from worker.policy.rules import Rules
from worker.settings import QueueSettings, RetrySettings, Settings
from worker.telemetry import Log

RECEIPTS = ("SHORT-RECEIPT", "LONG-RECEIPT" * 30)
RECEIVE = Receive(10, wait=0, visibility=30)
REQUESTS: list[Request] = [
    RECEIVE,
    Delete(RECEIPTS),
    Hide(tuple((receipt, 0) for receipt in RECEIPTS)),
    Send("http://127.0.0.1/1/dead", (Outgoing(b"one", {}), Outgoing(b"two", {}))),
]


class Endpoint:
    """One poller's calls to an endpoint that says what the test wants."""

    def __init__(self, client: str) -> None:
        self.says: Callable[[Call], Said | None] = lambda _call: Said(b"{}")
        self.proxy = Proxy(lambda call: self.says(call))
        queue = QueueSettings(name="work", handler="m:f", url="http://127.0.0.1/1/work", client=client, polls=1)
        session = Session(Settings(name="x", queues=(queue,), endpoint_url=self.proxy.url, region="us-east-1"), queue)
        self.client = client_for(session, queue, controls=1)
        self.calls = self.client.sqs(queue.url)

    def ask(self, request: Request) -> Answer:
        """The answer to one request; there has to be one."""
        self.calls.start(request, "token")
        (answer,) = wait(self.calls, 20)
        return answer

    def receive(self, *messages: dict[str, Any]) -> Answer:
        self.says = lambda _call: Said(json.dumps({"Messages": messages}).encode())
        return self.ask(RECEIVE)


@pytest.fixture(scope="module", params=["lean", "boto3"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        made = Endpoint(request.param)
        with made.proxy:
            yield made
            made.client.close()


def new_ledger(*, fifo: bool = False) -> Ledger:
    rules = Rules(fifo=fifo, visibility=30, retry=RetrySettings(first=1.0, most=900.0), dead_letter="d", attempts=3)
    return Ledger(LeaseTable(mmap.mmap(-1, LeaseTable.size(200))), rules)


@pytest.mark.parametrize("fifo", [False, True])
def test_the_whole_corpus_enters_the_ledger(endpoint: Endpoint, fifo: bool) -> None:
    """Each message is owned or counted as unusable; damaged ones are given back, all others are ready to be handled.

    Nothing raises: an exception here would end the poller, and its successor as soon as it got the same message.
    """
    neighbour = Hostile("plain", members={"Attributes": {"MessageGroupId": "another"}}).shape("other", "receipt-2")
    for hostile in CORPUS.values():
        ledger = new_ledger(fifo=fifo)
        answer = endpoint.receive(hostile.shape("id", "receipt"), neighbour)
        assert answer.failure is None, hostile.name
        assert answer.unusable == (hostile.way is Way.UNOWNED), hostile.name
        assert len(answer.messages) == 2 - answer.unusable
        arrivals.received(ledger, answer.messages, sent_at=0.0, now=0.0, chance=1.0)
        states = [delivery.state for delivery in ledger.deliveries.values()]
        expected = {Way.UNOWNED: [], Way.DAMAGED: [State.SETTLING]}.get(hostile.way, [State.READY])
        assert states == [*expected, State.READY], hostile.name
        assert not ledger.deletes
        for delivery in outcomes.take(ledger, 1, most=10, most_bytes=10**9, now=0.0):
            outcomes.retried(ledger, delivery.seq, None, why=ACTIVE, now=0.0, chance=1.0)
        assert not ledger.deletes, hostile.name
        assert all(delivery.settlement is None or delivery.settlement.seconds <= 900 for delivery in ledger.hides)


BROKEN = [
    *(Said(body) for body in (b"\xff\xfe", b"null", b"[]", b'"text"', b"5", b"<html>", b"[" * 200_000, b"")),
    *(Said(body) for body in (b'{"Messages": 5}', b'{"Messages": [null, 5]}', b'{"Messages": [["x"]]}')),
    *(Said(body) for body in (b'{"Messages": [{"Attributes": []}]}', b'{"Messages": [{"MessageAttributes": "x"}]}')),
    *(Said(body) for body in (b'{"Failed": 5}', b'{"Failed": [{}]}', b'{"Failed": [{"Id": null}]}')),
    *(Said(body) for body in (b'{"Successful": "x"}', b'{"Successful": [{"Id": 5}]}', b'{"Failed": [{"Id": [0]}]}')),
    Said(json.dumps({"Failed": [{"Id": "0", "Code": {"a": 1}, "Message": [ACTIVE], "SenderFault": "x"}]}).encode()),
    *(Said(body, 400) for body in (b"\xff", b"null", b"[]", b"", b'{"__type": 5}', b'{"__type": ["x"]}')),
    *(Said(body, 400) for body in (b'{"message": {"a": ["x"]}}', b'{"__type": "X", "message": 5}', b"<html>")),
    *(Said(json.dumps({"__type": f"a#{ACTIVE}", "message": ACTIVE}).encode(), status) for status in (400, 403, 500)),
    Said(b"{}", 302),
    Said(b"{}", 599),
]


@pytest.mark.parametrize("said", BROKEN, ids=lambda said: f"{said.status} {said.body[:40]!r}")
def test_whatever_the_endpoint_says_is_an_answer(endpoint: Endpoint, said: Said) -> None:
    """No thread dies and nothing counts as settled: an entry that is not confirmed by its position is a failure."""
    endpoint.says = lambda _call: said
    for request in REQUESTS:
        answer = endpoint.ask(request)
        assert answer.messages == ()
        if not isinstance(request, Receive):
            assert answer.failure is not None or None not in answer.entries
        for failure in (answer.failure, *answer.entries):
            assert failure is None or len(str(failure)) < 700
    endpoint.says = lambda _call: Said(b"{}")
    assert endpoint.ask(RECEIVE).failure is None


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"null", b'"text"', b"\xff\xfe", b"{cut off"])
def test_a_success_that_is_not_json_is_no_empty_queue(endpoint: Endpoint, body: bytes) -> None:
    """What a proxy or a captive portal answers is a transient failure; a pool that took it for no messages would look
    idle."""
    endpoint.says = lambda _call: Said(body)
    failure = endpoint.ask(RECEIVE).failure
    assert failure is not None
    assert failure.kind is FailureKind.TRANSIENT


@pytest.mark.parametrize("request_", REQUESTS[1:3], ids=lambda one: type(one).__name__)
def test_receipts_that_an_error_echoes_are_left_out(endpoint: Endpoint, request_: Request) -> None:
    """For the whole request or for one entry, quoted or not, long ones and the short ones of emulators."""

    def echo(call: Call) -> Said:
        receipts = [entry["ReceiptHandle"] for entry in call.request["Entries"]]
        text = f'The input receipt handle "{receipts[0]}" is not valid. Value {receipts[1]}, twice: {receipts[1]}'
        if endpoint_fails:
            return Said(json.dumps({"__type": "ReceiptHandleIsInvalid", "message": text}).encode(), 404)
        failed = {"Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": True, "Message": text}
        return Said(json.dumps({"Failed": [failed, failed | {"Id": "1"}]}).encode())

    endpoint.says = echo
    for endpoint_fails in (True, False):
        answer = endpoint.ask(request_)
        for failure in (answer.failure,) if endpoint_fails else answer.entries:
            assert failure is not None
            assert "RECEIPT" not in str(failure)
            assert "is not valid" in str(failure)
            assert failure.kind is FailureKind.LEASE


def test_an_attribute_that_boto3_refuses_is_final(endpoint: Endpoint) -> None:
    """It is never sent, so trying it again for 12 hours would only hold up the others of its batch."""
    hostile: list[Any] = [{"a": {"StringValue": "x"}}, {"a": {}}, {"": {}}]
    for attributes in hostile:
        answer = endpoint.ask(Send("http://127.0.0.1/1/dead", (Outgoing(b"one", attributes), Outgoing(b"two", {}))))
        assert answer.failure is not None
        assert answer.failure.kind is FailureKind.INVALID


def test_a_body_that_cannot_be_read_as_json_is_final(endpoint: Endpoint) -> None:
    """What SQS says of a request with a lone surrogate in it."""
    body = json.dumps({"__type": "com.amazon.coral.service#SerializationException"}).encode()
    endpoint.says = lambda _call: Said(body, 400)
    answer = endpoint.ask(Send("http://127.0.0.1/1/dead", (Outgoing("\ud800".encode("utf-8", "surrogatepass"), {}),)))
    assert answer.failure is not None
    assert answer.failure.kind is FailureKind.INVALID


def test_a_refused_signature_does_not_show_what_was_signed(endpoint: Endpoint) -> None:
    """SQS answers it with the request as it should have been signed, the session token among its headers."""

    def refuse(call: Call) -> Said:
        signed = "\n".join(["POST", "/", "", *(f"{name.lower()}:{value}" for name, value in call.headers.items())])
        text = f"The signature does not match. The Canonical String for this request should have been\n'{signed}'"
        return Said(json.dumps({"__type": "SignatureDoesNotMatch", "message": text}).encode(), 403)

    endpoint.says = refuse
    failure = endpoint.ask(RECEIVE).failure
    assert failure is not None
    assert failure.kind is FailureKind.CREDENTIALS
    assert str(failure) == "SignatureDoesNotMatch: The signature does not match. "


@pytest.mark.parametrize("client", ["lean", "boto3"])
def test_a_token_that_no_header_takes_is_not_shown(monkeypatch: pytest.MonkeyPatch, client: str) -> None:
    """A line end in AWS_SESSION_TOKEN, which a file adds easily: http.client would name the whole value."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, f"HIDDEN-{name}\n")
    made = Endpoint(client)
    with made.proxy:
        failure = made.ask(RECEIVE).failure
        made.client.close()
    assert failure is not None
    assert failure.kind is FailureKind.CREDENTIALS
    assert "HIDDEN" not in str(failure)


@pytest.fixture
def warned(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Lets the libraries warn as in a poller; gives the log lines."""
    root = logging.getLogger()
    before = list(root.handlers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root, "handlers", [])  # pollers that earlier tests began have theirs here
        patch.setattr(warnings, "formatwarning", warnings.formatwarning)
        patch.setattr(warnings, "showwarning", warnings.showwarning)
        tell_warnings(Log(human=False, process="poller"))
        yield lambda: [json.loads(line) for line in capfd.readouterr().err.splitlines()]
        logging.captureWarnings(False)
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        assert isinstance(handler, LibraryLog)


def test_what_libraries_warn_of_is_a_log_line(warned: Callable[[], list[dict[str, Any]]]) -> None:
    """One JSON object, the same warning once, from any thread; long words, which may be tokens, are cut; no debug."""
    logger = logging.getLogger("botocore.credentials")
    secret = "S" * 300
    try:
        raise ValueError(f"Invalid header value b'{secret}\\n'")
    except ValueError:
        for _ in range(3):
            logger.warning("Refreshing failed %s", ACTIVE, exc_info=True)
    another = threading.Thread(target=logger.error, args=("from a thread",))
    another.start()
    another.join()
    misfit = logging.LogRecord("botocore", logging.WARNING, "", 0, "a format %d", ("that does not fit",), None)
    LibraryLog(Log(human=False)).handle(misfit)
    logger.debug("the whole request with its Authorization header")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"old {ACTIVE}", stacklevel=1)
    lines = warned()
    assert {line["event"] for line in lines} == {"library_warned"}
    assert [line["library"] for line in lines] == ["botocore.credentials"] * 2 + ["botocore", "py.warnings"]
    assert lines[0]["why"].startswith("Refreshing failed")
    assert "S" * 20 not in str(lines)
