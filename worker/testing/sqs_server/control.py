"""SQS server process: what it answers beside SQS: health checks, and the fault plan, event log and depths for tests."""

import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson

from worker import platform
from worker.testing.sqs_server import faults
from worker.testing.sqs_server.http_head import Head
from worker.testing.sqs_server.replies import Reply
from worker.testing.sqs_server.service import Service

_JSON: Final = "application/json"
#: What LocalStack's health check answers, as far as compose files look at it.
_LOCALSTACK: Final = {"services": {"sqs": "running"}, "edition": "worker", "version": "0.1.0"}


def _json(value: object, status: int = 200) -> Reply:
    return Reply(status, orjson.dumps(value), content_type=_JSON)


class Control:
    """Answers paths that are not SQS. Paths that begin with `/_` are only for clients on this machine."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._health = {"/health": {"status": "ok"}, "/_localstack/health": _LOCALSTACK}
        self._tests: dict[tuple[bytes, str], Callable[[bytes, dict[str, list[str]]], Reply]] = {
            (b"GET", "/_faults"): self._show_faults,
            (b"POST", "/_faults"): self._add_faults,
            (b"DELETE", "/_faults"): self._clear_faults,
            (b"GET", "/_events"): self._show_events,
            (b"GET", "/_queues"): self._show_queues,
            (b"GET", "/_usage"): self._show_usage,
        }

    def answer(self, head: Head, body: bytes, *, loopback: bool) -> Reply | None:
        """The reply to a path of ours; None for every other path, which SQS answers."""
        url = urlsplit(head.path)
        if url.path in self._health and head.method in (b"GET", b"HEAD"):
            reply = _json(self._health[url.path])
            return reply if head.method == b"GET" else Reply(200, b"", content_type=_JSON)
        if not url.path.startswith("/_"):
            return None
        perform = self._tests.get((head.method, url.path))
        if perform is None or not loopback:
            return _json({"error": "no such path, or not for this client"}, 404)
        return perform(body, parse_qs(url.query))

    def _show_faults(self, body: bytes, query: dict[str, list[str]]) -> Reply:
        del body, query
        return _json({"rules": self._service.plan.uses()})

    def _add_faults(self, body: bytes, query: dict[str, list[str]]) -> Reply:
        del query
        try:
            given = orjson.loads(body)
            rules = [faults.rule(fields) for fields in (given if isinstance(given, list) else [given])]
        except (ValueError, TypeError, AttributeError) as error:
            return _json({"error": str(error)}, 400)
        self._service.plan.add(rules, self._service.clock())
        return _json({"added": len(rules)})

    def _clear_faults(self, body: bytes, query: dict[str, list[str]]) -> Reply:
        del body, query
        uses = self._service.plan.uses()
        self._service.plan.clear()
        return _json({"rules": uses})

    def _show_events(self, body: bytes, query: dict[str, list[str]]) -> Reply:
        del body
        events = self._service.broker.events
        if events is None:
            return _json({"error": "the event log is off: start the server with --events"}, 404)
        try:
            after = int(query.get("after", ["0"])[0])
        except ValueError:
            return _json({"error": "after must be a number"}, 400)
        return _json({"events": events.after(after), "truncated": events.truncated})

    def _show_queues(self, body: bytes, query: dict[str, list[str]]) -> Reply:
        del body, query
        return _json({"queues": self.depths()})

    def _show_usage(self, body: bytes, query: dict[str, list[str]]) -> Reply:
        del body, query
        return _json({"cpu": time.process_time(), "resident": platform.resident_bytes()})

    def depths(self) -> list[dict[str, Any]]:
        """The exact number of messages of every queue, by state, and how many were sent to it."""
        now = self._service.clock()
        answer = []
        for region in self._service.broker.regions():
            for entry in region.entries.values():
                queue = entry.queue
                queue.advance(now)
                queue.expire(now)
                counts = {
                    "ready": queue.ready,
                    "in_flight": queue.in_flight,
                    "delayed": queue.delayed,
                    "sent": queue.sent,
                }
                answer.append({"name": queue.name, "region": region.name, **counts})
        return answer
