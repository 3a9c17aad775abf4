"""The application of the system tests: each handler function leaves one line per step in a file that only grows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

from worker import Forward, Message, Reject, Retry

_FILE = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def effect(step: str, message: Message) -> None:
    """One write below PIPE_BUF: whole or absent, whoever dies. The text is the producer's number in the body."""
    number = message.body.split(b" ", 1)[0].decode()
    os.write(_FILE, f"{step} {number} {message.id} {os.getpid()} {time.monotonic_ns()}\n".encode())


def record(message: Message) -> None:
    """An effect, at once."""
    effect("end", message)


def short(message: Message) -> None:
    """A millisecond or so of waiting, then an effect: a kill finds many of these running."""
    effect("start", message)
    time.sleep(0.001 * (int(message.body.split(b" ", 1)[0]) % 4))
    effect("end", message)


def seconds(message: Message) -> None:
    """Takes as many seconds as the body's second word says."""
    effect("start", message)
    end = time.monotonic() + float(message.body.split(b" ")[1])
    while (left := end - time.monotonic()) > 0:
        time.sleep(left)
    effect("end", message)


def spin(message: Message) -> None:
    """The same without ever letting go of the interpreter for long."""
    effect("start", message)
    end = time.monotonic() + float(message.body.split(b" ")[1])
    while time.monotonic() < end:
        sum(range(10_000))
    effect("end", message)


def by_word(message: Message) -> Forward | None:
    """Does what the body's second word says."""
    word = message.body.split(b" ")[1].decode()
    if word == "reject":
        raise Reject("told to")
    if word == "retry":
        raise Retry(after=0)
    if word == "raise":
        raise RuntimeError("told to")
    if word == "exit":
        raise SystemExit(0)
    if word == "_exit":
        os._exit(0)
    if word == "crash":
        effect("start", message)
        os.abort()
    if word == "print":
        print("text of the user \x00\x1b[31m", flush=True)
        os.write(1, b"\xff" * 100_000)
        os.write(2, b"{not json\n")
    if word == "forward":
        return Forward(queue=os.environ["TARGET"], body=b"forwarded " + message.body)
    if word == "spin":
        while True:
            time.sleep(0.01)
    if word == "hang":
        effect("start", message)
        while True:
            with contextlib.suppress(BaseException):  # the soft exception too
                time.sleep(1000)
    effect("end", message)
    return None


def orphan(message: Message) -> None:
    """Leaves a grandchild behind, which ends a little later under whoever adopts it."""
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.5)
        os._exit(0)
    os.wait()
    effect("end", message)


def short_batch(messages: list[Message]) -> None:
    """The same for a batch, one after the other."""
    for message in messages:
        short(message)


def by_word_batch(messages: list[Message]) -> dict[Message, object]:
    """What each body says, with an outcome for each."""
    outcomes: dict[Message, object] = {}
    for message in messages:
        try:
            outcomes[message] = by_word(message)
        except Exception as error:  # noqa: BLE001 - it is this message's outcome
            outcomes[message] = error
    effect(f"batch-{len(messages)}", messages[0])
    return outcomes


async def short_async(message: Message) -> None:
    """A millisecond or so of waiting, then an effect."""
    effect("start", message)
    await asyncio.sleep(0.001 * (int(message.body.split(b" ", 1)[0]) % 4))
    effect("end", message)


async def by_word_async(message: Message) -> object:
    """As by_word; "hang" lets others run, and "wait" takes as many seconds as the third word says."""
    words = message.body.split(b" ")
    if words[1] == b"hang":
        effect("start", message)
        while True:
            with contextlib.suppress(BaseException):  # the cancellation too
                await asyncio.sleep(1000)
    if words[1] == b"wait":
        effect("start", message)
        await asyncio.sleep(float(words[2]))
        effect("end", message)
        return None
    return by_word(message)


def by_word_thread(message: Message) -> object:
    """The same in a thread."""
    words = message.body.split(b" ")
    if words[1] == b"wait":
        effect("start", message)
        time.sleep(float(words[2]))
        effect("end", message)
        return None
    return by_word(message)


def until_done(message: Message) -> None:
    """The second word "later" is a retry after two seconds, the first time; "reject" is one."""
    word = message.body.split(b" ")[1]
    if word == b"reject":
        raise Reject("told to")
    if word == b"later" and message.attempt == 1 and message.receive_count == 1:
        effect("retry", message)
        raise Retry(after=2)
    effect("end", message)


def relay(message: Message) -> Forward:
    """On to another queue, after as many seconds as the second word says."""
    time.sleep(float(message.body.split(b" ")[1]))
    effect("relayed", message)
    return Forward(queue=os.environ["TARGET"], body=message.body)
