"""SQS server process: from a request to its reply: the action, with what the fault plan makes of it."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from worker.testing.sqs_server import fault_effects
from worker.testing.sqs_server.actions import call
from worker.testing.sqs_server.broker import Broker, Caller
from worker.testing.sqs_server.errors import SqsError
from worker.testing.sqs_server.faults import FaultPlan, Rule
from worker.testing.sqs_server.long_polls import LongPoll
from worker.testing.sqs_server.replies import Reply, failure, success


@dataclass(frozen=True, slots=True)
class Afterwards:
    """What the fault plan still wants of an answer that is not there yet."""

    rules: tuple[Rule, ...]
    caller: Caller
    url: str


class Service:
    """Answers requests. A simulation uses it as the server does: `clock` and `chance` are its own."""

    def __init__(self, broker: Broker, *, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        self.broker = broker
        self.plan = FaultPlan()
        self.clock = clock
        self._chance = chance

    def answer(self, action: str, body: bytes, caller: Caller) -> Reply | tuple[LongPoll, Afterwards | None]:
        """Performs a request. A long poll is handed back with what `finish` needs for its answer."""
        now = self.clock()
        try:
            request = orjson.loads(body) if body else {}
            if not isinstance(request, dict):
                raise SqsError("SerializationException", "Unexpected field type")
            if self.plan:
                return self._with_faults(action, request, caller=caller, now=now)
            result = call(self.broker, action, request=request, now=now, caller=caller)
        except SqsError as error:
            return failure(error)
        except orjson.JSONDecodeError:
            return failure(SqsError("SerializationException", "The request body is not valid JSON."))
        except Exception:  # noqa: BLE001 - a bug of this server must reach its client as SQS's would, and be seen
            traceback.print_exc()
            return failure(SqsError("InternalFailure", "The server failed; its standard error says how."))
        if isinstance(result, LongPoll):
            return result, None
        return success(result)

    def finish(self, answer: dict[str, Any] | SqsError, afterwards: Afterwards | None) -> Reply:
        """The reply of a long poll that has ended."""
        if isinstance(answer, SqsError):
            return failure(answer)
        if afterwards is None:
            return success(answer)
        return self._finished(answer, afterwards.rules, caller=afterwards.caller, url=afterwards.url)

    def _with_faults(
        self, action: str, request: dict[str, Any], *, caller: Caller, now: float
    ) -> Reply | tuple[LongPoll, Afterwards | None]:
        url = str(request.get("QueueUrl") or "")
        name = url.rpartition("/")[2] or str(request.get("QueueName") or "")
        rules = self.plan.decide(action, name, now=now, chance=self._chance)
        if self.broker.events is not None:
            for rule in rules:
                self.broker.events.record(
                    "fault",
                    now=now,
                    queue=name,
                    effect=rule.effect,
                    action=action,
                    connection=caller.connection,
                    request=caller.request,
                )
        batches = []
        for rule in rules:
            reply = fault_effects.instead(rule)
            if reply is not None and not fault_effects.acts_first(rule):
                return fault_effects.carry(rules, reply)
            if rule.effect == "lapse" and url:
                most = int(rule.parameters.get("messages", 1))
                self.broker.entry(url, caller).queue.lapse(most, now=now)
            elif rule.effect == "empty" and action == "ReceiveMessage":
                return fault_effects.carry(rules, self._nothing(request, caller))
            elif rule.effect in ("fail_entries", "omit_entries"):
                batches.append(fault_effects.BatchFault(rule, request, chance=self._chance))
        wanted: dict[str, Any] | None = request
        for batch in batches:
            wanted = batch.request(wanted) if wanted is not None else None
        try:
            result = call(self.broker, action, request=wanted, now=now, caller=caller) if wanted is not None else {}
        except SqsError as error:
            return self._carried(failure(error), rules)
        if isinstance(result, LongPoll):
            return result, Afterwards(rules, caller, url)
        for batch in batches:
            result = batch.answer(result)
        return self._finished(result, rules, caller=caller, url=url)

    def _finished(self, answer: dict[str, Any], rules: tuple[Rule, ...], *, caller: Caller, url: str) -> Reply:
        for rule in rules:
            answer = fault_effects.change_answer(rule, answer, broker=self.broker, caller=caller, url=url)
        return self._carried(success(answer), rules)

    def _carried(self, reply: Reply, rules: tuple[Rule, ...]) -> Reply:
        """The reply after the effects that replace it once the action has acted, and those on its way."""
        for rule in rules:
            reply = fault_effects.instead(rule) or reply
        return fault_effects.carry(rules, reply)

    def _nothing(self, request: dict[str, Any], caller: Caller) -> Reply:
        """An empty receive that takes as long as the poll would have waited."""
        reply = success({})
        wait = request.get("WaitTimeSeconds")
        settings = self.broker.entry(request.get("QueueUrl"), caller).queue.settings
        reply.delay = float(wait) if wait is not None else settings.wait
        return reply
