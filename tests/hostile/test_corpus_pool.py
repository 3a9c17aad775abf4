"""Test process: the hostile corpus through a real pool: no crash, nothing deleted unread, the log stays JSON."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.corpus import ACTIVE, CORPUS, Way
from tests.hostile.proxy import Call, Proxy, Said
from tests.system.pool import ROOT, Pool, eventually
from worker.testing.sqs_server.process import SqsServerProcess

pytestmark = pytest.mark.system

#: What acts upon a terminal or cuts a line, in the bytes of a log.
_ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
#: Messages as every producer sends them, between the hostile ones.
NEIGHBOURS = 40
HANDLER = "tests.hostile.application:by_sender"


def corrupt(call: Call) -> Said | None:
    """A message that was sent as "case NAME SENDER" is received as that case of the corpus."""
    if call.action != "ReceiveMessage" or not call.status or not call.answer.get("Messages"):
        return None
    shapes = [_corrupted(message) for message in call.answer["Messages"]]
    # The odd header makes one of boto3's libraries warn, in plain text if nobody prevents it. The lean client is
    # stricter: to it such an answer is none.
    odd = b"" if call.headers.get("user-agent") == "worker" else b"no header \x1b[31m"
    return Said(json.dumps(call.answer | {"Messages": shapes}).encode(), last_header=odd)


def _corrupted(message: dict[str, Any]) -> dict[str, Any]:
    word, _, rest = message["Body"].partition(" ")
    if word != "case":
        return message
    name, _, sender = rest.rpartition(" ")
    count = message["Attributes"]["ApproximateReceiveCount"]
    shape = CORPUS[name].shape(message["MessageId"], message["ReceiptHandle"], count=count)
    if isinstance(shape.get("Attributes"), dict):
        shape["Attributes"].setdefault("SenderId", sender)
        group = message["Attributes"].get("MessageGroupId")
        if group is not None:
            shape["Attributes"].setdefault("MessageGroupId", group)
    return shape


def send(pool: Pool, bodies: list[str], *, groups: bool = False) -> dict[str, str]:
    """Send each; gives message ids by body."""
    ids = {}
    for number, body in enumerate(bodies):
        options = {"MessageGroupId": f"g{number}"} if groups else {}
        ids[body] = str(pool.sqs.send_message(QueueUrl=pool.url, MessageBody=body, **options)["MessageId"])
    return ids


def acked(pool: Pool, ids: dict[str, str]) -> set[str]:
    """The bodies whose handler function returned."""
    if not pool.effects_file.exists():
        return set()
    seen = {json.loads(line)[0] for line in pool.effects_file.read_text().splitlines()}
    return {body for body, message_id in ids.items() if message_id in seen}


def dead(pool: Pool, found: set[str]) -> set[str]:
    """What is in the dead-letter queue, added to what was found there before."""
    while messages := pool.sqs.receive_message(
        QueueUrl=pool.dead, MaxNumberOfMessages=10, VisibilityTimeout=600, MessageAttributeNames=["All"]
    ).get("Messages"):
        found |= {message["Body"] for message in messages}
    return found


def log_lines(path: Path) -> list[dict[str, Any]]:
    """All of the log: each line one JSON object with an event, and no character that acts."""
    text = path.read_bytes().decode()
    assert not _ACTS.search(text)
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(line, dict) and line["event"].isidentifier() for line in lines)
    return lines


@pytest.mark.parametrize("client", ["lean", "boto3"])
def test_the_whole_corpus_passes_a_pool(pools: Callable[..., Pool], server: SqsServerProcess, client: str) -> None:
    """Same processes before and after; each message is acked by a handler function that did not stumble over it, or is
    in the dead-letter queue once its receive count is used up; the neighbours in the same receives are handled."""
    with Proxy(corrupt, target=server.url) as proxy:
        pool = pools(HANDLER, receives=3, wait=1, retry={"first": 0.1, "most": 0.2}, client=client)
        pool.environment["AWS_ENDPOINT_URL"] = proxy.url
        cases = [f"case {name} {sender}" for name in CORPUS for sender in ("parse", "take")]
        neighbours = [f'{{"number": {number}}}' for number in range(NEIGHBOURS)]
        mixed = [body for place, case in enumerate(cases) for body in (case, *neighbours[place : place + 1])]
        ids = send(pool, mixed)
        # A message without a receipt handle comes back when its visibility timeout ends: a short one saves time.
        pool.start(unchecked={"visibility_timeout": 2.0})
        assert pool.process is not None
        before = [pool.process.pid, pool.pids("pollers"), sorted(pool.pids("handlers"))]
        found: set[str] = set()
        eventually(
            lambda: len(acked(pool, ids) | dead(pool, found)) == len(ids),
            seconds=40,
            why=f"all have an end, not {ids.keys() - acked(pool, ids) - found}",
        )
        pool.wait_empty(seconds=10)
        assert [pool.process.pid, pool.pids("pollers"), sorted(pool.pids("handlers"))] == before
        assert pool.stop() == 0
    ways = {case: CORPUS[case[5:].rpartition(" ")[0]].way for case in cases}
    for case, way in ways.items():
        understood = way is Way.DECODED or (way is Way.HANDLED and case.endswith(" take"))
        assert (case in acked(pool, ids), case in found) == (understood, not understood), case
    assert acked(pool, ids) >= set(neighbours)
    assert not found & set(neighbours)
    lines = log_lines(pool.log)
    told = {line["event"] for line in lines}
    assert {"message_failed", "message_damaged", "messages_unusable"} <= told
    assert ("library_warned" in told) == (client == "boto3")
    assert all(line["code"] == 0 for line in lines if line["event"] == "child_died")


def test_what_a_fifo_dead_letter_queue_refuses_gets_there_all_the_same(
    pools: Callable[..., Pool], server: SqsServerProcess
) -> None:
    """On FIFO the pool itself sends to the dead-letter queue at the attempts limit. What SQS refuses to take in a send
    is released instead, and SQS moves it when its receive count is used up: never deleted, never in anybody's way."""
    names = ["NUL", "a lone surrogate", "naked escape sequences", "500,000 lists deep", "an attribute null", "cut off"]
    names += ["an attribute without a type", "control characters of XML", "an integer of 5,000 digits"]
    with Proxy(corrupt, target=server.url) as proxy:
        pool = pools(HANDLER, fifo=True, receives=3, wait=1, retry={"first": 0.1, "most": 0.2, "attempts": 2})
        pool.environment["AWS_ENDPOINT_URL"] = proxy.url
        cases = [f"case {name} parse" for name in names]
        neighbours = [f'{{"number": {number}}}' for number in range(NEIGHBOURS)]
        ids = send(pool, cases + neighbours, groups=True)
        pool.start()
        assert pool.process is not None
        before = [pool.process.pid, pool.pids("pollers"), sorted(pool.pids("handlers"))]
        found: set[str] = set()
        eventually(lambda: len(dead(pool, found)) == len(names), seconds=40, why="all are dead letters")
        pool.wait_empty(seconds=10)
        assert [pool.process.pid, pool.pids("pollers"), sorted(pool.pids("handlers"))] == before
        assert pool.stop() == 0
    assert acked(pool, ids) == set(neighbours)
    # What SQS takes was sent by the pool, so it lies there as it was received; the rest SQS moved, as it was sent.
    taken = {name for name in names if CORPUS[name].body in found}
    assert taken == {"500,000 lists deep", "cut off", "an integer of 5,000 digits"}
    assert found == {CORPUS[name].body for name in taken} | {
        f"case {name} parse" for name in names if name not in taken
    }
    assert any(line["event"] == "settle_failed" for line in log_lines(pool.log))


