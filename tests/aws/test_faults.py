"""Each fault of the strict SQS server through each client: the same failure, and the next call is fine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.aws.conftest import ask, queue_settings
from worker.aws import calls, lean
from worker.aws.clients import Client
from worker.policy.failures import FailureKind
from worker.policy.requests import Delete, Hide, Outgoing, Receive, Request, Send
from worker.testing.sqs_server.process import SqsServerProcess

SHAPES = [
    "ExpiredToken",
    "QueueDoesNotExist",
    "AccessDenied",
    "OverLimit",
    "KmsDisabled",
    "RequestThrottled",
    "Unheard",
]


@pytest.mark.parametrize(
    "fault",
    [
        *({"effect": "error", "shape": shape, "status": 400, "message": f"{shape} it is"} for shape in SHAPES),
        {"effect": "error", "shape": "InvalidSignatureException", "status": 403, "message": "Signature expired: x"},
        {"effect": "throttle"},
        {"effect": "unavailable"},
        {"effect": "html", "status": 502},
        {"effect": "drop", "when": "before", "how": "reset"},
        {"effect": "drop", "when": "after", "how": "close"},
    ],
    ids=lambda fault: f"{fault['effect']} {fault.get('shape', fault.get('how', ''))}".strip(),
)
def test_a_fault_is_the_same_failure(
    sqs: Any, sqs_server: SqsServerProcess, clients: Callable[..., Client], fault: dict[str, Any]
) -> None:
    """Kind and code, of receives and of each batch; and of the text what is SQS's own."""
    url = sqs.create_queue(QueueName=f"q{uuid4().hex}")["QueueUrl"]
    requests: list[Request] = [
        Receive(1, 0, 30),
        Delete(("receipt-1",)),
        Hide((("receipt-1", 1),)),
        Send(url, (Outgoing(b"x", {}),)),
    ]
    seen = []
    for name in ("lean", "boto3"):
        made = clients(queue_settings(url=url, client=name, polls=1), controls=1).sqs(url)
        for request in requests:
            sqs_server.set_faults({**fault, "queue": url.rsplit("/", 1)[1]})
            (answer,) = ask(made, request)
            assert sqs_server.clear_faults()[0]["used"] >= 1
            failure = answer.failure
            assert failure is not None
            said = fault["effect"] not in ("drop", "html")
            seen.append((name, failure.kind, failure.code, failure.text.split(" (this")[0] if said else ""))
            assert ask(made, request)[0].failure is None
    half = len(requests)
    assert [one[1:] for one in seen[:half]] == [one[1:] for one in seen[half:]]


@pytest.mark.parametrize("fault", [{"effect": "html"}, {"effect": "black_hole", "when": "after"}], ids=["html", "hole"])
def test_what_is_no_answer_is_transient(
    sqs: Any,
    sqs_server: SqsServerProcess,
    clients: Callable[..., Client],
    monkeypatch: pytest.MonkeyPatch,
    client: str,
    fault: dict[str, Any],
) -> None:
    """A body that is not JSON, with a status of 200; and none at all. Nothing counts as settled."""
    for module in (calls, lean):
        monkeypatch.setattr(module, "CONTROL_TIMEOUT", 0.4)
    monkeypatch.setattr(calls, "CONNECT_TIMEOUT", 0.0)
    url = sqs.create_queue(QueueName=f"q{uuid4().hex}")["QueueUrl"]
    made = clients(queue_settings(url=url, client=client, polls=1), controls=1).sqs(url)
    sqs_server.set_faults({**fault, "queue": url.rsplit("/", 1)[1], "count": 1})
    (answer,) = ask(made, Delete(("r",)))
    sqs_server.clear_faults()
    failures = [answer.failure] if answer.failure is not None else list(answer.entries)
    assert [one and one.kind for one in failures] == [FailureKind.TRANSIENT]
    assert ask(made, Delete(("r",)))[0].failure is None
