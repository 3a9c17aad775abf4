"""Test process: a handler function made idempotent runs once for each key, in each of its forms."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import eventually
from tests.idempotency.conftest import START, ManualClock
from worker import Forward, LeaseLost, Message, Reject, Retry, SoftTimeout
from worker.idempotency import (
    Claim,
    DynamoDBStore,
    KeyLost,
    KeyMissing,
    MemoryStore,
    ResultNotStorable,
    Standing,
    Store,
    StoreFailed,
    idempotent,
)
from worker.policy.idempotency import DONE, IN_PROGRESS, Record
from worker.testing.run_inline import Kind, run_inline

if TYPE_CHECKING:
    from worker import idempotency as absent

Make = Callable[..., Message]


class Failing(MemoryStore):
    """A store that does not answer some calls."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[str, int] = {}

    def _fail(self, call: str) -> None:
        if self.failures.get(call, 0) > 0:
            self.failures[call] -= 1
            raise StoreFailed(f"{call} was throttled")

    def begin(self, key: str, *, owner: str, now: float, until: float) -> Standing:
        self._fail("begin")
        return super().begin(key, owner=owner, now=now, until=until)

    def mark(self, key: str, *, owner: str, result: str | None, expires: float) -> bool:
        self._fail("mark")
        return super().mark(key, owner=owner, result=result, expires=expires)

    def release(self, key: str, *, owner: str) -> None:
        self._fail("release")
        super().release(key, owner=owner)

    def extend(self, key: str, *, owner: str, until: float) -> bool:
        self._fail("extend")
        return super().extend(key, owner=owner, until=until)


def record_of(store: MemoryStore) -> Record:
    """The one record there is."""
    (record,) = store.records.values()
    return record


@pytest.fixture(params=["plain", "async"])
def form(request: pytest.FixtureRequest) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes of a plain body a handler function that records its runs, in each form; called like a plain one."""

    def plain(decorate: Callable[..., Any], body: Callable[[Message], Any]) -> Callable[..., Any]:
        @decorate
        def function(message: Message) -> Any:
            return body(message)

        return function

    def asynchronous(decorate: Callable[..., Any], body: Callable[[Message], Any]) -> Callable[..., Any]:
        @decorate
        async def function(message: Message) -> Any:
            await asyncio.sleep(0)
            return body(message)

        return lambda message: asyncio.run(function(message))

    return plain if request.param == "plain" else asynchronous  # type: ignore[return-value]  # two of one shape


@pytest.fixture
def run(form: Any, clock: ManualClock) -> Callable[..., Callable[[Message], Any]]:
    """`run(body, store, **keywords)`: the body as an idempotent function of each form, on the manual clock."""

    def make(body: Callable[[Message], Any], store: Store, **keywords: Any) -> Callable[[Message], Any]:
        known = {"clock": clock, "pause": clock.pause, "key": "id"}
        made: Callable[[Message], Any] = form(idempotent(store, **(known | keywords)), body)
        return made

    return make


Run = Callable[..., Callable[[Message], Any]]


def test_two_messages_of_one_key_run_once_and_return_the_same(run: Run, store: Store, message: Make) -> None:
    """Whatever the messages' ids are; another key runs."""
    ran: list[str] = []

    def body(one: Message) -> Any:
        ran.append(one.id)
        return Forward(queue="next", body=one.body)

    function = run(body, store)
    first = function(message(b'{"id": 1}', id="m-1"))
    assert function(message(b'{"id": 1, "again": true}', id="m-2")) == first == Forward(queue="next", body=b'{"id": 1}')
    function(message(b'{"id": 2}', id="m-3"))
    assert ran == ["m-1", "m-3"]


def test_the_mark_comes_after_the_effect(run: Run, clock: ManualClock, message: Make) -> None:
    """While the function runs the key is in progress, till the end of its time and 5 s; then it is done for `ttl`."""
    store, seen = MemoryStore(), []
    run(lambda _: seen.append(record_of(store)), store, ttl=60)(message(b'{"id": 1}', remaining=40.0))
    assert (seen[0].state, seen[0].until) == (IN_PROGRESS, START + 45.0)
    assert (record_of(store).state, record_of(store).expires) == (DONE, START + 60.0)


