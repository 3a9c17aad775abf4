"""Test process: the SQS server over real sockets: HTTP as clients speak it, and as they should not."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from worker.testing.sqs_server.process import SqsServerProcess


class Wire:
    """One connection, one request after another."""

    def __init__(self, server: SqsServerProcess) -> None:
        self.port = int(server.url.rpartition(":")[2])
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.buffer = b""

    def close(self) -> None:
        self.socket.close()

    def post(self, action: str, members: Any, **headers: str) -> None:
        body = members if isinstance(members, bytes) else orjson.dumps(members)
        lines = {"Host": "localhost", "X-Amz-Target": f"AmazonSQS.{action}", "Content-Length": str(len(body))}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "POST / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        self.socket.sendall(head.encode() + body)

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self.buffer += data

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, body."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", "0"))
        while len(self.buffer) < length:
            self._more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return int(first.split(" ")[1]), headers, body

    def call(self, action: str, **members: Any) -> dict[str, Any]:
        self.post(action, members)
        status, _, body = self.answer()
        assert status == 200, body
        answer: dict[str, Any] = orjson.loads(body)
        return answer

    def raw(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        self.socket.sendall(data)
        return self.answer()


Connect = Callable[..., Wire]


@pytest.fixture
def connect(sqs_server: SqsServerProcess) -> Iterator[Connect]:
    """Opens connections to the session's server, or to another one."""
    wires: list[Wire] = []

    def make(server: SqsServerProcess = sqs_server) -> Wire:
        wires.append(Wire(server))
        return wires[-1]

    yield make
    for wire in wires:
        wire.close()
    sqs_server.clear_faults()


@pytest.fixture
def wire(connect: Connect) -> Wire:
    """A connection to the session's server."""
    return connect()


@pytest.fixture
def url(wire: Wire) -> str:
    """A new queue."""
    url: str = wire.call("CreateQueue", QueueName=f"http-{uuid.uuid4().hex}")["QueueUrl"]
    return url


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_an_answer_has_the_headers_of_aws(wire: Wire, url: str) -> None:
    """Answers carry type, length, date and a request id that differs from request to request."""
    ids = set()
    for _ in range(2):
        wire.post("SendMessage", {"QueueUrl": url, "MessageBody": "a"})
        status, headers, body = wire.answer()
        assert status == 200
        assert headers["content-type"] == "application/x-amz-json-1.0"
        assert int(headers["content-length"]) == len(body)
        assert headers["date"].endswith("gmt")
        ids.add(headers["x-amzn-requestid"])
    assert len(ids) == 2


def test_an_error_has_both_codes(wire: Wire) -> None:
    """The body names the shape, the header the query code and whose fault it is."""
    wire.post("GetQueueUrl", {"QueueName": "no-such-queue"})
    status, headers, body = wire.answer()
    assert status == 400
    assert headers["x-amzn-query-error"] == "aws.simplequeueservice.nonexistentqueue;sender"
    assert orjson.loads(body) == {
        "__type": "com.amazonaws.sqs#QueueDoesNotExist",
        "message": "The specified queue does not exist.",
    }


def test_requests_in_pieces_and_in_one_piece(wire: Wire, url: str) -> None:
    """A request may arrive byte by byte, and two requests in one packet; answers keep their order."""
    body = orjson.dumps({"QueueUrl": url, "MessageBody": "a"})
    head = f"POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AmazonSQS.SendMessage\r\ncontent-length: {len(body)}\r\n\r\n"
    for byte in head.encode() + body:
        wire.socket.sendall(bytes([byte]))
    assert wire.answer()[0] == 200
    both = b"".join(
        f"POST / HTTP/1.1\r\nX-AMZ-TARGET: AmazonSQS.{action}\r\nCONTENT-LENGTH: {len(body)}\r\n\r\n".encode() + body
        for action in ("ReceiveMessage", "NoSuchAction")
    )
    status, _, answer = wire.raw(both)
    assert (status, len(orjson.loads(answer)["Messages"])) == (200, 1)
    assert wire.answer()[0] == 404


