"""Test process: secrets are put in everywhere, everything happens, and no output holds one of them."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.proxy import Call, Proxy, Said
from tests.system.pool import ROOT, Pool, eventually
from worker.testing.sqs_server.process import SqsServerProcess

pytestmark = pytest.mark.system

KEY = "CANARYKEY" + "k" * 31  #: as long as a real one
TOKEN = "CANARYTOKEN" + "t" * 700
BODY = "CANARYBODY"
ATTRIBUTES = {
    "note": {"DataType": "String", "StringValue": "CANARYTEXT"},
    "blob": {"DataType": "Binary", "BinaryValue": b"CANARYBYTES"},
}
#: What each message makes its handler function do, and whether it ends in the dead-letter queue.
WORDS = {"ack": False, "forward": False} | dict.fromkeys(
    ("retry", "reject", "json", "locals", "deep", "ascii", "exit", "abort", "segfault", "hang", "deaf"), True
)
#: Characters of a receipt handle that an error text may keep, to tell which it was.
SHOWN = 12


class Endpoint:
    """Goes before the SQS server: fails each kind of call in several ways first, and echoes all that it was sent."""

    def __init__(self) -> None:
        self.receipts: set[str] = set()
        self.seen: Counter[str] = Counter()

    def change(self, call: Call) -> Said | None:
        if call.status:
            messages = call.answer.get("Messages", ()) if isinstance(call.answer, dict) else ()
            self.receipts |= {message["ReceiptHandle"] for message in messages}
            return None
        self.seen[call.action] += 1
        # Every other call goes through: the pool has to come to an end all the same.
        turn, passes = divmod(self.seen[call.action] - 1, 2)
        return None if passes or call.action == "GetQueueAttributes" else self._failure(call, turn)

    @staticmethod
    def _failure(call: Call, turn: int) -> Said | None:
        entries = call.request.get("Entries", [])
        receipts = [entry["ReceiptHandle"] for entry in entries if "ReceiptHandle" in entry]
        canonical = "\n".join(["POST", "/", *(f"{name.lower()}:{value}" for name, value in call.headers.items())])
        texts = {
            "SignatureDoesNotMatch": f"does not match. The Canonical String should have been\n'{canonical}'",
            "InternalFailure": f"request {json.dumps(call.request)} failed",
            "ServiceUnavailable": f"Value {' '.join(receipts)} for parameter ReceiptHandle was not processed",
        }
        if turn < len(texts):
            shape, text = list(texts.items())[turn]
            return Said(json.dumps({"__type": shape, "message": text}).encode(), 403 if turn == 0 else 500)
        if turn == len(texts) and entries:
            failed = [
                {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False, "Message": f'failed: "{receipt}"'}
                for entry, receipt in zip(entries, receipts, strict=False)
            ]
            return Said(json.dumps({"Failed": failed}).encode())
        return None


def outputs(pool: Pool) -> Iterator[tuple[str, bytes]]:
    """What anybody outside can read of a running pool, each with a name."""
    for verb in ("status", "stacks", "resume", "scale", "nonsense"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(pool.socket))
            connection.sendall(json.dumps({"verb": verb}).encode() + b"\n")
            yield f"socket {verb}", b"".join(iter(lambda: connection.recv(65536), b""))
    at = ["--socket", str(pool.socket)]
    config = ["--config", str(pool.config)]
    for words in (
        ["status", *at],
        ["status", "--json", *at],
        ["stacks", *at],
        ["check", *config],
        ["check", *config, "--json"],
    ):
        command = [sys.executable, "-m", "worker", *words]
        ended = subprocess.run(command, env=pool.environment, cwd=ROOT, capture_output=True, check=False)
        assert ended.returncode == 0, ended.stderr
        yield f"worker {words[0]}", ended.stdout + ended.stderr
    for process in pool.tree():
        yield "arguments", Path(f"/proc/{process.pid}/cmdline").read_bytes() if sys.platform == "linux" else b""


def spellings(secret: str) -> Iterator[bytes]:
    """As it is, and as base64 has it at any offset."""
    yield secret.encode()
    for offset in range(3):
        yield base64.b64encode(b"x" * offset + secret.encode())[4:-4]


def send(pool: Pool) -> None:
    for word in WORDS:
        body = f"{word} {BODY}"
        pool.sqs.send_message(QueueUrl=pool.url, MessageBody=body, MessageAttributes=ATTRIBUTES)


def dead_letters(pool: Pool, found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The attributes of the dead letters by their first word, added to those found before."""
    while messages := pool.sqs.receive_message(
        QueueUrl=pool.dead, MaxNumberOfMessages=10, VisibilityTimeout=600, MessageAttributeNames=["All"]
    ).get("Messages"):
        found |= {message["Body"].split()[0]: message.get("MessageAttributes", {}) for message in messages}
    return found