@pytest.mark.parametrize("client", ["lean", "boto3"])
def test_a_terminal_gets_no_control_characters(
    pools: Callable[..., Pool], server: SqsServerProcess, client: str
) -> None:
    """Hostile ids, groups, exception texts and error messages of the endpoint, with a terminal as standard error."""
    refusals = iter(range(3))

    def change(call: Call) -> Said | None:
        if call.action == "DeleteMessageBatch" and not call.status and next(refusals, None) is not None:
            return Said(json.dumps({"__type": f"x#{ACTIVE}", "message": ACTIVE}).encode(), 400)
        return corrupt(call)

    terminal, stderr = pty.openpty()
    shown = bytearray()
    reader = threading.Thread(target=read_all, args=(terminal, shown))
    with Proxy(change, target=server.url) as proxy:
        retry = {"first": 0.1, "most": 0.2}
        pool = pools(HANDLER, receives=2, wait=1, retry=retry, log_level="debug", client=client)
        pool.environment["AWS_ENDPOINT_URL"] = proxy.url
        send(pool, ["case an id with escape sequences take", "case naked escape sequences parse", '{"plain": 1}'])
        command = [sys.executable, "-m", "worker", "run", "--config", str(pool.config)]
        pool.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, env=pool.environment, cwd=ROOT
        )
        os.close(stderr)
        reader.start()
        eventually(lambda: b"message_failed" in shown and b"calls_recovered" in shown, seconds=30, why="all was shown")
        assert pool.stop() == 0
    reader.join(10)
    os.close(terminal)
    text = shown.decode()
    assert "owned" in text
    assert all(letter.isprintable() or letter in "\r\n" for letter in text)
    assert all(re.match(r"\d\d:\d\d:\d\d (debug|info|warning|error) ", line) for line in text.split("\r\n") if line)


def read_all(fd: int, into: bytearray) -> None:
    """Until no process has the terminal open any more; Linux tells that by EIO."""
    while True:
        select.select([fd], [], [])
        try:
            data = os.read(fd, 65536)
        except OSError:
            return
        if not data:
            return
        into += data
