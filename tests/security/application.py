"""Handler process: the application of the security tests: secrets in every local variable, and every way to end."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

from worker import Forward, Message, Reject, Retry


def by_word(message: Message) -> Forward | None:
    """Does what the body's first word says. Every frame holds the body and the attributes; no text names them."""
    word = message.text.split(" ")[0]
    secret, attributes = message.body, dict(message.message_attributes)  # what a traceback with locals would show
    if word == "retry":
        raise Retry(after=0, reason="later")
    if word == "reject":
        raise Reject("told to")
    if word == "json":
        return message.json()  # type: ignore[no-any-return]  # it raises
    if word == "locals":
        _fail(secret, attributes)
    if word == "deep":
        by_word(message)
    if word == "ascii":
        message.body.replace(b" ", b"\xff").decode("ascii")
    if word == "forward":
        return Forward(queue=os.environ["TARGET"], body=message.body, attributes=message.message_attributes)
    if word == "exit":
        raise SystemExit(3)
    if word == "abort":
        os.abort()
    if word == "segfault":
        ctypes.string_at(0)
    while word == "hang":
        time.sleep(60)
    if word == "deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])  # only the dump of its stacks and the kill reach it
    while word == "deaf":
        ctypes.PyDLL(None).sleep(60)
    return None


def _fail(secret: bytes, attributes: object) -> None:
    try:
        [secret][1]
    except IndexError as error:
        raise RuntimeError(f"{len(secret)} bytes, {type(attributes).__name__}") from error


def report(_message: Message) -> None:
    """Writes down what this process is made of."""
    facts = {
        "modules": sorted(name for name in sys.modules if name.partition(".")[0] in ("boto3", "botocore", "worker")),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
    }
    Path(os.environ["EFFECTS"]).write_text(json.dumps(facts))
