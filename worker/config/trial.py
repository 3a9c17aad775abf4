"""Command line: imports the handler functions of a config in processes of their own, as `worker check` promises.

User code may do anything when it is imported: exit, hang, crash the interpreter. None of that may reach the command.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

from worker.config.problems import Problem
from worker.settings import Settings

#: Seconds an application may take to import before that counts as a fault.
_PATIENCE = 60.0
#: Characters of an exception's text that a fault shows.
_LONGEST_TEXT = 300


def try_import(settings: Settings, *, patience: float = _PATIENCE) -> list[Problem]:
    """One problem for each queue whose handler function a handler process could not use; empty if all is fine."""
    verdicts: dict[str, str] = {}
    for queue in settings.queues:
        if queue.handler not in verdicts:
            verdicts[queue.handler] = _try_one(queue.handler, settings.paths, patience=patience)
    return [
        Problem(text=verdicts[queue.handler], file=settings.config, table=f"queues.{queue.name}", key="handler")
        for queue in settings.queues
        if verdicts[queue.handler]
    ]


def _try_one(handler: str, paths: tuple[str, ...], *, patience: float) -> str:
    """What is wrong with one handler function, or ""."""
    command = [sys.executable, "-m", "worker.config.trial", handler, *paths]
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
        return f"{handler}: the import did not end within {patience:g} s"
    if process.returncode < 0:
        return f"{handler}: the import killed its process ({signal.Signals(-process.returncode).name})"
    try:
        return str(json.loads(answer.decode(errors="replace").splitlines()[-1])["fault"])
    except (IndexError, ValueError, KeyError, TypeError):
        return f"{handler}: the import ended its process (exit code {process.returncode})"


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it ended in this moment, and communicate() or wait() will reap it


def judge(handler: str) -> str:
    """What is wrong with a handler function, or "". Imports it into this process, which is a child made for that."""
    import importlib
    import traceback

    module_name, _, name = handler.partition(":")
    try:
        module = importlib.import_module(module_name)
    except BaseException as error:  # noqa: BLE001 - an application may raise SystemExit or worse, and that is the fault
        last = " ".join(traceback.format_exception_only(error)[-1].split())[:_LONGEST_TEXT]
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_import_machinery(frame)]
        where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
        shown = last if last.isprintable() else ascii(last)  # no control characters into the operator's terminal
        return f"{handler}: {shown}{where}"
    function = getattr(module, name, None)
    if function is None:
        return f"{handler}: module {module_name} ({getattr(module, '__file__', '?')}) has no {name}"
    return _judge_function(function, handler)


def _judge_function(function: object, handler: str) -> str:
    import inspect

    if not callable(function):
        return f"{handler}: is a {type(function).__name__}, not a function"
    for asked in (function, getattr(function, "__call__", None)):  # noqa: B004 - the method itself is looked at
        if inspect.iscoroutinefunction(asked) or inspect.isasyncgenfunction(asked):
            return f"{handler}: async handler functions are not supported yet; write `def`, not `async def`"
        if inspect.isgeneratorfunction(asked):
            return f"{handler}: generator functions (with `yield`) never run; write a function that returns"
    return _judge_signature(function, handler)


def _judge_signature(function: Callable[..., object], handler: str) -> str:
    import inspect

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""  # written in C without a signature: only a call can tell
    try:
        signature.bind(None)
    except TypeError as error:
        return f"{handler}: must take one argument, the message: {error}"
    return ""


def _is_import_machinery(frame: object) -> bool:
    filename = str(getattr(frame, "filename", ""))
    return filename.startswith("<frozen") or filename == __file__ or "importlib" in filename


def main() -> int:
    """Child process of try_import: argv is the handler function and the folders; a JSON line on stdout answers."""
    answer = os.dup(1)
    os.set_inheritable(answer, False)
    os.dup2(2, 1)  # what the application prints must not be taken for the answer
    handler, *paths = sys.argv[1:]
    sys.path[:0] = paths
    fault = judge(handler)
    os.write(answer, json.dumps({"fault": fault}).encode() + b"\n")
    # Not the ordinary end: threads that the application started at import must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