def test_a_busy_key_is_a_retry_behind_its_lease(run: Run, clock: ManualClock, message: Make) -> None:
    """The reason names the owner's message, for whoever looks for it, and not the key, which may be of the body."""
    store = MemoryStore()
    inside: list[Retry] = []

    def body(_: Message) -> None:
        if not inside:
            clock.now += 10
            with pytest.raises(Retry) as error:
                other(message(b'{"id": "secret"}', id="m-2"))
            inside.append(error.value)

    plain = idempotent(store, clock=clock, key="id", scope="s")
    other = plain(lambda message: None)  # noqa: ARG005 - a handler function's argument
    run(body, store, scope="s")(message(b'{"id": "secret"}', id="m-1"))
    assert inside[0].after == 36.0
    assert "message m-1 on " in inside[0].reason
    assert "secret" not in inside[0].reason


@pytest.mark.parametrize(
    "ending", [RuntimeError("told to"), Retry(after=3), Reject("told to"), SystemExit(1), SoftTimeout("late")]
)
def test_what_it_raises_frees_the_key(run: Run, store: Store, message: Make, ending: BaseException) -> None:
    """A reject as well: its dead letter may be redriven, and is to run then."""
    endings = [ending, None]

    def body(_: Message) -> None:
        if found := endings.pop(0):
            raise found

    function = run(body, store)
    with pytest.raises(type(ending)):
        function(message(b'{"id": 1}'))
    assert function(message(b'{"id": 1}')) is None
    assert endings == []


@pytest.mark.parametrize("outcome", [Retry(after=3), Reject("told to"), Retry])
def test_an_outcome_that_is_no_end_frees_the_key(run: Run, store: Store, message: Make, outcome: Any) -> None:
    """Returned as well as raised; and it reaches the pool."""
    function = run(lambda _: outcome, store)
    assert function(message(b'{"id": 1}')) is outcome
    assert function(message(b'{"id": 1}')) is outcome


def test_a_message_without_a_key_does_not_run(run: Run, store: Store, message: Make) -> None:
    """It is an error with the message's id: a retry, in the end a dead letter."""
    ran: list[Message] = []
    with pytest.raises(KeyMissing, match="message m-5 of"):
        run(ran.append, store)(message(b'{"no": "id"}', id="m-5"))
    assert ran == []


def test_a_store_that_does_not_answer_lets_nothing_run(run: Run, message: Make) -> None:
    """The error passes: a retry by the queue's backoff."""
    store, ran = Failing(), []
    store.failures["begin"] = 1
    with pytest.raises(StoreFailed, match="begin was throttled"):
        run(ran.append, store)(message(b'{"id": 1}'))
    assert ran == []
    assert store.records == {}


def test_a_mark_that_fails_is_tried_again(run: Run, clock: ManualClock, message: Make) -> None:
    """Three times more: the effect is there, so patience is cheaper than a second one."""
    store, ran = Failing(), []
    store.failures["mark"] = 3
    run(ran.append, store)(message(b'{"id": 1}'))
    assert record_of(store).state == DONE
    assert clock.pauses == [0.1, 0.5, 1.5]


def test_a_deadline_that_comes_while_the_key_is_marked_does_not_repeat_the_effect(run: Run, message: Make) -> None:
    """SoftTimeout leaves a second: it is used to say that the function is done."""

    class Interrupted(MemoryStore):
        marks = 0

        def mark(self, key: str, **fields: Any) -> bool:
            self.marks += 1
            if self.marks == 1:
                raise SoftTimeout("past its deadline")
            return super().mark(key, **fields)

    store, ran = Interrupted(), []
    run(ran.append, store)(message(b'{"id": 1}'))
    assert record_of(store).state == DONE
    assert len(ran) == 1


