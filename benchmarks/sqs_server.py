"""Command line: measures the SQS server of worker.testing: requests a second, and server CPU per request, by depth.

    python benchmarks/sqs_server.py [--rounds 2000] [--connections 8] [--depths 0,1500,200000]

The server runs in a process of its own; this process speaks to it over raw sockets with requests that were built
before the clock starts, so that what is measured is the server. Target: 5,000 requests a second on one core at any
depth. "one core" is 1 s / CPU per request: what the server could do if clients never kept it waiting.

Measured 2026-11 on 2 shared cores of an AMD EPYC, Python 3.11.7, 10 messages of 200 bytes per request: 7,300 to 17,900
requests a second with client and server on the same two cores, and 37 to 58 us of server CPU per request, at depth 0 as
at depth 200,000. Other work on the machine made it 66 to 115 us. Run it again before you quote it.
"""

import argparse
import os
import platform
import re
import socket
import time
from collections.abc import Iterable
from typing import Final

import orjson

from worker.testing.sqs_server.process import SqsServerProcess

_HANDLE: Final = re.compile(rb'"ReceiptHandle":"([^"]+)"')
_LENGTH: Final = re.compile(rb"Content-Length: (\d+)")
_BODY: Final = "x" * 200
_HEAD: Final = (
    "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Target: AmazonSQS.{action}\r\n"
    "Content-Type: application/x-amz-json-1.0\r\nUser-Agent: Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux\r\n"
    "X-Amz-Date: 20261123T120000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=testing/20261123/us-east-1/sqs/"
    "aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=" + "0" * 64 + "\r\n"
    "amz-sdk-invocation-id: 7f3b6a1e-0000-4000-a000-000000000000\r\namz-sdk-request: attempt=1\r\n"
    "Content-Length: {length}\r\n\r\n"
)


def request(action: str, members: dict[str, object]) -> bytes:
    """One request as botocore would send it, signature aside."""
    body = orjson.dumps(members)
    return _HEAD.format(action=action, length=len(body)).encode() + body


class Client:
    """Some connections, each with one request under way."""

    def __init__(self, port: int, connections: int) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
        for one in self._sockets:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.settimeout(30)

    def run(self, requests: list[bytes]) -> list[bytes]:
        """Sends all requests, as many at once as there are connections; returns the answers in the same order."""
        answers: list[bytes] = []
        for start in range(0, len(requests), len(self._sockets)):
            batch = requests[start : start + len(self._sockets)]
            for one, data in zip(self._sockets, batch, strict=False):
                one.sendall(data)
            answers.extend(_answer(one) for one in self._sockets[: len(batch)])
        return answers


def _answer(one: socket.socket) -> bytes:
    data = one.recv(262_144)
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += one.recv(262_144)
    match = _LENGTH.search(data, 0, end)
    if match is None or not data.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"unexpected answer {data[:300]!r}")
    while len(data) < end + 4 + int(match[1]):
        data += one.recv(262_144)
    return data


def _measure(client: Client, server: SqsServerProcess, *, name: str, requests: list[bytes]) -> list[bytes]:
    cpu, start = server.usage()[0], time.perf_counter()
    answers = client.run(requests)
    took = time.perf_counter() - start
    used = server.usage()[0] - cpu
    count = len(requests)
    print(
        f"  {name:<30} {count / took:>8,.0f} requests/s {count * 10 / took:>9,.0f} messages/s "
        f"{used / count * 1e6:>7.1f} us CPU/request {count / used:>8,.0f} requests/s on one core"
    )
    return answers


def _tens(items: list[str]) -> Iterable[list[str]]:
    return (items[start : start + 10] for start in range(0, len(items), 10))


def measure(depth: int, *, rounds: int, connections: int) -> None:
    """Prints one table: the four hot actions on a queue that holds `depth` messages besides those in play."""
    with SqsServerProcess() as server:
        client = Client(int(server.url.rpartition(":")[2]), connections)
        url = orjson.loads(client.run([request("CreateQueue", {"QueueName": "q"})])[0].split(b"\r\n\r\n")[1])[
            "QueueUrl"
        ]
        entries = [{"Id": str(place), "MessageBody": _BODY} for place in range(10)]
        send = request("SendMessageBatch", {"QueueUrl": url, "Entries": entries})
        client.run([send] * (depth // 10))
        print(f"depth {depth:,} ({connections} connections, {rounds:,} requests each)")
        _measure(client, server, name="SendMessageBatch 10", requests=[send] * rounds)
        receive = request(
            "ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"]}
        )
        answers = _measure(client, server, name="ReceiveMessage 10", requests=[receive] * rounds)
        handles = [handle.decode() for answer in answers for handle in _HANDLE.findall(answer)]
        if len(handles) != rounds * 10:
            raise RuntimeError(f"received {len(handles)} messages instead of {rounds * 10}")
        groups = [
            [{"Id": str(place), "ReceiptHandle": handle} for place, handle in enumerate(ten)] for ten in _tens(handles)
        ]
        changes = [[entry | {"VisibilityTimeout": 60} for entry in group] for group in groups]
        for name, entries_of in (("ChangeMessageVisibilityBatch", changes), ("DeleteMessageBatch", groups)):
            requests = [request(name, {"QueueUrl": url, "Entries": group}) for group in entries_of]
            _measure(client, server, name=f"{name} 10", requests=requests)
        print(f"  server memory {server.usage()[1] / 2**20:.0f} MiB")


def main() -> None:
    """Runs every depth in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2_000, help="requests of each kind (default: %(default)s)")
    parser.add_argument("--connections", type=int, default=8, help="requests under way (default: %(default)s)")
    parser.add_argument("--depths", default="0,1500,200000", help="messages in the queue (default: %(default)s)")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    for depth in arguments.depths.split(","):
        measure(int(depth), rounds=arguments.rounds, connections=arguments.connections)


if __name__ == "__main__":
    main()
