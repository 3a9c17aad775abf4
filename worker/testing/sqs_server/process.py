"""Every process: starts the SQS server as a child process and talks to its test paths."""

import json
import time
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any, Self

from worker.testing.child_server import ChildServer

#: Seconds that an answer may take.
_PATIENCE = 20.0
_BATCH = 10_000


class SqsServerProcess:
    """The SQS server in a process of its own, on a port that the kernel chose; it dies with this process.

    ```python
    with SqsServerProcess() as server:
        sqs = boto3.client("sqs", endpoint_url=server.url, region_name="us-east-1", ...)
    ```
    `events` keeps the event log for `events()`; `events_file` writes it to a file as well. `cooldowns=False` lets
    queues be recreated, and purged twice, without waiting 60 seconds. The other arguments are the options of
    `worker sqs-server`.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        events: bool = False,
        events_file: str = "",
        latency: float = 0.0,
        cooldowns: bool = True,
        strict_visibility: bool = False,
        orphan_polls: bool = True,
        in_flight_limit: int = 0,
        seed: str = "",
    ) -> None:
        options = {
            "--port": str(port),
            "--latency": str(latency) if latency else "",
            "--in-flight-limit": str(in_flight_limit) if in_flight_limit else "",
            "--seed": seed,
        }
        flags = {
            "--no-cooldowns": not cooldowns,
            "--strict-visibility": strict_visibility,
            "--drop-orphan-polls": not orphan_polls,
        }
        arguments = [part for name, value in options.items() if value for part in (name, value)]
        arguments += [flag for flag, wanted in flags.items() if wanted]
        if events or events_file:
            arguments += ["--events", *([events_file] if events_file else [])]
        self._server = ChildServer("the SQS server", "worker.testing.sqs_server", arguments=("--ready", *arguments))
        #: Where it answers, as `http://127.0.0.1:PORT`.
        self.url = ""

    def start(self) -> Self:
        """Starts the server and waits until it listens. Raises RuntimeError, with what it said, if it does not."""
        self.url = self._server.start()
        return self

    def stop(self) -> None:
        """Ends the server by its pid and reaps it; does nothing where it is not running."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The server's process id. Raises RuntimeError where it is not running."""
        return self._server.pid

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """All events with numbers above `after`, oldest first; see `events.py`. Needs `events=True`."""
        found: list[dict[str, Any]] = []
        while True:
            page = self._ask("GET", f"/_events?after={after}")["events"]
            found.extend(page)
            if len(page) < _BATCH:
                return found
            after = page[-1]["n"]

    def queues(self) -> dict[str, dict[str, int]]:
        """The exact depths of every queue by name: ready, in_flight, delayed."""
        return {
            name: {state: count for state, count in counts.items() if state != "sent"}
            for name, counts in self.traffic().items()
        }

    def traffic(self) -> dict[str, dict[str, int]]:
        """The same with `sent`: messages that were ever sent to it; what a redrive or a move brings is not."""
        return {
            queue["name"]: {count: queue[count] for count in ("ready", "in_flight", "delayed", "sent")}
            for queue in self._ask("GET", "/_queues")["queues"]
        }

    def usage(self) -> tuple[float, int]:
        """CPU seconds the server has used, and bytes of memory it holds."""
        answer = self._ask("GET", "/_usage")
        return answer["cpu"], answer["resident"]

    def set_faults(self, *rules: dict[str, Any]) -> None:
        """Puts fault rules in force beside those that are; see `faults.py`. Raises ValueError for a bad rule."""
        answer = self._ask("POST", "/_faults", list(rules))
        if "error" in answer:
            raise ValueError(answer["error"])

    def clear_faults(self) -> list[dict[str, Any]]:
        """Ends all faults; returns how often each rule was used."""
        uses: list[dict[str, Any]] = self._ask("DELETE", "/_faults")["rules"]
        return uses

    def wait_for_depths(self, queue: str, *, timeout: float = 10.0, **depths: int) -> None:
        """Waits until a queue has these depths (ready=, in_flight=, delayed=). Raises TimeoutError."""
        end = time.monotonic() + timeout
        while True:
            now = self.queues().get(queue, {})
            if all(now.get(state) == depth for state, depth in depths.items()):
                return
            if time.monotonic() > end:
                raise TimeoutError(f"queue {queue} has {now}, not {depths}, after {timeout} s")
            time.sleep(0.01)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, method=method)  # noqa: S310 - our own loopback URL
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310 - as above
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)
