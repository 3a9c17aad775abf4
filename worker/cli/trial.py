"""Command line: imports the handler functions of a config in processes of their own, as `worker check` promises.

User code may do anything when it is imported: exit, hang, crash the interpreter. None of that may reach the command.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from typing import NamedTuple

from worker.config import Problem
from worker.platform import LINUX
from worker.settings import BatchSettings, QueueSettings, Settings

#: Seconds an application may take to import before that counts as a fault.
_PATIENCE = 60.0
#: Characters of an exception's text that a fault shows.
_LONGEST_TEXT = 500


class Verdict(NamedTuple):
    """What a trial found."""

    fault: str  #: empty: none
    key: str = "handler"  #: where the function stands that it is about


def try_import(settings: Settings, *, patience: float = _PATIENCE) -> list[Problem]:
    """One problem for each queue whose handler function a handler process could not use; empty if all is fine."""
    verdicts: dict[tuple[object, ...], Verdict] = {}
    problems: list[Problem] = []
    for queue in settings.queues:
        kind = tuple(_told(queue).items())
        if kind not in verdicts:
            verdicts[kind] = _try_one(queue, settings, patience=patience)
        fault, key = verdicts[kind]
        if fault:
            problems.append(Problem(text=fault, file=settings.config, table=f"queues.{queue.name}", key=key))
    return problems


def _told(queue: QueueSettings) -> dict[str, object]:
    """What a trial has to know. No more than it needs: others can read a command line."""
    names = ("handler", "middleware", "envelope", "on_start", "on_stop", "threads", "concurrency", "batch", "preload")
    return {name: getattr(queue, name) for name in names}


def _try_one(queue: QueueSettings, settings: Settings, *, patience: float) -> Verdict:
    """What is wrong with one queue's functions, or ""."""
    handler = queue.handler
    told = {"name": queue.name} | _told(queue) | {"batch": asdict(queue.batch), "preload": queue.preload and LINUX}
    arguments = [json.dumps(told), *settings.paths]
    command = [sys.executable, "-m", "worker.cli.trial", *arguments]
    try:
        # A session of its own: what the application starts while it is imported is killed with it.
        with subprocess.Popen(  # noqa: S603 - this interpreter, with the config's own handler
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            try:
                answer, _ = process.communicate(timeout=patience)
            finally:
                _kill_group(process)
    except subprocess.TimeoutExpired:
        return Verdict(f"cannot import {handler!r}: the import did not end within {patience:g} s")
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        return Verdict(f"cannot import {handler!r}: the import killed its process ({name})")
    try:
        said = json.loads(answer.decode(errors="replace").splitlines()[-1])
        return Verdict(str(said["fault"]), str(said["key"]))
    except (IndexError, ValueError, KeyError, TypeError):
        return Verdict(f"cannot import {handler!r}: the import ended its process (exit code {process.returncode})")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it ended in this moment, and leaving the with block reaps it


def main() -> None:
    """Child process of try_import: argv is the queue's settings and the folders; a JSON line on stdout answers."""
    from worker.handler.application import CannotImport, load  # the same judges as in the processes of a pool
    from worker.handler.form import form_of
    from worker.handler.hooks import load_hooks
    from worker.template.leftovers import threads_fault

    answer = os.dup(1)
    os.dup2(2, 1)  # what the application prints must not be taken for the answer
    told = json.loads(sys.argv[1])
    inner = {"batch": BatchSettings(**told["batch"]), "middleware": tuple(told["middleware"])}
    queue = QueueSettings(**told | inner)
    fault, key = "", "handler"
    try:
        function = load(queue, sys.argv[2:])
        load_hooks(queue, sys.argv[2:], asynchronous=form_of(function).asynchronous)
        fault = threads_fault(queue.handler) if queue.preload else ""
    except CannotImport as error:
        fault, key = " ".join(str(error).split()), error.key
    fault = fault[:_LONGEST_TEXT]
    # No control characters into the operator's terminal.
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in fault)
    os.write(answer, json.dumps({"fault": shown, "key": key}).encode() + b"\n")
    # Not the ordinary end: threads that the application started at import must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
