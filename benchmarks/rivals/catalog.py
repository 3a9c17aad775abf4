"""Benchmark process: the rivals: what is installed for each, how each is configured, and how it is started.

Each has two handler processes, or what stands for them, as our pool has. Each is given what its documentation offers
for throughput; where the defaults are far from that, both stand here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import environments
from benchmarks.contender import Contender, Job, plain_bodies
from benchmarks.machine import ROOT

_HERE = Path(__file__).parent
_SDK = "@aws-sdk/client-sqs@3.1169.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A program of ours on somebody else's library."""

    name: str
    environment: str  #: which folder of `.bench/`
    packages: tuple[str, ...]
    how: str
    program: str  #: in benchmarks/rivals/; `bodies FIRST COUNT SIZE` prints what it can read, if `wraps`
    rate: float  #: messages a second that it will hardly reach
    commands: Callable[[Rival, Job], list[list[str]]]
    wraps: bool = True  #: whether bodies are in a form of its own
    supervised: bool = True  #: whether it starts workers again itself; else every process is a root
    at_once: int = 1  #: messages that each of its processes has in hand while they wait

    @property
    def node(self) -> bool:
        """Whether it runs on Node."""
        return self.program.endswith(".mjs")

    def install(self) -> None:
        """Into its environment, unless that is there."""
        make = environments.make_node if self.node else environments.make_python
        make(self.environment, self.packages)

    def binary(self, name: str) -> str:
        """A command of its environment."""
        return str(environments.python_of(self.environment).with_name(name))

    def contender(self) -> Contender:
        """As benchmarks take it."""
        return Contender(
            name=self.name,
            how=self.how,
            commands=lambda job: self.commands(self, job),
            bodies=self._bodies if self.wraps else plain_bodies,
            rate=self.rate,
            at_once=self.at_once,
            supervised=self.supervised,
        )

    def _bodies(self, first: int, count: int, size: int, environ: Mapping[str, str]) -> Sequence[str]:
        command = [self.binary("python"), "-m", f"benchmarks.rivals.{Path(self.program).stem}", "bodies"]
        done = subprocess.run(
            [*command, *map(str, (first, count, size))],
            cwd=ROOT,
            env={**environ, "PYTHONPATH": str(ROOT)},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]


def _copies(rival: Rival, job: Job) -> list[list[str]]:
    """As many processes as there are handlers, each a program of its own."""
    command = [rival.binary("python"), "-m", f"benchmarks.rivals.{Path(rival.program).stem}", rival.name]
    return [command] * job.handlers


def _nodes(rival: Rival, job: Job) -> list[list[str]]:
    # A module finds its packages beside itself: a link would not do, Node resolves it.
    folder = environments.CACHE / rival.environment
    shutil.copyfile(_HERE / rival.program, folder / rival.program)
    return [["node", str(folder / rival.program), rival.name]] * job.handlers


def _pyqs(rival: Rival, job: Job) -> list[list[str]]:
    return [[rival.binary("pyqs"), job.queue_name, "--concurrency", str(job.handlers), "--region", "us-east-1"]]


def _celery(rival: Rival, job: Job) -> list[list[str]]:
    words = ["-A", "benchmarks.rivals.celery_program", "worker", "--concurrency", str(job.handlers), "-l", "ERROR"]
    if rival.name == "celery-tuned":
        words += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    tuned = "yes" if rival.name == "celery-tuned" else ""
    return [["/usr/bin/env", f"BENCH_TUNED={tuned}", rival.binary("celery"), *words]]


def _dramatiq(rival: Rival, job: Job) -> list[list[str]]:
    words = ["--processes", str(job.handlers), "--threads", "4", "benchmarks.rivals.dramatiq_program"]
    return [[rival.binary("dramatiq"), *words]]


def _taskiq(rival: Rival, job: Job) -> list[list[str]]:
    words = ["worker", "benchmarks.rivals.taskiq_program:broker", "--workers", str(job.handlers)]
    return [[rival.binary("taskiq"), *words, "--log-level", "ERROR", "--ack-type", "when_executed"]]


