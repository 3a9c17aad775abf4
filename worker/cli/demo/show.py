"""Command line: the course of `worker demo`: provision, send, run, watch, drain, count."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from worker.cli import exits
from worker.cli.demo.application import Application
from worker.cli.demo.balance import Balance
from worker.cli.demo.views import View
from worker.cli.demo.watch import Watch
from worker.cli.embedded import REGION, embedded_sqs, environment
from worker.cli.pool_process import PoolProcess
from worker.config import ConfigError, load, parse_override

#: Seconds for the drain: `wait` is 1 here, and nothing runs any more.
_DRAIN = 20.0
#: Lines of the pool's log that are shown if it fails.
_GIST = 10
#: Broken messages come back at once, so that they reach the dead-letter queue before the audience leaves.
_QUICK = ("wait=1", "retry.first=1", "retry.most=1")


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
            watch = Watch(plan, server, pool=pool, socket=f"{folder}/control.sock", sent=sent)
            reasons = watch.until_drained(view)
            view.say("stopping the pool" if reasons else "all queues are empty; stopping the pool")
            code = pool.stop(patience=_DRAIN) if pool.code is None else pool.code
        if code != 0:
            reasons += (f"the pool's log says:\n{_gist(log_path)}",)
        return watch.balance(application.name, handlers=count, exit_code=code, reasons=reasons)


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


def _gist(path: Path) -> str:
    """The log's errors, or its end if it has none."""
    lines = path.read_text(errors="replace").splitlines()
    errors = [line for line in lines if '"level":"error"' in line or "Error" in line]
    return "\n".join(errors[:_GIST] or lines[-_GIST:])
