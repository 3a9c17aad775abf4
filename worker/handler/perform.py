"""Handler process: calls the handler function on an attempt, and finds an outcome for each of its messages.

| a handler function that takes a list | outcomes |
|---|---|
| returns None | ack for all |
| returns a mapping from messages to outcomes | those; ack for all that it does not name |
| returns or raises Retry or Reject | that, for all |
| raises or returns anything else | retry for all: a mistake is never an ack |

An outcome in the mapping is a Retry, Reject or Forward, an exception (a retry, as if it had been raised), or None, an
ack. What cannot be one is a retry of its message alone. One message is judged as everywhere: by `run.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from worker.handler.attempt import Attempt
from worker.handler.attributes import decode
from worker.handler.run import Report, raised, returned
from worker.message import Forward, Reject, Retry
from worker.protocol import Outcome

#: An outcome for each message of an attempt, in its order; None is an ack.
Outcomes = list[Outcome | None]
#: A handler function of any kind: of a message, or of a list of them.
AnyFunction = Callable[[Any], Any]


def perform(function: AnyFunction, attempt: Attempt, *, batch: bool, report: Report) -> Outcomes:
    """Call a plain handler function. Raises SystemExit, KeyboardInterrupt."""
    judge = Judge(attempt, batch, report)
    try:
        return judge.returned(function(judge.argument)) if judge.readable else judge.outcomes
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - user code may raise anything; all but the two above are retries
        return judge.raised(error)


class Judge:
    """What one call means for each of its messages."""

    def __init__(self, attempt: Attempt, batch: bool, report: Report) -> None:
        self.outcomes: Outcomes = [None] * len(attempt.parcels)
        self._attempt = attempt
        self._batch = batch
        self._report = report
        #: Places of the messages that the handler function gets: a broken attribute fails its own message alone.
        self.readable = [place for place in range(len(attempt.parcels)) if self._decode(place)]

    @property
    def argument(self) -> Any:
        """What the handler function is called with. Not to be asked for where nothing is readable."""
        messages = [self._attempt.messages[place] for place in self.readable]
        return messages if self._batch else messages[0]

    def returned(self, result: object) -> Outcomes:
        """Raises TypeError or ValueError for a result that says nothing."""
        if result is None:
            return self.outcomes
        if not self._batch:
            self.outcomes[0] = returned(result, self._attempt.parcels[0])
        elif isinstance(result, Mapping):
            self._take(result)
        elif isinstance(result, Retry | Reject) or result is Retry:
            for place in self.readable:
                self.outcomes[place] = returned(result, self._attempt.parcels[place])
        else:
            _close(result)
            raise TypeError(
                f"the handler function returned a {type(result).__name__}: of a batch it returns None, or a mapping "
                "from messages to outcomes"
            )
        return self.outcomes

    def raised(self, error: BaseException) -> Outcomes:
        """An exception speaks for all messages; it is told once."""
        report = self._report
        for place in self.readable:
            self.outcomes[place] = self._raised(error, place, report)
            report = _nobody
        return self.outcomes

    def _take(self, result: Mapping[Any, Any]) -> None:
        places = {self._attempt.messages[place]: place for place in self.readable}
        told: set[int] = set()
        for message, outcome in result.items():
            place = places.get(message)
            if place is None:
                raise TypeError(
                    f"the handler function returned an outcome for a {type(message).__name__} that is no "
                    "message of its batch"
                )
            # An exception that is the answer for several is told once, as one that was raised.
            self.outcomes[place] = self._one(outcome, place, _nobody if id(outcome) in told else self._report)
            told.add(id(outcome))

    def _one(self, outcome: object, place: int, report: Report) -> Outcome | None:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Retry | Reject):
            return self._raised(outcome, place, report)
        try:
            if outcome is None or isinstance(outcome, Retry | Reject | Forward) or outcome is Retry:
                return returned(outcome, self._attempt.parcels[place])
            raise TypeError(f"the handler function returned a {type(outcome).__name__} as an outcome")
        except (TypeError, ValueError) as error:
            return self._raised(error, place, self._report)

    def _decode(self, place: int) -> bool:
        message, raw = self._attempt.messages[place], self._attempt.parcels[place].message_attributes
        if raw:
            try:
                message.message_attributes = decode(raw)
            except Exception as error:  # noqa: BLE001 - whatever an endpoint sent: it fails its own message alone
                self.outcomes[place] = self._raised(error, place, self._report)
                return False
        return True

    def _raised(self, error: BaseException, place: int, report: Report) -> Outcome:
        return raised(error, self._attempt.messages[place], self._attempt.parcels[place], report)


def _close(result: object) -> None:
    if isinstance(result, Coroutine):
        result.close()  # else Python warns that it was never awaited, which our error says better


def _nobody(_message: object, _error: BaseException) -> None:
    return
