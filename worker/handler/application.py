"""Handler process: imports the user's handler function, or says in one line why it cannot be used."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from worker.handler.describe import describe
from worker.handler.form import form_of, misfit
from worker.handler.run import HandlerFunction
from worker.settings import QueueSettings


class CannotImport(Exception):
    """The handler function cannot be used; the text names it and the reason."""


def load(queue: QueueSettings, paths: Sequence[str]) -> HandlerFunction:
    """Import the queue's "package.module:function", looked for in `paths` first. Raises CannotImport."""
    sys.path[:0] = paths
    handler = queue.handler
    module_name, _, name = handler.partition(":")
    try:
        module = import_module(module_name)
    except BaseException as error:
        raise CannotImport(f"cannot import {handler!r}: {describe(error)} ({_where(error, paths)})") from error
    found: object = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise CannotImport(f"cannot import {handler!r}: {_missing(module, part)}") from None
    if not callable(found):
        raise CannotImport(f"cannot use {handler!r}: it is a {type(found).__name__}, not a function")
    fault = _fault(found, queue)
    if fault:
        raise CannotImport(f"cannot use {handler!r}: {fault}")
    return found


def _where(error: BaseException, paths: Sequence[str]) -> str:
    """The line of the application that raised; for a module that was not found, where it was looked for."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    ours = (__file__, import_module.__code__.co_filename)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [one for one in frames if one.filename not in ours and not one.filename.startswith("<frozen")]
    if lines:
        return f"{lines[-1].filename}, line {lines[-1].lineno}"
    return "looked in " + (", ".join(paths) or "the Python path")


def _missing(module: ModuleType, name: str) -> str:
    if module is sys.modules["worker"]:
        return "'worker' is this library's own name; give your module another one"
    import difflib  # not at the top: it is needed about never, and costs every handler's start 1 ms

    near = difflib.get_close_matches(name, dir(module), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"module {module.__name__} ({getattr(module, '__file__', None) or 'built in'}) has no {name!r}{hint}"


def _fault(function: HandlerFunction, queue: QueueSettings) -> str:
    """Why the handler function could never handle a message of this queue, or nothing."""
    for one in (function, getattr(function, "__call__", None)):  # noqa: B004 - an object's method is what is looked at
        if inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one):
            return "it has a yield, so calling it runs nothing"
    try:
        inspect.signature(function).bind(None)
    except ValueError:
        return ""  # written in C, without a signature: only a call can tell
    except TypeError as error:
        return f"it is called with one argument, the message: {error}"
    return misfit(form_of(function), queue)