def test_a_pipelined_request_waits_for_a_long_poll(connect: Connect, wire: Wire, url: str) -> None:
    """What follows a long poll on the same connection is answered after it."""
    wire.post("ReceiveMessage", {"QueueUrl": url, "WaitTimeSeconds": 10})
    wire.post("ListQueueTags", {"QueueUrl": url})
    connect().call("SendMessage", QueueUrl=url, MessageBody="a")
    assert b'"Body":"a"' in wire.answer()[2]
    assert wire.answer()[2] == b"{}"


def test_a_large_message(wire: Wire, url: str) -> None:
    """A body of 1 MiB comes back whole."""
    body = "é" * 524_288
    wire.call("SendMessage", QueueUrl=url, MessageBody=body)
    [message] = wire.call("ReceiveMessage", QueueUrl=url)["Messages"]
    assert message["Body"] == body


def test_expect_100_continue(wire: Wire, url: str) -> None:
    """A client that asks first is told to go on, then answered."""
    body = orjson.dumps({"QueueUrl": url, "MessageBody": "a"})
    head = (
        f"POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.SendMessage\r\nExpect: 100-continue\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    assert wire.raw(head.encode())[0] == 100
    assert wire.raw(body)[0] == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nX: " + b"x" * 70_000, 431),
    ],
)
def test_what_is_no_http_is_refused_and_closed(wire: Wire, request_bytes: bytes, status: int) -> None:
    """Requests that cannot be read are answered with the reason, and the connection ends."""
    assert wire.raw(request_bytes)[0] == status
    with pytest.raises((EOFError, ConnectionResetError)):
        wire.answer()


@pytest.mark.parametrize("head", ["GET / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"])
def test_a_request_without_an_action_is_unknown(wire: Wire, head: str) -> None:
    """Without X-Amz-Target SQS does not know the operation."""
    status, _, body = wire.raw(head.encode())
    assert status == 404
    assert orjson.loads(body)["__type"] == "com.amazon.coral.service#UnknownOperationException"


