"""Command line: the course of `worker demo`: provision, send, run, watch, drain, count."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from worker.cli import exits
from worker.cli.demo.application import Application
from worker.cli.demo.balance import Balance, totals
from worker.cli.demo.moments import Meter, Moment
from worker.cli.demo.views import View
from worker.cli.embedded import REGION, embedded_sqs, environment
from worker.cli.pool_process import PoolProcess
from worker.config import ConfigError, load, parse_override
from worker.testing.sqs_server.process import SqsServerProcess

#: Seconds between two looks.
_PERIOD = 0.25
#: Seconds until a demonstration that does not come to its end is drained anyway: make demo promises 60 in all.
_PATIENCE = 50.0
#: Seconds after the queues are empty in which the pool's own counters must agree; pollers publish every 5 s or sooner.
_SETTLING = 6.0
#: Seconds for the drain: `wait` is 1 here, and nothing runs any more.
_DRAIN = 20.0
#: Bytes of the pool's log that are shown if it fails.
_TAIL = 4000
#: Broken messages come back at once, so that they reach the dead-letter queue before the audience leaves.
_QUICK = ("wait=1", "poll_interval=", "retry.first=1", "retry.most=1")


def show(application: Application, *, messages: int, handlers: int | None, view: View) -> Balance:
    """Run the whole demonstration. Raises Quit if it cannot even start."""
    plan = application.demonstration
    with embedded_sqs(port=0) as server, tempfile.TemporaryDirectory(prefix="worker-demo-") as folder:
        view.say(f"{application.name}: {plan.about}")
        view.say(f"embedded SQS at {server.url}")
        urls = _provision(application, server.url)
        view.say(f"queues: {', '.join(sorted(urls))}")
        sent = _send(application, server.url, urls, messages=messages, view=view)
        environ = {**environment(server.url), **plan.environment(urls)}
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(application.root), environ.get("PYTHONPATH"))))
        config, sets, count = _configure(application, Path(folder), environ=environ, handlers=handlers)
        view.say(f"worker run --config {application.config}")
        log_path = Path(folder) / "pool.log"
        with log_path.open("wb") as log, PoolProcess(config, environ=environ, sets=sets, log=log) as pool:
            watch = _Watch(application, server, pool=pool, socket=f"{folder}/control.sock", sent=sent, view=view)
            reasons = watch.until_drained()
            view.say("drained; stopping the pool")
            code = pool.stop(patience=_DRAIN) if pool.code is None else pool.code
        if code != 0:
            reasons += (f"the pool's log ends with:\n{_tail(log_path)}",)
        return watch.balance(handlers=count, exit_code=code, reasons=reasons)


def _provision(application: Application, endpoint: str) -> dict[str, str]:
    from worker.aws.provision import NotProvisioned, Provisioner, QueuePlan

    plans = [
        QueuePlan(name=queue.name, dead_letter=queue.dead_letter, receives=queue.receives)
        for queue in application.demonstration.queues
    ]
    provisioner = Provisioner(endpoint, region=REGION)
    try:
        return provisioner.make(plans)
    except NotProvisioned as error:
        raise exits.Quit(exits.UNAVAILABLE, str(error)) from None
    finally:
        provisioner.close()


def _send(application: Application, endpoint: str, urls: Mapping[str, str], *, messages: int, view: View) -> int:
    """Send everything; the number of messages."""
    from worker.aws.provision import NotProvisioned, Provisioner, Sending

    bodies: dict[str, list[Sending]] = {}
    for queue, body in application.demonstration.messages(messages):
        group = f"group-{len(bodies.get(queue, ())) % 50}" if queue.endswith(".fifo") else ""
        bodies.setdefault(queue, []).append(Sending(body=body, group_id=group))
    provisioner = Provisioner(endpoint, region=REGION)
    try:
        for queue, sendings in bodies.items():
            view.say(f"sending {len(sendings):,} messages to {queue}")
            for _ in provisioner.send(urls[queue], sendings):
                pass
    except NotProvisioned as error:
        raise exits.Quit(exits.UNAVAILABLE, str(error)) from None
    finally:
        provisioner.close()
    return sum(map(len, bodies.values()))


def _configure(
    application: Application, folder: Path, *, environ: Mapping[str, str], handlers: int | None
) -> tuple[str, list[str], int]:
    """The config to run, the keys to set, and how many handlers that makes. Raises Quit if the config is wrong."""
    # A copy of our own: with a umask of 002, as on Ubuntu, a cloned file is group-writable and would be refused.
    config = folder / "worker.toml"
    shutil.copyfile(application.config, config)
    config.chmod(0o600)
    sets = [f"worker.name={application.name}", f"worker.control_socket={folder}/control.sock"]
    try:
        tables = [queue.name for queue in load(config, environ).queues]
        for table in tables:
            sets += [f"queues.{table}.{one}" for one in _QUICK]
            if handlers:
                sets.append(f"queues.{table}.handlers={handlers}")
        settings = load(config, environ, overrides=[parse_override(one) for one in sets])
    except ConfigError as error:
        raise exits.Quit(exits.CONFIG, str(error)) from None
    return str(config), sets, sum(queue.handlers for queue in settings.queues)


def _tail(path: Path) -> str:
    return path.read_bytes()[-_TAIL:].decode(errors="replace").strip()


class _Watch:
    """Looks at pool and broker until all is done."""

    def __init__(
        self,
        application: Application,
        server: SqsServerProcess,
        *,
        pool: PoolProcess,
        socket: str,
        sent: int,
        view: View,
    ) -> None:
        plan = application.demonstration
        self._name = application.name
        self._sources = frozenset(queue.name for queue in plan.queues if queue.source)
        dead_letters = frozenset(queue.dead_letter for queue in plan.queues if queue.dead_letter)
        self._dead_letters = dead_letters - self._sources
        self._server, self._pool, self._socket, self._view = server, pool, socket, view
        self._sent = sent
        self._began = time.monotonic()
        self._meter = Meter()
        self._first_at = 0.0
        self._last_at = 0.0
        self._last: Moment = self._look()

    def until_drained(self) -> tuple[str, ...]:
        """Returns when every source queue is empty and the pool holds nothing; or with what kept it from that."""
        emptied: float | None = None
        while True:
            time.sleep(_PERIOD)  # the pace of the picture; what is waited for is looked at
            moment = self._last = self._look()
            self._view.look(moment)
            if self._pool.code is not None:
                return ("the pool ended by itself",)
            if moment.seconds > _PATIENCE:
                return (f"not at its end after {_PATIENCE:g} s",)
            if any(moment.depths.get(name) for name in self._sources):
                emptied = None
                continue
            emptied = moment.seconds if emptied is None else emptied
            settled = moment.status is not None and not moment.counters.get("in_flight") and self._counted(moment)
            if settled or moment.seconds - emptied > _SETTLING:
                return ()

    def balance(self, *, handlers: int, exit_code: int, reasons: tuple[str, ...]) -> Balance:
        """The figures at the end; the broker's are asked once more, now that the pool is gone."""
        return Balance(
            application=self._name,
            sent=self._sent,
            counters=self._last.counters,
            depths=self._depths(),
            sources=self._sources,
            dead_letters=self._dead_letters,
            seconds=self._last_at - self._first_at,
            handlers=handlers,
            exit_code=exit_code,
            reasons=reasons,
        )

    def _counted(self, moment: Moment) -> bool:
        """True once the pool's counters tell of every message: they follow what has happened."""
        return moment.finished == self._sent

    def _look(self) -> Moment:
        now = time.monotonic() - self._began
        status = self._pool.status(self._socket)
        before = getattr(self, "_last", None)
        counters = totals(status) if status else (before.counters if before else {})
        depths = self._depths()
        buried = sum(depths.get(name, 0) for name in self._dead_letters)
        finished = counters.get("deleted", 0) + buried
        if not self._first_at and counters.get("received"):
            self._first_at = self._last_at = before.seconds if before else now
        if before is None or finished > before.finished:
            self._last_at = now
        rate = self._meter.rate(now, finished)
        return Moment(
            seconds=now, sent=self._sent, status=status, counters=counters, depths=depths, buried=buried, rate=rate
        )

    def _depths(self) -> dict[str, int]:
        """Messages in each queue, whatever hides them, as the broker itself says."""
        return {name: sum(states.values()) for name, states in self._server.queues().items()}
