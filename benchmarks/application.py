"""Handler process: the handler functions of the benchmarks."""

from __future__ import annotations

from benchmarks.work import async_handler, handler
from worker import Message

_work = handler()
_async_work = async_handler()


def noop(message: Message) -> None:
    """Nothing at all."""


def work(message: Message) -> None:
    """What the environment asks for."""
    _work(message.text, message.id)


async def work_async(message: Message) -> None:
    """The same for handlers that take coroutines."""
    await _async_work(message.text, message.id)
