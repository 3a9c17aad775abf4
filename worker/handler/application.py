"""Handler process: imports the functions that a queue's table names, or says in one line why one cannot be used."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from worker.handler.describe import describe
from worker.handler.form import form_of, misfit, of_messages, uncallable, yields
from worker.handler.middleware import Middleware, wrap
from worker.handler.middleware import misfit as middleware_misfit
from worker.handler.run import HandlerFunction
from worker.settings import QueueSettings


class CannotImport(Exception):
    """A function that the config names cannot be used; the text names it and the reason, `key` is where it stands."""

    def __init__(self, text: str, *, key: str = "handler") -> None:
        super().__init__(text)
        self.key = key


def load(queue: QueueSettings, paths: Sequence[str]) -> HandlerFunction:
    """The queue's handler function, its middleware around it; `paths` are looked in first. Raises CannotImport."""
    sys.path[:0] = paths
    function = _typed(find(queue.handler, paths, key="handler"), queue)
    _demand(uncallable(function) or misfit(form_of(function), queue), queue.handler, key="handler")
    asynchronous = form_of(function).asynchronous
    around: list[Middleware] = []
    for name in queue.middleware:
        found = find(name, paths, key="middleware")
        _demand(middleware_misfit(found, asynchronous=asynchronous), name, key="middleware")
        around.append(found)
    return wrap(function, around)


def _typed(function: Callable[..., Any], queue: QueueSettings) -> HandlerFunction:
    if of_messages(function) and not queue.envelope:
        return function
    from worker.handler.typed import Unfit, typed  # the start of most handlers need not pay 2 ms for it

    try:
        return typed(function, envelope=queue.envelope)
    except Unfit as error:
        raise CannotImport(f"cannot use {queue.handler!r}: {error}") from None


def find(name: str, paths: Sequence[str], *, key: str) -> Callable[..., Any]:
    """Import "package.module:function", which stands at `key` of a queue's table. Raises CannotImport.

    `paths` are for the text of a complaint: `load` has put them where Python looks.
    """
    module_name, _, rest = name.partition(":")
    shown = _shown(name, key)
    try:
        module = import_module(module_name)
    except BaseException as error:
        raise CannotImport(f"cannot import {shown}: {describe(error)} ({where(error, paths)})", key=key) from error
    found: object = module
    for part in rest.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise CannotImport(f"cannot import {shown}: {_missing(module, part)}", key=key) from None
        except BaseException as error:  # a module may import what is asked for by a __getattr__ of its own
            raise CannotImport(f"cannot import {shown}: {describe(error)} ({where(error, paths)})", key=key) from error
    if not callable(found):
        raise CannotImport(f"cannot use {shown}: it is a {type(found).__name__}, not a function", key=key)
    _demand(yields(found), name, key=key)
    return found


def _demand(fault: str, name: str, *, key: str) -> None:
    if fault:
        raise CannotImport(f"cannot use {_shown(name, key)}: {fault}", key=key)


def _shown(name: str, key: str) -> str:
    return repr(name) if key == "handler" else f"{key} {name!r}"


def where(error: BaseException, paths: Sequence[str]) -> str:
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
