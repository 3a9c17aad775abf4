"""Pure rules: what an operator is told about a queue's calls to AWS, once when it changes and not at every failure."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.policy.backoff import half_jitter
from worker.policy.failures import Failure, FailureKind

#: What each kind of failure means for the operator.
HINTS = {
    FailureKind.TRANSIENT: "the endpoint or the network fails; calls are tried again, work in hand goes on",
    FailureKind.THROTTLED: "SQS wants fewer requests; calls are slowed down",
    FailureKind.CREDENTIALS: "the credentials are missing, expired or wrong; check the role, profile or keys",
    FailureKind.CLOCK: "this machine's clock is wrong, so AWS refuses its signatures; set it (NTP)",
    FailureKind.DENIED: "IAM or the queue's policy denies this action; allow it",
    FailureKind.KMS: "the queue's KMS key cannot be used; enable it and allow kms:Decrypt",
    FailureKind.QUEUE_GONE: "the queue does not exist; create it or correct the config",
    FailureKind.CAPACITY: "too many messages are in flight; until some are deleted SQS gives out no more",
    FailureKind.LEASE: "the receipts are not valid any more",
    FailureKind.INVALID: "SQS refuses the request as wrong",
}


@dataclass(slots=True)
class Gate:
    """Holds back one kind of call while it fails: one at a time, after a backoff, till one succeeds."""

    first: float  #: seconds
    most: float  #: seconds
    failures: int = 0  #: in a row
    quiet_until: float = 0.0

    def failed(self, *, now: float, chance: float) -> None:
        """A call failed as a whole."""
        self.failures += 1
        wait = half_jitter(self.failures, first=self.first, most=self.most, chance=chance)
        self.quiet_until = max(self.quiet_until, now + wait)

    def succeeded(self) -> None:
        """A call went through: full rate again."""
        self.failures, self.quiet_until = 0, 0.0

    def wait(self, now: float, *, on_their_way: int) -> float:
        """Seconds before another call may start; infinity while the one probe is on its way."""
        if self.failures and on_their_way:
            return float("inf")
        return max(0.0, self.quiet_until - now)


@dataclass(frozen=True, slots=True)
class Change:
    """Something for the log: `failure` None is a recovery after `seconds` and `failures`."""

    action: str
    failure: Failure | None
    seconds: float
    failures: int


@dataclass(slots=True)
class _Trouble:
    kind: FailureKind
    since: float
    failures: int


@dataclass(slots=True)
class Health:
    """Of one poller's calls, by action (receive, delete, hide, beat, send)."""

    changes: list[Change] = field(default_factory=list)
    _troubles: dict[str, _Trouble] = field(default_factory=dict)

    def failed(self, action: str, failure: Failure, *, now: float) -> None:
        """A call failed; news only if it is the first, or of another kind than the last."""
        trouble = self._troubles.get(action)
        if trouble is not None and trouble.kind is failure.kind:
            trouble.failures += 1
            return
        since = now if trouble is None else trouble.since
        self._troubles[action] = _Trouble(failure.kind, since, 1 if trouble is None else trouble.failures + 1)
        self.changes.append(Change(action, failure, now - since, self._troubles[action].failures))

    def succeeded(self, action: str, *, now: float) -> None:
        """A call went through."""
        trouble = self._troubles.pop(action, None) if self._troubles else None
        if trouble is not None:
            self.changes.append(Change(action, None, now - trouble.since, trouble.failures))

    @property
    def worst(self) -> tuple[FailureKind | None, float]:
        """The kind that has lasted longest, and since when; (None, 0.0) while all is well."""
        if not self._troubles:
            return None, 0.0
        oldest = min(self._troubles.values(), key=lambda trouble: trouble.since)
        return oldest.kind, oldest.since
