"""Benchmark process: what a message costs who sends it: `worker.Producer` beside plain boto3.

Each case is a program of its own, which sends messages of 1 KiB to one queue and waits until all are confirmed; its CPU
(user and system, all threads) is divided by the messages. The rival knows all of its messages beforehand, cuts them
into tens, and has 16 threads call send_message_batch on one client: the best that boto3 does by itself, without a
retry of failed entries or an answer for each message.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.rows import Case
from benchmarks.stage import NoFigure, Stage

ABOUT = "one program sends 1 KiB messages one by one, each with an answer of its own"
#: Threads that call boto3: more did not make it faster.
_THREADS = 16
#: Messages before the clock runs: clients are made, connections opened.
_WARM_UP = 500
_PATIENCE = 300.0  #: seconds


def cases(stage: Stage) -> list[Case]:
    """Each sender, beside the endpoint and 10 ms away."""
    if not stage.endpoint.has_latency:
        return []
    found = []
    for latency in (0.0, 0.010):
        found += [Case(bench="producer", contender=name, latency=latency) for name in ("worker", "boto3")]
        found.append(Case(bench="producer", latency=latency, variant="AsyncProducer"))
    return found


def run(case: Case, stage: Stage) -> dict[str, float]:
    """One program, from its first message to its last answer."""
    count = 4_000 if stage.quick else 40_000
    with stage.job(case) as job:
        stage.endpoint.latency(case.latency)
        words = [case.variant or case.contender, str(count), str(case.size)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.producer", *words],
            env={**os.environ, **job.environ},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        if done.returncode:
            raise NoFigure(done.stderr[-300:])
        calls = sum(stage.endpoint.calls().values())
        more = stage.endpoint.depth(job.queue_url) - count - _WARM_UP
    if more < 0:
        raise NoFigure(f"{-more} messages are not in the queue")
    told = json.loads(done.stdout)
    return {
        "cpu_us": told["cpu"] / count * 1e6,
        "rate": count / told["seconds"],
        "calls": calls / (count + _WARM_UP),
        "cores": told["cpu"] / told["seconds"],
        "duplicated": more,  # a call that took 5 s on a starved machine was made again
    }


# --- the programs


def send_by_producer(url: str, body: str) -> Callable[[int], None]:
    """One by one, futures kept, as a program that wants to know does it."""
    from worker import Producer

    producer = Producer(url)

    def send(count: int) -> None:
        futures = [producer.send(body) for _ in range(count)]
        for future in futures:
            future.result()

    return send


def send_by_async_producer(url: str, body: str) -> Callable[[int], None]:
    """Five hundred tasks, each of which awaits one message after the other."""
    from worker import AsyncProducer

    producer, loop = AsyncProducer(url), asyncio.new_event_loop()

    async def some(count: int) -> None:
        for _ in range(count):
            await producer.send(body)

    async def send_all(count: int) -> None:
        await asyncio.gather(*(some(count // 500) for _ in range(500)))

    return lambda count: loop.run_until_complete(send_all(count))


def send_by_boto3(url: str, body: str) -> Callable[[int], None]:
    """Tens, in threads."""
    import boto3
    from botocore.config import Config

    sqs: Any = boto3.client("sqs", config=Config(max_pool_connections=_THREADS))
    entries = [{"Id": str(place), "MessageBody": body} for place in range(10)]

    def ten(_: int) -> None:
        answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        if answer.get("Failed"):
            raise RuntimeError(str(answer["Failed"][0])[:300])

    def send(count: int) -> None:
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(ten, range(count // 10)))

    return send


_SENDERS = {"worker": send_by_producer, "AsyncProducer": send_by_async_producer, "boto3": send_by_boto3}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """One program: prints its CPU seconds and its seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.producer", description=ABOUT)
    parser.add_argument("sender", choices=_SENDERS)
    parser.add_argument("count", type=int)
    parser.add_argument("size", type=int)
    given = parser.parse_args()
    send = _SENDERS[given.sender](os.environ["BENCH_QUEUE_URL"], "x" * given.size)
    send(_WARM_UP)
    cpu, start = _cpu(), time.perf_counter()
    send(given.count)
    seconds = time.perf_counter() - start
    print(json.dumps({"cpu": _cpu() - cpu, "seconds": seconds}))


if __name__ == "__main__":
    main()
