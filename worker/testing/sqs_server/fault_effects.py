"""SQS server process: what the effects of the fault plan do to a request, to its answer, and to the answer's way."""

from collections.abc import Callable
from typing import Any

from worker.testing.sqs_server.broker import Broker, Caller
from worker.testing.sqs_server.errors import SqsError
from worker.testing.sqs_server.faults import Rule
from worker.testing.sqs_server.queue import Queue
from worker.testing.sqs_server.replies import Carriage, Reply, failure

_PAGE = "<html><body><h1>It works</h1></body></html>"


def instead(rule: Rule) -> Reply | None:
    """The reply that takes the place of the real one; None for effects that leave it."""
    given = rule.parameters
    if rule.effect == "error":
        shape = str(given.get("shape", "InternalFailure"))
        return failure(SqsError(shape, str(given.get("message", shape)), status=int(given.get("status", 0))))
    if rule.effect == "throttle":
        return failure(SqsError("RequestThrottled", "Request is throttled."))
    if rule.effect == "unavailable":
        return Reply(int(given.get("status", 503)), b"", content_type="text/plain")
    if rule.effect == "html":
        body = str(given.get("text", _PAGE)).encode()
        return Reply(int(given.get("status", 200)), body, content_type="text/html")
    if rule.effect == "drop":
        return Reply(0, b"", carriage=Carriage.CLOSE if given.get("how") == "close" else Carriage.RESET)
    if rule.effect == "black_hole":
        return Reply(0, b"", carriage=Carriage.SILENCE)
    return None


def acts_first(rule: Rule) -> bool:
    """Whether the action takes effect although its answer is replaced."""
    return rule.parameters.get("when") == "after"


def carry(rules: tuple[Rule, ...], reply: Reply) -> Reply:
    """Applies the effects on the answer's way."""
    for rule in rules:
        if rule.effect == "delay":
            reply.delay += float(rule.parameters.get("seconds", 1.0))
        elif rule.effect == "trickle":
            reply.carriage = Carriage.TRICKLE
            reply.rate = float(rule.parameters.get("bytes_per_second", 1.0))
    return reply


def _chosen(rule: Rule, count: int, chance: Callable[[], float]) -> set[int]:
    positions = rule.parameters.get("positions")
    if isinstance(positions, list):
        return {int(position) for position in positions}
    share = float(rule.parameters.get("share", 1.0))
    return {position for position in range(count) if chance() < share}


class BatchFault:
    """Entries of one batch that fail or vanish: taken out of the request, or only out of the answer."""

    def __init__(self, rule: Rule, request: dict[str, Any], *, chance: Callable[[], float]) -> None:
        self._rule = rule
        entries = request.get("Entries")
        entries = entries if isinstance(entries, list) else []
        chosen = _chosen(rule, len(entries), chance)
        self._ids = [str(entry.get("Id")) for place, entry in enumerate(entries) if place in chosen]

    def request(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The request that is acted on; None where no entry is left of it."""
        if self._rule.parameters.get("applied") or not self._ids:
            return request
        left = [entry for entry in request["Entries"] if str(entry.get("Id")) not in self._ids]
        return request | {"Entries": left} if left else None

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer as the client gets it."""
        given = self._rule.parameters
        kept = [entry for entry in answer.get("Successful", []) if entry["Id"] not in self._ids]
        failed = [entry for entry in answer.get("Failed", []) if entry["Id"] not in self._ids]
        if self._rule.effect == "fail_entries":
            for entry_id in self._ids:
                failed.append(
                    {
                        "Id": entry_id,
                        "Code": given.get("code", "InternalError"),
                        "Message": given.get("message", "An internal error occurred."),
                        "SenderFault": bool(given.get("sender_fault", False)),
                    }
                )
        return {name: entries for name, entries in (("Successful", kept), ("Failed", failed)) if entries}


def _mangled(target: dict[str, Any], rule: Rule) -> dict[str, Any]:
    given = rule.parameters
    changed = {name: value for name, value in target.items() if name not in given.get("remove", ())}
    changed |= dict.fromkeys(given.get("null", ()))
    return changed | dict(given.get("add", {}))


def _wrong(md5: str | None) -> str:
    return md5[::-1] if md5 and md5[::-1] != md5 else "0" * 32


def change_answer(rule: Rule, answer: dict[str, Any], *, broker: Broker, caller: Caller, url: str) -> dict[str, Any]:
    """The answer after an effect on its content: wrong_md5, duplicate, mangle."""
    messages = answer.get("Messages", [])
    if rule.effect == "wrong_md5":
        for one in (*messages, *answer.get("Successful", []), answer):
            for name in ("MD5OfBody", "MD5OfMessageBody"):
                if name in one:
                    one[name] = _wrong(one[name])
    elif rule.effect == "duplicate" and messages:
        queue = broker.entry(url, caller).queue
        whole = [one for one in messages if one.get("ReceiptHandle")]  # else another rule has mangled it
        twice = [one | {"ReceiptHandle": _second(queue, one["ReceiptHandle"])} for one in whole]
        answer["Messages"] = [*messages, *twice]
    elif rule.effect == "mangle":
        if rule.parameters.get("of") == "answer":
            return _mangled(answer, rule)
        if messages:
            answer["Messages"] = [_mangled(one, rule) for one in messages]
    return answer


def _second(queue: Queue, handle: str) -> str:
    message, _ = queue.find(handle)
    return queue.reissue(message) if message is not None else handle
