"""Command line: measures what a message costs the client that receives and deletes it: the lean one, and boto3.

    python -m benchmarks.client [--messages 20000] [--latency 0,0.01] [--connections 2,32] [--rounds 3] [--tls]

The SQS server runs in a process of its own. This process receives ten messages a call and deletes them ten a call, as a
poller does, and nothing else; its CPU time (user and system) is divided by the messages. With --tls a terminator in a
third process stands between them. The clients take turns, round by round; medians are shown.

Measured 2026-11 on 2 shared cores of an AMD EPYC, Python 3.11.7, bodies of 1 KiB, with other work on the machine (load
24): lean 14 us at 0 ms and at 10 ms a call, boto3 143 and 150; over TLS 1.3 21 and 20 against 171 and 209. Of the lean
client's 14, 1.7 are MD5 sums, 3.7 the rest of what is done in Python with a message and its share of signing, parsing
and JSON; the rest is the kernel's. With less load (9) it moved 18,000 messages a second at 10 ms a call over 32
connections of each kind, boto3 5,300. Run it again before you quote it; ratios say more than microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform as machine
import resource
import select
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final, Self

import trustme

from worker import platform
from worker.aws.clients import client_for
from worker.aws.session import Session
from worker.policy.requests import Delete, Outgoing, Receive, Send, Sqs
from worker.settings import QueueSettings, Settings
from worker.testing.sqs_server.process import SqsServerProcess

_BODY: Final = b"x" * 1024
_CLIENTS: Final = ("lean", "boto3")
_TEN: Final = Receive(10, wait=1, visibility=60)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Measured:
    """One client of one queue, with so many calls on their way of each kind at most."""

    def __init__(self, name: str, url: str, *, connections: int) -> None:
        queue = QueueSettings(name="q", handler="m:f", queue_name="q", client=name, polls=connections)
        session = Session(Settings(name="benchmark", queues=(queue,), endpoint_url=url), queue)
        client = self._client = client_for(session, queue, controls=connections)
        self._connections = connections
        self._sqs: Sqs = client.sqs(client.ask("CreateQueue", {"QueueName": "q"})["QueueUrl"])

    def fill(self, messages: int) -> None:
        """Send so many."""
        batch = Send("q", (Outgoing(_BODY, {}),) * 10)
        left, open_ = messages // 10, 0
        while left or open_:
            while left and open_ < self._connections:
                self._sqs.start(batch, None)
                left, open_ = left - 1, open_ + 1
            open_ -= len(self._wait())

    def drain(self, messages: int) -> tuple[float, float]:
        """Receive and delete so many; microseconds of CPU a message, and messages a second."""
        sqs, gone = self._sqs, 0
        cpu, start = _cpu(), time.perf_counter()
        while gone < messages:
            for _ in range(self._connections - sqs.receiving):
                sqs.start(_TEN, None)
            for answer in self._wait():
                if answer.failure is not None or any(answer.entries):
                    raise RuntimeError(f"{answer.failure} {answer.entries}")
                if answer.messages:
                    sqs.start(Delete(tuple(message.receipt for message in answer.messages)), None)
                gone += len(answer.entries)
        took = time.perf_counter() - start
        used = _cpu() - cpu
        while sqs.receiving:
            self._wait()
        return used / gone * 1e6, gone / took

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _wait(self) -> list[Any]:
        sqs = self._sqs
        seconds = min(1.0, max(0.0, sqs.due(platform.now())))
        select.select([sqs], [], [], seconds)
        return sqs.answers()


def measure(*, latency: float, connections: int, messages: int, rounds: int, tls: bool) -> None:
    """Prints one table: each client's median of the rounds, in which they take turns."""
    with SqsServerProcess(latency=latency) as server, Terminator(server.url, wanted=tls) as front:
        clients = {name: Measured(name, front.url, connections=connections) for name in _CLIENTS}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
        for _ in range(rounds):
            for name, one in clients.items():
                one.fill(messages)
                found[name].append(one.drain(messages))
        costs = {name: statistics.median(cost for cost, _ in results) for name, results in found.items()}
        print(f"{latency * 1e3:.0f} ms a call, {connections} connections of each kind, {'TLS' if tls else 'plain'}")
        for name, results in found.items():
            low, high = min(results)[0], max(results)[0]
            rate = statistics.median(rate for _, rate in results)
            clients[name].close()
            ratio = costs[name] / costs[_CLIENTS[0]]
            print(
                f"  {name:<6} {costs[name]:>7.1f} us CPU/message ({low:.1f} to {high:.1f}) {ratio:>5.1f}x "
                f"{rate:>8,.0f} messages/s"
            )


class Terminator:
    """A process that ends TLS before the server, with a certificate of its own that this process then trusts."""

    def __init__(self, target: str, *, wanted: bool) -> None:
        self._target = target
        self._wanted = wanted
        self._process: subprocess.Popen[str] | None = None
        self.url = target

    def __enter__(self) -> Self:
        if self._wanted:
            command = [sys.executable, "-m", "benchmarks.client", "--terminate", self._target]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
            assert self._process.stdout is not None  # noqa: S101 - asked for above
            port, bundle = self._process.stdout.readline().split()
            os.environ["AWS_CA_BUNDLE"] = bundle
            self.url = f"https://localhost:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            os.environ.pop("AWS_CA_BUNDLE")
            self._process.communicate()


async def terminate(target: str) -> None:
    """The terminator's process: until its standard input ends."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    port = int(target.rpartition(":")[2])

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(262_144):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, forth), pump(back, writer))

    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "ca.pem"
        authority.cert_pem.write_to_path(str(bundle))
        server = await asyncio.start_server(serve, "localhost", 0, ssl=context)
        print(server.sockets[0].getsockname()[1], bundle, flush=True)
        await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # connections that are still open need no story about their end


def main() -> None:
    """Runs every combination in turn."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.client",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--messages", type=int, default=20_000, help="per client and round (default: %(default)s)")
    parser.add_argument("--latency", default="0,0.01", help="seconds a call (default: %(default)s)")
    parser.add_argument("--connections", default="2,32", help="for each latency (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each client (default: %(default)s)")
    parser.add_argument("--tls", action="store_true", help="over TLS 1.3")
    parser.add_argument("--terminate", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.terminate:
        asyncio.run(terminate(arguments.terminate))
        return
    made_up = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(made_up)
    asked = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    load = os.getloadavg()[0]
    print(
        f"commit {commit.strip()}, Python {machine.python_version()}, {machine.machine()}, {os.cpu_count()} cores, "
        f"load {load:.1f}"
    )
    for latency, connections in zip(arguments.latency.split(","), arguments.connections.split(","), strict=True):
        measure(
            latency=float(latency),
            connections=int(connections),
            messages=arguments.messages,
            rounds=arguments.rounds,
            tls=arguments.tls,
        )


if __name__ == "__main__":
    main()
