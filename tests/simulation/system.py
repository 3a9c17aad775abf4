"""Test process: what shipped code finds in place of the operating system and of boto3, while a world runs."""

from __future__ import annotations

import os
import selectors
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn
from unittest import mock

from tests.simulation.hub import Exited, Process
from tests.simulation.machine import Machine
from tests.simulation.network import Line
from tests.simulation.programs import Child, PollerProcess
from worker import platform

if TYPE_CHECKING:
    from tests.simulation.world import World


@contextmanager
def simulated(world: World) -> Iterator[None]:
    """Time, chance, processes, signals and SQS are those of the world."""
    hub, chance = world.hub, world.chance

    def running() -> Process:
        assert hub.running is not None
        return hub.running

    def channel(sock: Any) -> Any:
        process = running()
        assert isinstance(process, Child)
        return process.channel(sock)

    def calls(*_: Any, **__: Any) -> Line:
        process = running()
        assert isinstance(process, PollerProcess)
        return process.line

    def selector() -> Any:
        process = running()
        assert isinstance(process, PollerProcess)
        return process.selector

    def machine_of(process: Process) -> Machine:
        return next(machine for machine in world.machines if machine.supervisor is process)

    def start(arguments: Sequence[str], fd: int) -> int:
        return machine_of(running()).spawn(arguments[1], fd)

    def kill(pid: int) -> None:
        for machine in world.machines:
            machine.kill(pid)

    def leave(code: int) -> NoReturn:
        raise Exited(code)

    client = SimpleNamespace(name="simulated", why="", sqs=calls, polls=64, controls=8)
    patches: tuple[tuple[Any, str, Any], ...] = (
        (platform, "now", hub.clock),
        (platform, "cpu_seconds", lambda: 0.0),
        (os, "_exit", leave),
        (selectors, "DefaultSelector", selector),
    )
    named: tuple[tuple[str, Any], ...] = (
        ("worker.aws.session.Session", lambda *_: None),
        ("worker.aws.clients.client_for", lambda *_, **__: client),
        ("worker.poller.boot.random", chance),
        ("worker.poller.boot.uuid", SimpleNamespace(uuid4=lambda: f"{chance.getrandbits(64):016x}")),
        ("worker.poller.loop.Channel", channel),
        ("worker.handler.links.Channel", channel),
        ("worker.handler.loop.resident_bytes", lambda: 1 << 20),
        ("worker.supervisor.spawn.start", start),
        ("worker.supervisor.reaper.kill_group", kill),
        ("worker.supervisor.reaper.reap", lambda _: machine_of(running()).dead()),
    )
    with ExitStack() as stack:
        for target, name, replacement in patches:
            stack.enter_context(mock.patch.object(target, name, replacement))
        for name, replacement in named:
            stack.enter_context(mock.patch(name, replacement))
        yield
