"""What an operator is told, and how failing calls are held back."""

import pytest

from worker.policy.failures import Failure, FailureKind, classify
from worker.policy.health import HINTS, Gate, Health
from worker.telemetry import TROUBLES

DOWN = Failure(FailureKind.TRANSIENT, "500", "down")
SLOW = Failure(FailureKind.THROTTLED, "Throttling", "slow down")


def test_a_thousand_failures_are_one_line_and_one_recovery() -> None:
    """The log changes when the state does."""
    health = Health()
    for number in range(1000):
        health.failed("receive", DOWN, now=float(number))
    health.succeeded("receive", now=2000.0)
    health.succeeded("receive", now=2001.0)
    failed, recovered = health.changes
    assert (failed.failure, recovered.failure, recovered.seconds, recovered.failures) == (DOWN, None, 2000.0, 1000)


def test_another_kind_is_news() -> None:
    """Throttled after being down."""
    health = Health()
    health.failed("receive", DOWN, now=0.0)
    health.failed("receive", SLOW, now=1.0)
    assert [change.failure for change in health.changes] == [DOWN, SLOW]


def test_the_longest_trouble_is_shown() -> None:
    """Of several actions."""
    health = Health()
    assert health.worst == (None, 0.0)
    health.failed("receive", SLOW, now=1.0)
    health.failed("delete", DOWN, now=2.0)
    assert health.worst == (FailureKind.THROTTLED, 1.0)
    health.succeeded("receive", now=3.0)
    assert health.worst == (FailureKind.TRANSIENT, 2.0)


def test_a_gate_lets_one_probe_through_at_a_time() -> None:
    """After a backoff; a success opens it at once."""
    gate = Gate(first=0.2, most=5.0)
    assert gate.wait(0.0, on_their_way=7) == 0.0
    for _ in range(10):
        gate.failed(now=0.0, chance=0.999)
    assert 2.5 <= gate.wait(0.0, on_their_way=0) <= 5.0
    assert gate.wait(6.0, on_their_way=0) == 0.0
    assert gate.wait(6.0, on_their_way=1) == float("inf")
    gate.succeeded()
    assert gate.wait(0.0, on_their_way=3) == 0.0


def test_every_kind_has_a_hint_and_a_number() -> None:
    """In logs and in the slot."""
    assert set(HINTS) == set(FailureKind)
    assert {"", *FailureKind} == set(TROUBLES)


@pytest.mark.parametrize(
    ("codes", "text", "sender", "kind"),
    [
        (("RequestThrottled",), "", None, FailureKind.THROTTLED),
        (("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"), "", None, FailureKind.QUEUE_GONE),
        (("SomethingNew", "QueueDoesNotExist"), "", None, FailureKind.QUEUE_GONE),
        (("InvalidParameterValue",), "The receipt handle has expired", True, FailureKind.LEASE),
        (("ReceiptHandleIsInvalid",), "", True, FailureKind.LEASE),
        (("InvalidSignatureException",), "Signature expired: 1 is now earlier than 2", None, FailureKind.CLOCK),
        (("SignatureDoesNotMatch",), "The request signature we calculated", None, FailureKind.CREDENTIALS),
        (("ExpiredToken",), "", None, FailureKind.CREDENTIALS),
        (("AccessDenied",), "", None, FailureKind.DENIED),
        (("KmsDisabled",), "", None, FailureKind.KMS),
        (("OverLimit",), "", None, FailureKind.CAPACITY),
        (("InternalError",), "", False, FailureKind.TRANSIENT),
        (("NeverHeardOf",), "", None, FailureKind.TRANSIENT),
        (("NeverHeardOf",), "", True, FailureKind.INVALID),
        (("503",), "", None, FailureKind.TRANSIENT),
        (("403",), "<html>", None, FailureKind.TRANSIENT),
        (("404",), "<html>", None, FailureKind.TRANSIENT),
        (("429",), "<html>", None, FailureKind.THROTTLED),
    ],
)
def test_errors_have_a_class(codes: tuple[str, ...], text: str, sender: bool | None, kind: FailureKind) -> None:
    """By either of the two codes SQS has for most errors; the unknown is tried again unless it is an entry's fault."""
    assert classify(codes, text, sender_fault=sender).kind is kind
