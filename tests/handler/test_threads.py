"""Test process: SoftTimeout in threads, where it may come at any moment; see worker/handler/threads.py."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

from tests.conftest import eventually
from tests.handler.parts import parcel
from worker.handler import run, threads
from worker.handler.attempt import Attempt
from worker.handler.perform import perform
from worker.handler.threads import Guard
from worker.message import Kind, Message, SoftTimeout
from worker.protocol import Outcome

if TYPE_CHECKING:
    from _typeshed import TraceFunction


def attempt(seq: int, *, late: bool) -> Attempt:
    message = Message(id=str(seq), body=b"", queue="q", deadline=0.0 if late else 1.0)
    return Attempt(parcels=[parcel(seq)], messages=[message], places=[0], begun=1.0)


class Throwing:
    """Throws at one instruction of the code of a call: the main thread may run at any of them."""

    def __init__(self, guard: Guard, at: int) -> None:
        self.left = at  #: instructions before it
        self._guard = guard

    def __call__(self, frame: FrameType, _event: str, _argument: Any) -> TraceFunction | None:
        if frame.f_code.co_filename not in (__file__, threads.__file__, run.__file__, perform.__code__.co_filename):
            return None
        frame.f_trace_opcodes = True
        return self._instruction

    def _instruction(self, _frame: FrameType, event: str, _argument: Any) -> TraceFunction:
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                main = threading.Thread(target=self._guard.warn)
                main.start()
                main.join()  # the exception may come right here, as it may at the traced instruction
        return self._instruction


def test_an_exception_never_leaves_its_attempt() -> None:
    """Thrown at each instruction, from a late attempt's start to its end: it is that attempt's retry, or nothing."""
    guard = Guard()
    guard.thread = threading.get_ident()

    def handle(_message: Message) -> None:
        return

    def run_one(one: Attempt) -> Outcome | None:
        def call(argument: Any) -> Any:
            guard.enter(one)
            try:
                return handle(argument)
            finally:
                guard.leave()

        (outcome,) = perform(call, one, batch=False, report=lambda _message, _error: None)
        return outcome

    met = 0
    for place in range(1, 2000):
        late, next_one = attempt(1, late=True), attempt(2, late=False)
        throwing = Throwing(guard, place)
        before = sys.gettrace()
        sys.settrace(throwing)
        try:
            outcome = run_one(late)
        finally:
            sys.settrace(before)
        assert run_one(next_one) is None
        assert outcome is None or (late.warned and outcome.kind is Kind.RETRY)
        met += outcome is not None
        if throwing.left > 0:
            break
    assert met > 20
    assert place > 50, "the instructions of a whole call"


def test_only_user_code_that_is_late_is_interrupted() -> None:
    """Not before it, not after it, and once."""
    guard = Guard()
    guard.warn()
    late = attempt(1, late=True)
    inside, go_on = threading.Event(), threading.Event()
    caught: list[type[BaseException]] = []

    def work() -> None:
        guard.thread = threading.get_ident()
        guard.enter(late)
        try:
            inside.set()
            while not go_on.is_set():
                pass
        except SoftTimeout as error:
            caught.append(type(error))
            eventually(go_on.is_set)
        finally:
            guard.leave()

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(10)
    guard.warn()
    eventually(lambda: caught)
    guard.warn()
    go_on.set()
    thread.join(10)
    guard.warn()
    assert (caught, late.warned) == ([SoftTimeout], True)