@pytest.mark.parametrize("line", ["POST / HTTP/1.0\r\n", "POST / HTTP/1.1\r\nConnection: close\r\n"])
def test_a_client_that_wants_no_more_is_let_go(wire: Wire, line: str) -> None:
    """HTTP/1.0 and Connection: close get their answer, and the end of the connection."""
    status, headers, _ = wire.raw(f"{line}X-Amz-Target: AmazonSQS.ListQueues\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert (status, headers["connection"]) == (200, "close")
    with pytest.raises(EOFError):
        wire.answer()


def test_health_checks(wire: Wire) -> None:
    """GET and HEAD of /health, and LocalStack's path, answer 200."""
    assert orjson.loads(wire.raw(b"GET /health HTTP/1.1\r\n\r\n")[2]) == {"status": "ok"}
    assert wire.raw(b"HEAD /health HTTP/1.1\r\n\r\n")[0] == 200
    status, _, body = wire.raw(b"GET /_localstack/health HTTP/1.1\r\n\r\n")
    assert (status, orjson.loads(body)["services"]["sqs"]) == (200, "running")


def test_the_queue_may_stand_in_the_path(wire: Wire, url: str) -> None:
    """A request may be posted to the queue's URL, with or without QueueUrl in its body."""
    path = url[url.index("/0000") :]
    for members in ({"QueueUrl": url, "MessageBody": "a"}, {"MessageBody": "b"}):
        body = orjson.dumps(members)
        head = f"POST {path} HTTP/1.1\r\nX-Amz-Target: AmazonSQS.SendMessage\r\nContent-Length: {len(body)}\r\n\r\n"
        assert wire.raw(head.encode() + body)[0] == 200


def test_the_region_of_the_credentials_makes_the_arn(wire: Wire) -> None:
    """The region of the Authorization header is the queue's; without one it is us-east-1."""
    scope = "AWS4-HMAC-SHA256 Credential=key/20260101/eu-central-1/sqs/aws4_request, SignedHeaders=host, Signature=0"
    name = f"region-{uuid.uuid4().hex}"
    wire.post("CreateQueue", {"QueueName": name}, Authorization=scope)
    assert wire.answer()[0] == 200
    request = {"QueueUrl": name, "AttributeNames": ["QueueArn"]}
    wire.post("GetQueueAttributes", request, Authorization=scope)
    assert orjson.loads(wire.answer()[2])["Attributes"]["QueueArn"] == f"arn:aws:sqs:eu-central-1:000000000000:{name}"
    wire.post("GetQueueAttributes", request)
    assert wire.answer()[0] == 400


def test_queue_urls_say_localhost(wire: Wire, url: str) -> None:
    """On 127.0.0.1 queue URLs are those that LocalStack's users know."""
    assert url == f"http://localhost:{wire.port}/000000000000/{name_of(url)}"


def test_a_long_poll_returns_with_the_message(connect: Connect, wire: Wire, url: str) -> None:
    """A message that comes during the poll ends it within moments."""
    wire.post("ReceiveMessage", {"QueueUrl": url, "WaitTimeSeconds": 20})
    start = time.monotonic()
    connect().call("SendMessage", QueueUrl=url, MessageBody="a")
    assert b'"Body":"a"' in wire.answer()[2]
    assert time.monotonic() - start < 2


def test_a_long_poll_lasts_as_long_as_it_should(wire: Wire, url: str) -> None:
    """An empty poll of one second takes one second, and a visibility timeout wakes it before."""
    start = time.monotonic()
    assert wire.call("ReceiveMessage", QueueUrl=url, WaitTimeSeconds=1) == {}
    assert 0.99 < time.monotonic() - start < 3
    wire.call("SendMessage", QueueUrl=url, MessageBody="a")
    wire.call("ReceiveMessage", QueueUrl=url, VisibilityTimeout=1)
    assert wire.call("ReceiveMessage", QueueUrl=url, WaitTimeSeconds=20)["Messages"]


def test_a_poll_whose_client_has_gone_still_takes_messages(
    sqs_server: SqsServerProcess, connect: Connect, wire: Wire, url: str
) -> None:
    """As on AWS, a message assigned to a closed connection is hidden; the log tells that its answer was aborted."""
    leaving = connect()
    leaving.post("ReceiveMessage", {"QueueUrl": url, "WaitTimeSeconds": 20})
    wire.call("ListQueueTags", QueueUrl=url)
    leaving.socket.shutdown(socket.SHUT_WR)
    assert leaving.socket.recv(1) == b"", "the server has noticed"
    leaving.close()
    wire.call("SendMessage", QueueUrl=url, MessageBody="a")
    sqs_server.wait_for_depths(name_of(url), ready=0, in_flight=1)
    events = sqs_server.events()
    [assign] = [event for event in events if event["event"] == "assign" and event["queue"] == name_of(url)]
    same = ("connection", "request")
    answers = [event for event in events if event["event"] == "response"]
    [answer] = [event for event in answers if all(event[name] == assign[name] for name in same)]
    assert answer["outcome"] == "aborted"


def test_orphaned_polls_can_be_dropped(connect: Connect) -> None:
    """With --drop-orphan-polls the message stays for who is still there."""
    with SqsServerProcess(orphan_polls=False) as server:
        wire, leaving = connect(server), connect(server)
        url = wire.call("CreateQueue", QueueName="q")["QueueUrl"]
        leaving.post("ReceiveMessage", {"QueueUrl": url, "WaitTimeSeconds": 20})
        wire.call("ListQueueTags", QueueUrl=url)
        leaving.close()
        wire.call("ListQueueTags", QueueUrl=url)
        wire.call("SendMessage", QueueUrl=url, MessageBody="a")
        assert wire.call("ReceiveMessage", QueueUrl=url)["Messages"]


def test_latency_delays_answers_and_blocks_nobody(connect: Connect) -> None:
    """With a latency every answer is that late, and requests on several connections are late together."""
    with SqsServerProcess(latency=0.3) as server:
        wires = [connect(server) for _ in range(5)]
        start = time.monotonic()
        for wire in wires:
            wire.post("ListQueues", {})
        for wire in wires:
            assert wire.answer()[0] == 200
        assert 0.3 <= time.monotonic() - start < 1.0


def test_a_reset_connection(sqs_server: SqsServerProcess, wire: Wire, url: str) -> None:
    """A reset after the effect: the client sees the connection break, and the message is in flight."""
    wire.call("SendMessage", QueueUrl=url, MessageBody="a")
    sqs_server.set_faults({"effect": "drop", "when": "after", "queue": name_of(url)})
    wire.post("ReceiveMessage", {"QueueUrl": url})
    with pytest.raises(ConnectionResetError):
        wire.answer()
    assert sqs_server.queues()[name_of(url)] == {"ready": 0, "in_flight": 1, "delayed": 0}


def test_a_closed_connection(sqs_server: SqsServerProcess, wire: Wire, url: str) -> None:
    """A clean close before the effect: nothing happened."""
    sqs_server.set_faults({"effect": "drop", "how": "close", "queue": name_of(url)})
    wire.post("SendMessage", {"QueueUrl": url, "MessageBody": "a"})
    with pytest.raises(EOFError):
        wire.answer()
    assert sqs_server.queues()[name_of(url)]["ready"] == 0


def test_a_trickling_answer(sqs_server: SqsServerProcess, wire: Wire, url: str) -> None:
    """An answer at 1,000 bytes a second arrives whole, and slowly."""
    sqs_server.set_faults({"effect": "trickle", "bytes_per_second": 1000, "queue": name_of(url), "count": 1})
    start = time.monotonic()
    assert wire.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert time.monotonic() - start > 0.3
    assert wire.call("ListQueueTags", QueueUrl=url) == {}


def test_a_black_hole(sqs_server: SqsServerProcess, connect: Connect, wire: Wire, url: str) -> None:
    """A black hole answers nothing, keeps the connection, and leaves others alone."""
    sqs_server.set_faults({"effect": "black_hole", "queue": name_of(url), "count": 1})
    wire.socket.settimeout(0.3)
    wire.post("ListQueueTags", {"QueueUrl": url})
    with pytest.raises(TimeoutError):
        wire.answer()
    assert connect().call("ListQueueTags", QueueUrl=url) == {}


def test_fault_rules_over_http(sqs_server: SqsServerProcess, wire: Wire) -> None:
    """Rules are set, shown and cleared over HTTP; a bad one is refused with the reason."""
    with pytest.raises(ValueError, match="effect must be one of"):
        sqs_server.set_faults({"effect": "meteor"})
    with pytest.raises(ValueError, match="no field"):
        sqs_server.set_faults({"effect": "delay", "wrong": 1})
    sqs_server.set_faults({"effect": "delay", "seconds": 0, "action": "Never"})
    shown = orjson.loads(wire.raw(b"GET /_faults HTTP/1.1\r\n\r\n")[2])
    assert shown["rules"] == [{"effect": "delay", "action": ["Never"], "queue": "", "matched": 0, "used": 0}]
    assert sqs_server.clear_faults() == shown["rules"]
    body = b"{"
    head = f"POST /_faults HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    assert wire.raw(head + body)[0] == 400


@pytest.mark.parametrize(
    ("path", "status"), [("/_nothing", 404), ("/_events?after=x", 400), ("/_events", 200), ("/_queues", 200)]
)
def test_paths_for_tests(wire: Wire, path: str, status: int) -> None:
    """The server's own paths answer JSON, and say so when they do not exist."""
    code, headers, body = wire.raw(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    assert (code, headers["content-type"]) == (status, "application/json")
    orjson.loads(body)


def test_the_event_log_is_off_unless_asked_for(connect: Connect) -> None:
    """Without --events there is no log, and the path says so."""
    with SqsServerProcess() as server:
        status, _, body = connect(server).raw(b"GET /_events HTTP/1.1\r\n\r\n")
        assert (status, "--events" in orjson.loads(body)["error"]) == (404, True)