def test_after_a_mark_that_never_came_the_function_runs_again_behind_the_lease(
    run: Run, clock: ManualClock, message: Make
) -> None:
    """At least once: the error says so, the key stays busy till its lease is over, and is then taken over."""
    store, ran = Failing(), []
    store.failures["mark"] = 4
    function = run(ran.append, store)
    with pytest.raises(StoreFailed, match=r"message m-1: the function has returned, but its key could not be marked"):
        function(message(b'{"id": 1}', id="m-1"))
    with pytest.raises(Retry):
        function(message(b'{"id": 1}'))
    clock.now = record_of(store).until
    function(message(b'{"id": 1}'))
    assert len(ran) == 2
    assert record_of(store).state == DONE


def test_a_key_that_cannot_be_freed_changes_no_outcome(run: Run, message: Make) -> None:
    """The function's own error passes, with a note that explains why its retry will find the key busy."""
    store = Failing()
    store.failures["release"] = 1

    def body(_: Message) -> None:
        raise RuntimeError("told to")

    with pytest.raises(RuntimeError, match="told to") as error:
        run(body, store)(message(b'{"id": 1}'))
    assert "busy until its lease is over" in error.value.__notes__[0]


def test_a_loser_does_not_mark_over_the_winner(run: Run, clock: ManualClock, message: Make) -> None:
    """Its lease ran out under it: it learns that, as a retry, and the winner's result stays."""
    store = MemoryStore()

    def body(one: Message) -> str:
        if one.id == "loser":
            clock.now += 1000
            function(message(b'{"id": 1}', id="winner"))
        return one.id

    function = idempotent(store, clock=clock, key="id", scope="s")(body)
    with pytest.raises(KeyLost, match="message loser: its lease"):
        run(body, store, scope="s")(message(b'{"id": 1}', id="loser"))
    assert record_of(store).result == '{"value":"winner"}'
    assert run(body, store, scope="s")(message(b'{"id": 1}', id="loser")) == "winner"


def test_a_lease_shortens_the_functions_time(run: Run, message: Make) -> None:
    """The pool stops it when its lease is over, so that it never works beside whoever takes the key over."""
    store, moved, seen = MemoryStore(), [], []
    one = message(b'{"id": 1}', remaining=40.0, move_deadline=moved.append)
    run(lambda asked: seen.append((asked.remaining, record_of(store).until)), store, lease=10)(one)
    assert seen == [(10.0, START + 15.0)]
    assert moved == [1010.0, 1040.0]


@pytest.mark.parametrize("end", ["done", "again", "busy", "raises", "not answered"])
def test_what_comes_behind_it_has_the_messages_own_time(run: Run, clock: ManualClock, message: Make, end: str) -> None:
    """It may be one of a batch, whose function goes on with the others: for that a lease of 10 s is not over at 10 s,
    and extend() asks for no key that is settled."""
    store, moved, now = Failing(), [], [1000.0]

    def body(_: Message) -> None:
        now[0] += 4.0
        if end == "raises":
            raise RuntimeError("no")

    function = run(body, store, lease=10, scope="s")
    if end == "again":
        function(message(b'{"id": 1}'))
        now[0] = 1000.0
    if end == "busy":
        store.begin("s#1", owner="another", now=START, until=START + 60.0)
    store.failures["begin"] = int(end == "not answered")
    one = message(b'{"id": 1}', remaining=40.0, move_deadline=moved.append)
    one.clock = lambda: now[0]
    with suppress(RuntimeError, Retry, StoreFailed):
        function(one)
    assert (one.deadline, moved) == (1040.0, [1010.0, 1040.0])
    one.extend(300)
    assert moved[2:] == [now[0] + 300]


