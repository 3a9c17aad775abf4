"""Test process: a boto3 client whose requests go over the connections of our lean client.

boto3 makes the members of a request and reads those of its answer, as the cases of the suite are written; between them
everything is the lean client's: signature, headers, connections, and the parser of answers.
"""

from __future__ import annotations

import hashlib
import io
import select
import threading
from functools import partial
from typing import Any

import botocore.session
from botocore.awsrequest import AWSResponse

from worker import platform
from worker.aws.answers import Reply
from worker.aws.endpoint import find, needs_boto3
from worker.aws.exchange import Body, Exchange
from worker.aws.lane import Lane
from worker.aws.transport import Transport
from worker.policy.failures import Failure

#: Seconds that an answer may take: a long poll, and some.
PATIENCE = 30.0


class LeanWire:
    """Answers a boto3 client's requests in place of its own HTTP."""

    def __init__(self, client: Any) -> None:
        session = botocore.session.get_session()
        keys = client._get_credentials()
        session.set_credentials(keys.access_key, keys.secret_key, keys.token)
        endpoint = find(session, region=client.meta.region_name, given=client.meta.endpoint_url)
        assert needs_boto3(session, endpoint) == ""
        self._new = partial(Transport, endpoint, session)
        self._local = threading.local()
        self._transports: list[Transport] = []
        self.requests = 0
        client.meta.events.register("before-send.sqs", self._send)

    def close(self) -> None:
        for transport in self._transports:
            transport.close()

    def _connect(self) -> tuple[Transport, Lane]:
        """Each thread of a case has connections of its own: a transport is a poller's, which has one thread."""
        if not hasattr(self._local, "found"):
            transport = self._new()
            self._transports.append(transport)
            self._local.found = transport, transport.lane(1)
        found: tuple[Transport, Lane] = self._local.found
        return found

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        """A botocore hook (before-send): what it returns is the answer."""
        self.requests += 1
        action = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        body = Body(request.body, hashlib.sha256(request.body).hexdigest())
        replies: list[Reply | Failure] = []
        exchange = Exchange(action, body, PATIENCE, repeatable=True, done=lambda _, result: replies.append(result))
        transport, lane = self._connect()
        lane.start(exchange)
        while not replies:
            select.select([transport], [], [], max(0.0, min(1.0, transport.due(platform.now()))))
            transport.drive()
        [reply] = replies
        assert isinstance(reply, Reply), reply
        return _Response(request.url, reply)


class _Response(AWSResponse):
    """A reply of the lean client, as botocore has it."""

    def __init__(self, url: str, reply: Reply) -> None:
        super().__init__(url, reply.status, reply.headers, io.BytesIO(reply.body))
        self._content = reply.body
