"""Producer process: sends activations and deactivations of domains to the domain queue.

The queue is DOMAIN_QUEUE_URL, or what the SSM parameter of ENVIRONMENT says. Both functions wait until SQS has taken
the messages, may be called from any thread, and share one producer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

from apps.domain_operations import clients
from apps.domain_operations.rules import BadChange, parse, stamp, write
from worker import Producer, Sending


def send_domain_activation(
    domain: str,
    action: Literal["activate", "deactivate"],
    *,
    tenant_id: str | None = None,
    idempotency_key: str | None = None,
) -> str:
    """Ask for one change of a domain; the MessageId. A key that was used for this domain before changes nothing.

    Raises ValueError for a domain or an action that is none (nothing is sent), worker.SendError if SQS does not take
    the message, RuntimeError if the environment names no queue, and botocore's ClientError if SSM does not.
    """
    sending = _sending({"name": domain, "action": action, "tenant_id": tenant_id, "idempotency_key": idempotency_key})
    return _producer().send(sending.body, attributes=sending.attributes).result()


def send_domain_batch(domains: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Ask for any number of changes, `{"name", "action"}` each, `tenant_id` and `idempotency_key` if wanted.

    The answer is as SendMessageBatch gives it, `{"Successful": [...], "Failed": [...]}`; `Id` is the position in
    `domains`, as text. A change that is none is among the failed, with the code InvalidChange; the others are sent.
    """
    sendings: list[tuple[int, Sending]] = []
    failed: list[dict[str, Any]] = []
    for position, item in enumerate(domains):
        try:
            sendings.append((position, _sending(item)))
        except ValueError as error:
            failed.append(_failure(position, "InvalidChange", str(error), sender=True))
    result = _producer().send_many(sending for _, sending in sendings)
    positions = [position for position, _ in sendings]
    failed += [_failure(positions[index], code, reason, sender=False) for index, code, reason in result.failed]
    successful = [{"Id": str(positions[index]), "MessageId": message_id} for index, message_id in result.successful]
    return {"Successful": successful, "Failed": sorted(failed, key=lambda one: int(one["Id"]))}


def _sending(item: Mapping[str, Any]) -> Sending:
    """Raises ValueError."""
    if not isinstance(item, Mapping):
        raise BadChange('expected {"name": ..., "action": ...}')
    fields = {name: item.get(name) for name in ("action", "tenant_id", "idempotency_key")}
    # What is sent is judged by what reads it.
    change = parse({"domain": item.get("name"), **fields, "timestamp": stamp(datetime.now(UTC))})
    return Sending(write(change), attributes={"Action": change.action})


def _producer() -> Producer:
    url, role = os.environ.get("DOMAIN_QUEUE_URL", ""), os.environ.get("DOMAIN_QUEUE_ROLE_ARN", "")
    if url:
        return _kept(url, role)
    environment = clients.required("ENVIRONMENT", "dev, staging or prod; or give DOMAIN_QUEUE_URL")
    return _kept(_url_of(environment, role), role)


@cache
def _kept(url: str, role: str) -> Producer:
    """One producer for a queue; what it still has is sent when the process ends."""
    return Producer(url, role_arn=role or None)


@cache
def _url_of(environment: str, role: str) -> str:
    """Asked once; a failure is asked again."""
    name = f"/storefront-{environment}/sqs/domain-queue-url"
    return clients.ssm(role).get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"].strip()


def _failure(position: int, code: str, reason: str, *, sender: bool) -> dict[str, Any]:
    return {"Id": str(position), "Code": code, "Message": reason, "SenderFault": sender}
