"""Every process: requests to the SQS server over plain HTTP, for whoever must not depend on boto3 and its retries."""

from __future__ import annotations

import http.client
from typing import Any

import orjson

#: Seconds after which an answer is unknown: long, lest a request that was given up overtakes the next of its group.
_PATIENCE = 20.0
#: The SQS server checks no signature; it reads the scope, for its region.
_SCOPE = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0"


def queue_url(port: int, name: str) -> str:
    """The URL of a queue of the server, or of the proxy, that listens on `port`."""
    return f"http://127.0.0.1:{port}/000000000000/{name}"


class Wire:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = self._connect()

    def ask(self, action: str, members: dict[str, Any]) -> dict[str, Any] | None:
        """One request, once; None if no good answer came, and then it may have been done all the same."""
        headers = {
            "X-Amz-Target": f"AmazonSQS.{action}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": _SCOPE,
        }
        try:
            self._connection.request("POST", "/", orjson.dumps(members), headers)
            reply = self._connection.getresponse()
            body = reply.read()
            answer = orjson.loads(body) if reply.status == 200 else None
        except (OSError, http.client.HTTPException, orjson.JSONDecodeError):
            self._connection.close()
            self._connection = self._connect()
            return None
        return answer if isinstance(answer, dict) else None

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)


def create_queues(wire: Wire, name: str, *, fifo: bool, receives: int) -> tuple[str, str]:
    """A queue and its dead-letter queue; gives their names."""
    suffix = ".fifo" if fifo else ""
    attributes = {"FifoQueue": "true"} if fifo else {}
    dead = f"{name}-dead{suffix}"
    _create(wire, dead, attributes)
    arn = f"arn:aws:sqs:us-east-1:000000000000:{dead}"
    policy = orjson.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives}).decode()
    _create(wire, f"{name}{suffix}", attributes | {"RedrivePolicy": policy})
    return f"{name}{suffix}", dead


def _create(wire: Wire, name: str, attributes: dict[str, str]) -> None:
    if wire.ask("CreateQueue", {"QueueName": name, "Attributes": attributes}) is None:
        raise RuntimeError(f"queue {name} could not be made")


def empty(wire: Wire, url: str) -> list[str]:
    """Receive and delete everything that is visible in a queue; gives the bodies. A FIFO group's in their order."""
    bodies: list[str] = []
    while True:
        answer = wire.ask("ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 60})
        messages = (answer or {}).get("Messages", ())
        if not messages:
            return bodies
        bodies += [str(one["Body"]) for one in messages]
        entries = [{"Id": str(place), "ReceiptHandle": one["ReceiptHandle"]} for place, one in enumerate(messages)]
        wire.ask("DeleteMessageBatch", {"QueueUrl": url, "Entries": entries})
