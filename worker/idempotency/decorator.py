"""Handler process: `@idempotent`: a handler function that does not run again for a key that is done."""

from __future__ import annotations

import inspect
import os
import time
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from worker.idempotency.attempt import KeyedAttempt, Terms
from worker.idempotency.keys import KeySource, check, key_of
from worker.idempotency.signature import Asked, asked_of
from worker.idempotency.store import Store, TransactionalStore
from worker.message import Message

#: SQS keeps a message for 14 days at most: a second delivery later than that cannot be.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
FOURTEEN_DAYS = 14 * 86_400.0

_Function = TypeVar("_Function", bound=Callable[..., Any])


def idempotent(
    store: Store,
    *,
    key: KeySource = None,
    ttl: float = FOURTEEN_DAYS,
    lease: float | None = None,
    scope: str = "",
    clock: Callable[[], float] = time.time,
    token: Callable[[], str] = lambda: uuid.uuid4().hex,
    pause: Callable[[float], None] = time.sleep,
) -> Callable[[_Function], _Function]:
    """A decorator for handler functions of one message, plain or async def: a key that is done is not run again.

    `key`: None, the message's id; "order.id", a path into the body's JSON; or a function of the message that gives
    text or an integer. `ttl`: seconds that a key which is done is remembered. `lease`: seconds that a run may take;
    when it is over, the pool stops it as by `handler_timeout`, which holds if it is None. After a crash the key is
    busy for so long, and 5 s more. `scope` keeps functions that share a store apart; by default it is the function's
    module and name, so whoever renames the function writes the old name here. `clock` (seconds since 1970), `token`
    (a new text at each call) and `pause` are for tests.

    At a call it raises Retry while the key is busy, KeyMissing, and StoreFailed where the store does not answer; the
    function did not run then. Raises TypeError or ValueError here for what could never work.
    """
    _demand_seconds("ttl", ttl)
    if lease is not None:
        _demand_seconds("lease", lease)
    check(key)
    terms = Terms(ttl=ttl, lease=lease, clock=clock, pause=pause)

    def decorate(function: _Function) -> _Function:
        asked = asked_of(function)
        if asked.claim and not isinstance(store, TransactionalStore):
            raise TypeError(f"{asked.name} asks for a Claim, and a {type(store).__name__} has no transactions")
        prefix = scope or asked.name

        def attempt_on(arguments: tuple[Any, ...], named: dict[str, Any]) -> KeyedAttempt:
            message = _message(arguments, named, asked)
            keyed = f"{prefix}#{key_of(message, key)}"
            # The owner is read by people: in the log line of whoever finds the key busy, and in the table.
            owner = f"message {message.id} on {os.uname().nodename} pid {os.getpid()} ({token()[:12]})"
            return KeyedAttempt(store, message, key=keyed, owner=owner, terms=terms)

        return _wrap(function, asked, attempt_on)

    return decorate


def _wrap(function: _Function, asked: Asked, attempt_on: Callable[..., KeyedAttempt]) -> _Function:
    """The function with its attempts around it, in its own form."""
    call: Any
    its_call = getattr(function, "__call__", None)  # noqa: B004 - of an object, its method is what is looked at
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(its_call):

        @wraps(function)
        async def call(*arguments: Any, **named: Any) -> Any:
            from worker.idempotency.threads import run_async  # asyncio loads slowly

            attempt = attempt_on(arguments, named)
            return await run_async(attempt, lambda: function(*arguments, **named, **asked.told(attempt)))
    else:

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            attempt = attempt_on(arguments, named)
            if earlier := attempt.begin():
                return earlier.result
            try:
                result = function(*arguments, **named, **asked.told(attempt))
            except BaseException as error:
                attempt.give_back(error)
                raise
            return attempt.finish(result)

    if asked.claim:  # whoever looks at the function sees what it is to be called with: the claim is our affair
        call.__signature__ = asked.signature
        call.__annotations__ = {name: kind for name, kind in function.__annotations__.items() if name != asked.claim}
    return call  # type: ignore[no-any-return]  # of the same form, which no type says


def _message(arguments: tuple[Any, ...], named: dict[str, Any], asked: Asked) -> Message:
    for one in (*arguments, *named.values()):
        if isinstance(one, Message):
            return one
    raise TypeError(f"{asked.name} was called without a Message, which has its key and its deadline")


def _demand_seconds(name: str, seconds: float) -> None:
    if not 0 < seconds < float("inf"):  # NaN is refused as well
        raise ValueError(f"{name}={seconds!r}: seconds, above 0")