def test_a_lease_that_was_not_enough_gives_no_time_back(run: Run, message: Make) -> None:
    """The pool has stopped it, and has a second left for it."""
    moved, now = [], [1000.0]

    def body(_: Message) -> None:
        now[0] += 11.0
        raise SoftTimeout("past its deadline")

    one = message(b'{"id": 1}', remaining=40.0, move_deadline=moved.append)
    one.clock = lambda: now[0]
    with pytest.raises(SoftTimeout):
        run(body, MemoryStore(), lease=10)(one)
    assert moved == [1010.0]


def test_a_lease_longer_than_the_functions_time_gives_it_no_more(run: Run, message: Make) -> None:
    """`handler_timeout` is the pool's to say."""
    store, moved, seen = MemoryStore(), [], []
    one = message(b'{"id": 1}', remaining=40.0, move_deadline=moved.append)
    run(lambda asked: seen.append((asked.remaining, record_of(store).until)), store, lease=100)(one)
    assert seen == [(40.0, START + 45.0)]
    assert moved == []


def test_extend_moves_the_keys_lease_first(run: Run, message: Make) -> None:
    """message.extend() is all that a long function has to call, as often as it likes."""
    store, moved, seen = MemoryStore(), [], []

    def body(one: Message) -> None:
        for seconds in (100, 200, 20):
            one.extend(seconds)
            seen.append((one.remaining, record_of(store).until))

    run(body, store)(message(b'{"id": 1}', remaining=40.0, move_deadline=moved.append))
    assert seen == [(100.0, START + 105.0), (200.0, START + 205.0), (20.0, START + 205.0)]
    assert moved == [1100.0, 1200.0, 1020.0]


def test_a_key_that_cannot_be_extended_leaves_the_deadline(run: Run, clock: ManualClock, message: Make) -> None:
    """The pool would else let the function run on after its key was taken over."""
    store, moved, seen = Failing(), [], []
    store.failures["extend"] = 1

    def body(one: Message) -> None:
        with pytest.raises(StoreFailed):
            one.extend(100)
        seen.append(one.remaining)
        clock.now += 1000
        function(message(b'{"id": 1}'))
        with pytest.raises(KeyLost):
            one.extend(100)
        seen.append(one.remaining)
        raise RuntimeError("it gives up")

    function = idempotent(store, clock=clock, key="id", scope="s")(lambda message: None)  # noqa: ARG005 - as above
    with pytest.raises(RuntimeError):
        run(body, store, scope="s")(message(b'{"id": 1}', remaining=40.0, move_deadline=moved.append))
    assert seen == [40.0, 40.0]
    assert moved == []
    assert record_of(store).state == DONE


def test_a_message_that_is_somebody_elses_does_not_run(run: Run, message: Make) -> None:
    """Its deadline cannot be moved any more."""
    ran: list[Message] = []
    with pytest.raises(LeaseLost):
        run(ran.append, MemoryStore(), lease=10)(message(b'{"id": 1}', lease_lost=True))
    assert ran == []


def test_a_result_that_cannot_be_kept_does_not_repeat_the_effect(run: Run, message: Make) -> None:
    """It is an error, at the first message; the key is done, and the retry is an ack."""
    store, ran = MemoryStore(), []

    def body(one: Message) -> object:
        ran.append(one)
        return object()

    function = run(body, store)
    with pytest.raises(ResultNotStorable):
        function(message(b'{"id": 1}'))
    assert function(message(b'{"id": 1}')) is None
    assert len(ran) == 1


def test_a_forward_that_cannot_be_kept_is_not_forgotten(run: Run, message: Make) -> None:
    """Marked without it, the message would be acked by its retry, and never sent on: the key is free again."""
    store = MemoryStore()
    with pytest.raises(ResultNotStorable):
        run(lambda _: Forward(queue="q", body="x" * 400_000), store)(message(b'{"id": 1}'))
    assert store.records == {}


