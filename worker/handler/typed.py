"""Handler process: gives a handler function what its annotations ask for; put together once, when it is loaded.

One that asks for the message alone is left as it is, so that it costs no call more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from worker.handler.form import form_of
from worker.handler.parameters import Unfit, Wanted, wanted
from worker.message import Message, Reject, Retry, SoftTimeout

__all__ = ["Unfit", "typed"]

#: What a handler function is called with for one message.
Arguments = tuple[Any, ...]


def typed(function: Callable[..., Any], *, envelope: str = "") -> Callable[[Any], Any]:
    """A function of a message, or of a list of them, that calls the handler function. Raises Unfit.

    A body that does not fit is a Reject("decode: {path}: {why}"), of its own message alone. `envelope` is as in a
    queue's table: bodies are taken out of it first.
    """
    want = wanted(function)
    if want.body is None and not envelope:
        return function
    read = _reader(want, envelope)
    asynchronous = form_of(function).asynchronous
    if want.batch:
        return _batch_async(function, read) if asynchronous else _batch(function, read)
    return _single_async(function, read) if asynchronous else _single(function, read)


def _reader(want: Wanted, envelope: str) -> Callable[[Message], Arguments]:
    """Gives the arguments for one message. Raises Reject, or what a class of the user's raises."""
    read = _body_reader(want)
    if not envelope:
        return read
    from worker.envelopes.opening import opener

    open_envelope = opener(envelope)

    def call(message: Message) -> Arguments:
        open_envelope(message)
        return read(message)

    return call


def _body_reader(want: Wanted) -> Callable[[Message], Arguments]:
    if want.body is None:
        return lambda message: (message,)
    from worker.handler.decoding import decoder  # what asks for no body need not import it

    try:
        decode = decoder(want.body)
    except Unfit as error:
        raise Unfit(f"its parameter {want.name!r}: {error}") from None
    if want.message:
        return lambda message: (decode(message.body), message)
    return lambda message: (decode(message.body),)


def _single(function: Callable[..., Any], read: Callable[[Message], Arguments]) -> Callable[[Message], Any]:
    def call(message: Message) -> Any:
        return function(*read(message))

    return call


def _single_async(function: Callable[..., Any], read: Callable[[Message], Arguments]) -> Callable[[Message], Any]:
    async def call(message: Message) -> Any:
        return await function(*read(message))

    return call


def _batch(function: Callable[..., Any], read: Callable[[Message], Arguments]) -> Callable[[list[Message]], Any]:
    def call(messages: list[Message]) -> Any:
        batch = _Batch(messages, read)
        if not batch.fitting:
            return batch.misfits
        try:
            result = function(*batch.columns)
        except Exception as error:  # noqa: BLE001 - user code may raise anything; it is judged where all outcomes are
            return batch.raised(error)
        return batch.returned(result)

    return call


def _batch_async(function: Callable[..., Any], read: Callable[[Message], Arguments]) -> Callable[[list[Message]], Any]:
    async def call(messages: list[Message]) -> Any:
        batch = _Batch(messages, read)
        if not batch.fitting:
            return batch.misfits
        try:
            result = await function(*batch.columns)
        except Exception as error:  # noqa: BLE001 - user code may raise anything; it is judged where all outcomes are
            return batch.raised(error)
        return batch.returned(result)

    return call


class _Batch:
    """The messages of one call, apart: those that fit, and an outcome for each of those that do not."""

    def __init__(self, messages: list[Message], read: Callable[[Message], Arguments]) -> None:
        self.fitting: list[Message] = []
        self.misfits: dict[Message, BaseException] = {}
        rows = []
        for message in messages:
            try:
                rows.append(read(message))
                self.fitting.append(message)
            except SoftTimeout:
                raise  # of all: the function must not begin now
            except Exception as error:  # noqa: BLE001 - a class of the user's may raise anything: it is this message's
                self.misfits[message] = error
        self.columns = [list(column) for column in zip(*rows, strict=True)]

    def returned(self, result: Any) -> Any:
        """The outcomes of all. What says nothing is judged where all results are, and by then speaks for all."""
        if not self.misfits:
            return result
        if result is None:
            return self.misfits
        if isinstance(result, Mapping):
            return {**result, **self.misfits}
        if isinstance(result, Retry | Reject) or result is Retry:
            return {**dict.fromkeys(self.fitting, result), **self.misfits}
        return result

    def raised(self, error: Exception) -> Any:
        """As `returned`; raises the exception where it is that of all."""
        if not self.misfits:
            raise error
        return {**dict.fromkeys(self.fitting, error), **self.misfits}
