"""Command line: the course of `worker demo`: provision, send, run, watch, drain, count."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from worker.cli import exits
from worker.cli.demo import acts
from worker.cli.demo.application import Application
from worker.cli.demo.balance import Balance
from worker.cli.demo.provision import make_queues, send_messages
from worker.cli.demo.views import View
from worker.cli.demo.watch import Watch
from worker.cli.embedded import embedded_services, embedded_sqs, stage_environment
from worker.cli.pool_process import PoolProcess
from worker.config import ConfigError, load, parse_override
from worker.testing.sqs_server.process import SqsServerProcess

#: Seconds for the drain: `wait` is 1 here, and nothing runs any more.
_DRAIN = 20.0
#: Lines of the pool's log that are shown if it fails.
_GIST = 10
#: Broken messages come back at once, so that they reach the dead-letter queue before the audience leaves.
_QUICK = ("wait=1", "retry.first=1", "retry.most=1")
#: Messages, unless the user says how many; moto takes milliseconds for each call of a handler.
_MANY, _MANY_WITH_SERVICES = 5000, 500


def show(application: Application, *, messages: int | None, handlers: int | None, view: View) -> Balance:
    """Run the whole demonstration. Raises Quit if it cannot even start."""
    plan = application.demonstration
    count = messages or (_MANY_WITH_SERVICES if plan.services else _MANY)
    with ExitStack() as stage:
        server = stage.enter_context(embedded_sqs(port=0))
        folder = Path(stage.enter_context(tempfile.TemporaryDirectory(prefix="worker-demo-")))
        view.say(f"{application.name}: {plan.about}")
        view.say(f"embedded SQS at {server.url}")
        services = stage.enter_context(embedded_services()).url if plan.services else ""
        if services:
            view.say(f"other AWS services (moto) at {services}")
        urls = make_queues(plan, server.url)
        view.say(f"queues: {', '.join(sorted(urls))}")
        environ = _environment(application, folder, urls=urls, sqs=server.url, services=services)
        with acts.environment_of(environ):
            acts.prepare(plan)
            sent = send_messages(plan, count, endpoint=server.url, urls=urls, view=view)
            if plan.send is not None:
                view.say(f"the application sends for {count:,} messages")
                sent += acts.send(plan, count)
            balance = _run(application, folder, environ=environ, server=server, sent=sent, handlers=handlers, view=view)
            counts, faults = acts.verdict(plan, sent)
        return balance.with_verdict(counts, faults)


def _run(
    application: Application,
    folder: Path,
    *,
    environ: Mapping[str, str],
    server: SqsServerProcess,
    sent: int,
    handlers: int | None,
    view: View,
) -> Balance:
    """The pool, from its start to its end."""
    config, sets, count = _configure(application, folder, environ=environ, handlers=handlers)
    view.say(f"worker run --config {application.config}")
    log_path = folder / "pool.log"
    with log_path.open("wb") as log, PoolProcess(config, environ=environ, sets=sets, log=log) as pool:
        watch = Watch(application.demonstration, server, pool=pool, socket=f"{folder}/control.sock", sent=sent)
        reasons = watch.until_drained(view)
        view.say("stopping the pool" if reasons else "all queues are empty; stopping the pool")
        code = pool.stop(patience=_DRAIN) if pool.code is None else pool.code
    if code != 0:
        reasons += (f"the pool's log says:\n{_gist(log_path)}",)
    return watch.balance(application.name, handlers=count, exit_code=code, reasons=reasons)


def _environment(
    application: Application, folder: Path, *, urls: Mapping[str, str], sqs: str, services: str
) -> dict[str, str]:
    """The pool's, and for a while our own."""
    plan = application.demonstration
    given = dict(urls)
    if plan.scratch:
        scratch = folder / "scratch"
        scratch.mkdir()
        given["DEMO_FOLDER"] = str(scratch)
    environ = {**stage_environment(sqs, services), **plan.environment(given)}
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(application.root), environ.get("PYTHONPATH"))))
    return environ


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