_BOTO = ("boto3==1.44.5",)
_CELERY = ("celery[sqs]==5.7.0",)
RIVALS = (
    Rival(
        name="naive-batch",
        environment="naive",
        packages=_BOTO,
        how="two copies of a boto3 loop: receive 10, handle them, DeleteMessageBatch",
        program="naive.py",
        rate=20_000,
        commands=_copies,
        wraps=False,
        supervised=False,
    ),
    Rival(
        name="naive-single",
        environment="naive",
        packages=_BOTO,
        how="two copies of the same loop with one DeleteMessage a message",
        program="naive.py",
        rate=5_000,
        commands=_copies,
        wraps=False,
        supervised=False,
    ),
    Rival(
        name="sqs-workers",
        environment="sqs-workers",
        packages=("sqs-workers==0.7.3", "typing_extensions"),
        how="0.7.3, two copies of a RawQueue's process_queue; receives and deletes ten at a time",
        program="sqs_workers_program.py",
        rate=14_000,
        commands=_copies,
        wraps=False,
        supervised=False,
    ),
    Rival(
        name="pyqs",
        environment="pyqs",
        packages=("pyqs==1.0.1",),
        how="1.0.1, --concurrency 2, otherwise its defaults (batches of 10)",
        program="pyqs_program.py",
        rate=500,
        commands=_pyqs,
    ),
    Rival(
        name="celery",
        environment="celery",
        packages=_CELERY,
        how="5.7.0, prefork, --concurrency 2, late acks (or a kill would lose messages), no results, its defaults",
        program="celery_program.py",
        rate=50,
        commands=_celery,
    ),
    Rival(
        name="celery-tuned",
        environment="celery",
        packages=_CELERY,
        how="the same with polling_interval 0.01, prefetch multiplier 20, no gossip, mingle and heartbeat",
        program="celery_program.py",
        rate=1_500,
        commands=_celery,
    ),
    Rival(
        name="dramatiq_sqs",
        environment="dramatiq",
        packages=("dramatiq==2.2.1", "dramatiq-sqs==0.4.4"),
        how="dramatiq 2.2.1, dramatiq-sqs 0.4.4, two processes of four threads",
        program="dramatiq_program.py",
        rate=3_000,
        at_once=4,
        commands=_dramatiq,
    ),
    Rival(
        name="taskiq-aio-sqs",
        environment="taskiq",
        packages=("taskiq==0.13.0", "taskiq-aio-sqs==2.1.1"),
        how="taskiq 0.13.0, taskiq-aio-sqs 2.1.1, two workers, receives of ten, acks after the work",
        program="taskiq_program.py",
        rate=5_000,
        at_once=10,
        commands=_taskiq,
    ),
    Rival(
        name="loafer-ng",
        environment="loafer",
        packages=("loafer-ng==3.0.0",),
        how="3.0.0, two copies of one SQSRoute, receives of ten",
        program="loafer_program.py",
        rate=60,
        at_once=10,
        commands=_copies,
        supervised=False,
    ),
    Rival(
        name="sqs-consumer",
        environment="node",
        packages=("sqs-consumer@14.2.8", _SDK),
        how="14.2.8 on Node, two copies, handleMessage, batchSize 10",
        program="sqs_consumer.mjs",
        rate=5_000,
        at_once=10,
        commands=_nodes,
        wraps=False,
        supervised=False,
    ),
    Rival(
        name="sqs-consumer-batch",
        environment="node",
        packages=("sqs-consumer@14.2.8", _SDK),
        how="the same with handleMessageBatch, which deletes ten at a time",
        program="sqs_consumer.mjs",
        rate=9_000,
        at_once=10,
        commands=_nodes,
        wraps=False,
        supervised=False,
    ),
)


def installed(names: Sequence[str]) -> dict[str, Contender]:
    """These rivals, or `all`, each installed if it was not. Raises ValueError for a name that nobody has."""
    known = {rival.name: rival for rival in RIVALS}
    wanted = list(known) if list(names) == ["all"] else list(names)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"no rival {', '.join(unknown)}; there are: {', '.join(known)}")
    for name in wanted:
        known[name].install()
    return {name: known[name].contender() for name in wanted}