def test_no_output_holds_a_secret(pools: Callable[..., Pool], server: SqsServerProcess) -> None:
    """Outcomes of every kind, exceptions with secrets in the locals of every frame, crashes with stack dumps, hangs,
    deaths, and an endpoint that fails and echoes receipt handles, bodies, token and signature; at log level debug.
    Searched: standard output and error, every answer of the control socket and the commands, the arguments of every
    process, every file of the pool's folder, and what quarantine adds to a dead letter.

    A handler function that puts a body into an exception's text, or prints it, does so by its own choice: such texts
    are logged as they are (clipped and escaped), for they are what its author wanted to read.
    """
    endpoint = Endpoint()
    with Proxy(endpoint.change, target=server.url) as proxy:
        options = {"receives": 2, "wait": 1, "handler_timeout": 1, "log_level": "debug", "drain_timeout": 10}
        pool = pools("tests.security.application:by_word", **options, retry={"first": 0.1, "most": 0.2})
        target = pool.sqs.create_queue(QueueName=f"{pool.url.rsplit('/', 1)[1]}-target")["QueueUrl"]
        credentials = {"AWS_SECRET_ACCESS_KEY": KEY, "AWS_SESSION_TOKEN": TOKEN}
        pool.environment |= credentials | {"AWS_ENDPOINT_URL": proxy.url, "TARGET": target}
        send(pool)
        pool.start()
        read = list(outputs(pool))
        assert pool.process is not None
        pool.process.send_signal(signal.SIGUSR1)
        found: dict[str, dict[str, Any]] = {}
        dead = {word for word, dies in WORDS.items() if dies}
        eventually(lambda: dead_letters(pool, found).keys() == dead, seconds=40, why=f"{dead - found.keys()} are dead")
        pool.wait_empty(seconds=10)
        (poller,) = pool.pids("pollers")
        os.kill(poller, signal.SIGKILL)
        eventually(lambda: pool.pids("pollers") not in ([], [poller]), seconds=10, why="a successor")
        read += outputs(pool)
        assert pool.stop() == 0
    read += [(path.name, path.read_bytes()) for path in pool.folder.iterdir() if path.is_file()]
    read += [("crash", json.dumps(one["worker.crash"]).encode()) for one in found.values() if "worker.crash" in one]
    searched(read, endpoint)
    happened(pool, endpoint, crashes=sum(name == "crash" for name, _ in read))


def searched(read: list[tuple[str, bytes]], endpoint: Endpoint) -> None:
    """No secret in any of it."""
    secrets = {KEY, TOKEN[:40], BODY, "CANARYTEXT", "CANARYBYTES"} | {
        receipt[: SHOWN + 8] for receipt in endpoint.receipts
    }
    secrets |= {receipt[-24:] for receipt in endpoint.receipts} | {"Signature="}
    needles = {spelling for secret in secrets for spelling in spellings(secret)}
    leaks = [(name, needle) for name, text in read for needle in needles if needle in text]
    assert leaks == []


def happened(pool: Pool, endpoint: Endpoint, *, crashes: int) -> None:
    """The test had something to find: everything that is named in its docstring is in the log."""
    log = pool.log.read_bytes()
    lines = pool.events()
    told = Counter(line["event"] for line in lines)
    expected = {
        "message_failed",
        "message_retried",
        "message_rejected",
        "message_crashed",
        "message_overdue",
        "calls_fail",
    }
    assert expected | {"child_died", "status_dumped", "exit_called"} <= told.keys()
    assert {line["action"] for line in lines if line["event"] == "calls_fail"} >= {"receive", "delete", "hide", "send"}
    assert len(endpoint.receipts) > len(WORDS)
    assert b"RuntimeError: " in log
    assert b"_fail" in log
    assert b"Current thread" in log, "stacks of a crash"
    assert crashes == 3
