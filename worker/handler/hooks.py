"""Handler process: `on_start` and `on_stop`: functions of the user's at both ends of a handler process's life."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from worker.handler.application import CannotImport, find
from worker.handler.form import is_async
from worker.settings import QueueSettings

#: Called without arguments; an async def only where the handler function is one, and then on its event loop.
Hook = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a queue's table names; None: nothing."""

    on_start: Hook | None = None
    on_stop: Hook | None = None


def load_hooks(queue: QueueSettings, paths: Sequence[str], *, asynchronous: bool) -> Hooks:
    """Import both, after the handler function, which may be an async def (`asynchronous`). Raises CannotImport."""
    return Hooks(
        on_start=_load(queue.on_start, paths, key="on_start", asynchronous=asynchronous),
        on_stop=_load(queue.on_stop, paths, key="on_stop", asynchronous=asynchronous),
    )


def forgiving(hook: Hook, tell: Callable[[BaseException], None]) -> Hook:
    """The hook, plain or async as it is, but whatever it raises is only told."""

    def call() -> None:
        try:
            hook()
        except BaseException as error:  # noqa: BLE001 - user code may raise anything, and the process ends anyway
            tell(error)

    async def call_async() -> None:
        try:
            await hook()
        except BaseException as error:  # noqa: BLE001 - as above
            tell(error)

    return call_async if is_async(hook) else call


def _load(name: str, paths: Sequence[str], *, key: str, asynchronous: bool) -> Hook | None:
    if not name:
        return None
    hook = find(name, paths, key=key)
    fault = ""
    if is_async(hook) and not asynchronous:
        fault = "it is an async def, and the handler function a plain one, which has no event loop"
    try:
        inspect.signature(hook).bind()
    except ValueError:
        pass  # written in C, without a signature: only the call can tell
    except TypeError as error:
        fault = f"it is called without arguments: {error}"
    if fault:
        raise CannotImport(f"cannot use {key} {name!r}: {fault}", key=key)
    return hook
