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

from worker.config import Problem
from worker.platform import LINUX
from worker.settings import BatchSettings, QueueSettings, Settings

#: Seconds an application may take to import before that counts as a fault.
_PATIENCE = 60.0
#: Characters of an exception's text that a fault shows.
_LONGEST_TEXT = 500


def try_import(settings: Settings, *, patience: float = _PATIENCE) -> list[Problem]:
    """One problem for each queue whose handler function a handler process could not use; empty if all is fine."""
    verdicts: dict[tuple[object, ...], str] = {}
    problems: list[Problem] = []
    for queue in settings.queues:
        kind = (queue.handler, queue.threads, queue.concurrency, queue.batch, queue.preload)
        if kind not in verdicts:
            verdicts[kind] = _try_one(queue, settings, patience=patience)
        if verdicts[kind]:
            table = f"queues.{queue.name}"
            problems.append(Problem(text=verdicts[kind], file=settings.config, table=table, key="handler"))
    return problems


def _try_one(queue: QueueSettings, settings: Settings, *, patience: float) -> str:
    """What is wrong with one queue's handler function, or ""."""
    handler = queue.handler
    # No more than it needs: others can read a command line.
    told = {"name": queue.name, "handler": handler, "threads": queue.threads, "concurrency": queue.concurrency}
    told |= {"batch": asdict(queue.batch), "preload": queue.preload and LINUX}
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
        return f"cannot import {handler!r}: the import did not end within {patience:g} s"
    if process.returncode < 0:
        return f"cannot import {handler!r}: the import killed its process ({signal.Signals(-process.returncode).name})"
    try:
        return str(json.loads(answer.decode(errors="replace").splitlines()[-1])["fault"])
    except (IndexError, ValueError, KeyError, TypeError):
        return f"cannot import {handler!r}: the import ended its process (exit code {process.returncode})"


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it ended in this moment, and leaving the with block reaps it


def main() -> None:
    """Child process of try_import: argv is the queue's settings and the folders; a JSON line on stdout answers."""
    from worker.handler.application import CannotImport, load  # the same judges as in the processes of a pool
    from worker.template.leftovers import threads_fault

    answer = os.dup(1)
    os.dup2(2, 1)  # what the application prints must not be taken for the answer
    told = json.loads(sys.argv[1])
    queue = QueueSettings(**told | {"batch": BatchSettings(**told["batch"])})
    fault = ""
    try:
        load(queue, sys.argv[2:])
        fault = threads_fault(queue.handler) if queue.preload else ""
    except CannotImport as error:
        fault = " ".join(str(error).split())
    fault = fault[:_LONGEST_TEXT]
    # No control characters into the operator's terminal.
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in fault)
    os.write(answer, json.dumps({"fault": shown}).encode() + b"\n")
    # Not the ordinary end: threads that the application started at import must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