def test_functions_that_share_a_store_do_not_share_keys(message: Make, clock: ManualClock) -> None:
    """Unless they have one scope; a renamed function keeps its keys by its old name."""
    store, ran = MemoryStore(), []
    decorate = idempotent(store, key="id", clock=clock)

    @decorate
    def first(message: Message) -> None:
        ran.append("first")

    @decorate
    def second(message: Message) -> None:
        ran.append("second")

    renamed = idempotent(store, key="id", clock=clock, scope=f"{__name__}.{first.__qualname__}")(lambda message: 1)  # noqa: ARG005 - as above
    for function in (first, second, renamed):
        function(message(b'{"id": 1}'))
    assert ran == ["first", "second"]


def test_the_decorated_function_looks_like_the_function(clock: ManualClock) -> None:
    """The pool finds its form, its name and its parameters; a claim is nobody's affair."""

    decorate = idempotent(DynamoDBStore("never-asked"), clock=clock)

    @decorate
    async def handle(message: Message, claim: Claim) -> None:
        """Says so."""

    @decorate
    def typed(order: dict[str, int], message: Message, *, claim: absent.Claim) -> None:
        return

    assert inspect.iscoroutinefunction(handle)
    assert (handle.__name__, handle.__doc__) == ("handle", "Says so.")
    assert list(inspect.signature(handle).parameters) == ["message"]
    assert inspect.signature(handle).parameters["message"].annotation is Message
    assert list(inspect.signature(typed).parameters) == ["order", "message"]
    assert "claim" not in handle.__annotations__
    assert not inspect.iscoroutinefunction(typed)


def test_an_object_that_is_called_may_be_async(clock: ManualClock) -> None:
    """Its form is that of its method, as in a handler process."""

    class Handle:
        ran = 0

        async def __call__(self, message: Message) -> int:
            await asyncio.sleep(0)
            assert message.json() == {"id": 1}
            self.ran += 1
            return self.ran

    handle = Handle()
    function = idempotent(MemoryStore(), key="id", scope="s", clock=clock)(handle)
    for _ in range(2):
        assert run_inline(function, {"id": 1}).kind is Kind.ACK
    assert handle.ran == 1


def test_what_could_never_work_is_refused_when_it_is_decorated() -> None:
    """So `worker check` finds it, and a handler process does not start."""
    decorate = idempotent(MemoryStore())
    with pytest.raises(TypeError, match="asks for a Claim, and a MemoryStore has no transactions"):
        decorate(lambda_with_claim)
    for function in (batch, typed_batch):
        with pytest.raises(TypeError, match="takes a list of messages"):
            decorate(function)
    with pytest.raises(TypeError, match="takes no Message"):
        decorate(without_message)
    for keywords in ({"ttl": 0}, {"ttl": float("nan")}, {"lease": -1}, {"lease": float("inf")}, {"key": ""}):
        with pytest.raises(ValueError, match="="):
            idempotent(MemoryStore(), **keywords)


def lambda_with_claim(message: Message, claim: Claim) -> None:
    return


def batch(messages: list[Message]) -> None:
    return


def typed_batch(orders: list[int], messages: list[Message]) -> None:
    return


def without_message(orders: list[int]) -> None:
    return


def test_a_body_of_any_type_may_stand_before_the_message(message: Make, clock: ManualClock) -> None:
    """A list too; it is no batch."""
    ran: list[list[int]] = []

    @idempotent(MemoryStore(), clock=clock)
    def handle(orders: list[int], message: Message) -> None:
        ran.append(orders)

    one = message()
    for _ in range(2):
        handle([1, 2], one)
    assert ran == [[1, 2]]


def test_it_runs_in_a_handler_process(clock: ManualClock) -> None:
    """By the same code that judges outcomes there; a duplicate of a forward is a forward."""
    store, ran = MemoryStore(), []

    @idempotent(store, key="id", clock=clock)
    def handle(message: Message) -> Forward:
        ran.append(message.id)
        return Forward(queue="next", body=message.body)

    assert run_inline(handle, {"id": 1}).kind is Kind.FORWARD
    assert run_inline(handle, {"id": 1}).kind is Kind.FORWARD
    assert run_inline(handle, {"no": 1}).kind is Kind.RETRY
    assert len(ran) == 1


