"""Test process: seeded mistakes in the poller's actors, and in a handler's end of the stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.model.mutants import mutant
from worker.handler.stream import Stream
from worker.policy.delivery import State
from worker.policy.requests import Answer
from worker.poller.dispatcher import Dispatcher
from worker.poller.settler import Settler
from worker.poller.stopping import Stopping
from worker.protocol import Outcome


@mutant("took effect 2 times", kinds=("entry again",), drains=False)
def failed_entries_are_ignored(patch: pytest.MonkeyPatch) -> None:
    """A batch that answered 200 is taken for done."""
    right = Settler.answered

    def answered(self: Settler, answer: Answer, batch: Any, now: float) -> None:
        right(self, replace(answer, entries=(None,) * len(answer.entries)), batch, now)

    patch.setattr(Settler, "answered", answered)


@mutant("no handler function was ever started", redrive=1)
def what_is_held_is_released_while_polling(patch: pytest.MonkeyPatch) -> None:
    """Our own long poll brings it back, and burns its receive count: found in the shipped code."""
    right = Stopping.begin

    def begin(self: Stopping, deadline: float, now: float) -> None:
        right(self, deadline, now)
        self._state.release_from = 0.0

    patch.setattr(Stopping, "begin", begin)


@mutant("the poller has exited")
def exit_before_the_flush(patch: pytest.MonkeyPatch) -> None:
    """When nothing runs any more, although settlements are on their way."""

    def step(self: Stopping, now: float) -> float:
        held = [one for one in self._state.ledger.deliveries.values() if one.state is not State.SETTLING]
        if self._state.draining and not held and not self._state.sqs.receiving:
            self._finish(0, unconfirmed=0)
        return float("inf")

    patch.setattr(Stopping, "step", step)


@mutant("STUCK", kinds=("handler killed",))
def a_zombie_lease(patch: pytest.MonkeyPatch) -> None:
    """The beats go on after the handler's death."""
    patch.setattr(Dispatcher, "died", lambda self, uid, death, now: self.links.pop(uid, None))


@mutant("took effect 2 times", kinds=("handler killed",))
def the_ring_of_a_dead_handler_is_not_read(patch: pytest.MonkeyPatch) -> None:
    """What it did and could not tell any more runs again."""
    patch.setattr(Dispatcher, "_hear_ring", lambda self, link, now: None)


@mutant("two of one group run at once", kinds=("retry", "poller killed"), fifo=True, prompt=True, drains=False)
def an_old_outcome_is_taken_for_the_new_one(patch: pytest.MonkeyPatch) -> None:
    """A retry told once more ends the start after it, which runs on. Found in the shipped code."""
    patch.setattr(Dispatcher, "_current", lambda self, seq, attempt: True)


@mutant("STUCK", kinds=("reject", "poller killed"), prompt=True)
def a_reject_is_told_once(patch: pytest.MonkeyPatch) -> None:
    """Its poller dies before it is sent, and the successor waits for ever to hear it with its body."""
    right = Stream.tell

    def tell(self: Stream, outcome: Outcome) -> None:
        right(self, outcome)
        self._unconfirmed.clear()

    patch.setattr(Stream, "tell", tell)
