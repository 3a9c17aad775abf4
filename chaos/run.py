"""Chaos process: one run from its first message to its verdict.

1. A storm over a pool at work. 2. All faults end, and the pool is drained under load: exit code 0, nothing of it in
flight. 3. It is started again and empties the queue. 4. Messages that outlast their visibility timeout, while only
pollers are killed: not one may run twice. 5. A last drain, idle. 6. The logs are read.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from chaos import executions as running
from chaos import history, oracle, recovery
from chaos.attribution import Terms
from chaos.logs import read_broker, read_faults, read_polls, read_sent, read_steps
from chaos.naive import NaivePool
from chaos.options import Options
from chaos.pool import Setup, WorkerPool
from chaos.proxy import Proxy
from chaos.scene import PROBE_COUNT, PROBES, Scene, Tell
from chaos.storm import Storm
from chaos.wire import Wire, create_queues, empty, queue_url
from worker.testing.sqs_server.process import SqsServerProcess

#: Receives of a message before SQS gives it to the dead-letter queue.
_RECEIVES = 20


@dataclass(slots=True)
class Result:
    """What came of it."""

    options: Options
    verdict: oracle.Verdict
    recoveries: list[recovery.Recovery]
    struck: Counter[tuple[str, str]]
    hits: Counter[str]  #: requests hit by the broker's fault plan
    restarts: int
    codes: Counter[int]
    storm_seconds: float
    storm_effects: int
    all_seconds: float
    busy: float  #: mean share of the cores' time during the storm
    probes: list[float] = field(default_factory=list)  #: seconds from send to effect, after the storm
    oom_kills: int = 0


def end_on_signals() -> None:
    """SIGTERM and Ctrl-C end a run by an exception, so that no process, mount or folder of it is left."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def run(options: Options, tell: Tell = lambda _: None) -> Result:
    """Run it in `options.folder`, which must exist. Leaves the logs there, and no process."""
    folder = options.folder
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(SqsServerProcess(events_file=str(folder / "broker")))
        port = int(server.url.rpartition(":")[2])
        proxy = Proxy(port, stack.enter_context((folder / "polls").open("w", buffering=1)))
        proxy.start()
        stack.callback(proxy.stop)
        wire = Wire(port)
        stack.callback(wire.close)
        queue, dead = create_queues(wire, "chaos", fifo=options.fifo, receives=_RECEIVES)
        setup = Setup(
            folder=folder,
            endpoint=f"http://127.0.0.1:{proxy.port}",
            queue_url=queue_url(proxy.port, queue),
            effects=folder / "effects",
            handlers=options.handlers,
            plain_logs=options.plain_logs,
            mutant=options.mutant,
        )
        pool: WorkerPool | NaivePool = NaivePool(setup, options.naive) if options.naive else WorkerPool(setup)
        stack.enter_context(pool)
        faults = stack.enter_context((folder / "faults").open("wb", buffering=0))
        scene = Scene(
            options=options,
            setup=setup,
            server=server,
            pool=pool,
            storm=Storm(pool, server, proxy, faults),
            port=port,
            queue=queue,
            tell=tell,
        )
        scene.play()
        ids = [int(body.split(" ")[0]) for body in empty(wire, queue_url(port, dead))]
        depth = sum(server.queues()[queue].values())
        killed = pool.limit.kills() if isinstance(pool, WorkerPool) else 0
    tell("reading the logs")
    result = _judge(scene, ids, depth)
    result.oom_kills = killed
    result.all_seconds = time.monotonic() - begin
    return result


def _judge(scene: Scene, dead: list[int], depth: int) -> Result:
    options, setup, folder = scene.options, scene.setup, scene.options.folder
    faults = read_faults(folder / "faults")
    found = running.read(read_steps(setup.effects), faults)
    told = history.read(read_broker(folder / "broker"), scene.queue, visibility=setup.visibility)
    polls = read_polls(folder / "polls")
    sent = list(read_sent(folder / "producer"))
    verdict = oracle.judge(
        sent=sent,
        history=told,
        executions=found,
        faults=faults,
        polls=polls,
        terms=Terms(setup.visibility, setup.wait),
        dead=dead,
        drains=scene.drains,
        depth=depth,
        fifo=options.fifo,
    )
    if scene.left:
        verdict.violate("orphans", f"processes {scene.left} outlived the last drain")
    if scene.producer_code:
        verdict.violate("no run", f"the producer ended with {scene.producer_code}")
    done = {one.id: one.effect for one in reversed(found.all) if one.effect and PROBES <= one.id < PROBES + PROBE_COUNT}
    return Result(
        options=options,
        verdict=verdict,
        recoveries=recovery.recoveries(found, polls, faults, scene.watch.loads),
        struck=scene.storm.struck,
        hits=told.hits,
        restarts=scene.pool.restarts,
        codes=scene.pool.codes,
        storm_seconds=scene.storm_seconds,
        storm_effects=scene.storm_effects,
        all_seconds=0.0,
        busy=scene.busy,
        probes=[(done[one.id] - one.ns) / 1e9 for one in sent if one.id in done],
    )