def test_a_child_that_the_function_forks_marks_and_frees_nothing(message: Make, clock: ManualClock) -> None:
    """It comes back through the decorator, by a return or an exception, while its parent still runs."""
    read, write = os.pipe()

    class Telling(MemoryStore):
        def mark(self, key: str, **fields: Any) -> bool:
            os.write(write, b"m")
            return super().mark(key, **fields)

        def release(self, key: str, **fields: Any) -> None:
            os.write(write, b"r")
            super().release(key, **fields)

    @idempotent(Telling(), key="id", clock=clock)
    def handle(message: Message) -> int:
        child = os.fork()
        if child == 0 and message.json().get("raise"):
            raise RuntimeError("told to")
        return child

    for body in (b'{"id": 1}', b'{"id": 2, "raise": true}'):
        child = 0
        with suppress(RuntimeError):
            child = handle(message(body))
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert os.read(read, 10) == b"m"  # the parent's
    os.close(read)
    os.close(write)


@pytest.fixture
def held() -> Iterator[Any]:
    """A store that holds one call until told to go on."""

    class Held(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.where = ""
            self.reached, self.go_on = threading.Event(), threading.Event()

        def _hold(self, call: str) -> None:
            if call == self.where:
                self.reached.set()
                assert self.go_on.wait(20)

        def begin(self, key: str, **fields: Any) -> Standing:
            found = super().begin(key, **fields)
            self._hold("begin")
            return found

        def mark(self, key: str, **fields: Any) -> bool:
            self._hold("mark")
            return super().mark(key, **fields)

    store = Held()
    yield store
    store.go_on.set()


@pytest.mark.parametrize("where", ["begin", "function", "mark"])
def test_a_cancelled_function_leaves_no_key_behind(held: Any, message: Make, clock: ManualClock, where: str) -> None:
    """Cancelled before its end it frees the key; while it is marked, the mark is waited for, and it is done."""
    held.where = where
    ran: list[str] = []

    @idempotent(held, key="id", clock=clock)
    async def handle(message: Message) -> str:
        if where == "function":
            held.reached.set()
            await asyncio.sleep(60)
        ran.append(message.id)
        return "done"

    async def cancelled() -> Any:
        asked = asyncio.create_task(handle(message(b'{"id": 1}')))
        await asyncio.to_thread(held.reached.wait, 20)
        asked.cancel()
        await asyncio.sleep(0)
        held.go_on.set()
        return await asyncio.gather(asked, return_exceptions=True)

    (result,) = asyncio.run(cancelled())
    if where == "mark":
        assert result == "done"
        assert record_of(held).state == DONE
    else:
        assert isinstance(result, asyncio.CancelledError)
        assert held.records == {}
        assert ran == []


def test_async_functions_wait_for_the_store_beside_each_other(message: Make, clock: ManualClock) -> None:
    """A store that blocks blocks no event loop: all calls are in it at once."""
    together = threading.Barrier(20)

    class Meeting(MemoryStore):
        def begin(self, key: str, **fields: Any) -> Standing:
            together.wait(20)
            return super().begin(key, **fields)

    store = Meeting()

    @idempotent(store, clock=clock)
    async def handle(message: Message) -> None:
        return

    async def all_of_them() -> None:
        await asyncio.gather(*(handle(message()) for _ in range(20)))

    asyncio.run(all_of_them())
    eventually(lambda: len(store.records) == 20)


def test_importing_it_imports_no_botocore() -> None:
    """Nor does a DynamoDBStore that was not asked for anything yet: a handler process starts as fast as without."""
    source = (
        "import sys, worker.idempotency as i\n"
        "i.idempotent(i.DynamoDBStore('t'))(lambda message: None)\n"
        "print(sorted({'botocore', 'boto3', 'asyncio', 'http'} & sys.modules.keys()))"
    )
    shown = subprocess.run([sys.executable, "-c", source], capture_output=True, check=True, text=True)
    assert shown.stdout.strip() == "[]"
