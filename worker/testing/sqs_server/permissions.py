"""SQS server process: AddPermission and RemovePermission, which write the queue's policy. It is kept, not enforced."""

import re
from typing import Any, Final

import orjson

from worker.testing.sqs_server import limits
from worker.testing.sqs_server.broker import Broker, Caller, Entry
from worker.testing.sqs_server.errors import SqsError, invalid_value, missing_parameter
from worker.testing.sqs_server.fields import required_text, text, texts

_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_ACCOUNT: Final = re.compile(r"\d{12}", re.ASCII)
_GRANTABLE: Final = frozenset(
    {
        "*",
        "ChangeMessageVisibility",
        "DeleteMessage",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListDeadLetterSourceQueues",
        "PurgeQueue",
        "ReceiveMessage",
        "SendMessage",
    }
)
_OWNERS: Final = frozenset(
    {
        "AddPermission",
        "CancelMessageMoveTask",
        "CreateQueue",
        "DeleteQueue",
        "ListMessageMoveTasks",
        "ListQueueTags",
        "ListQueues",
        "RemovePermission",
        "SetQueueAttributes",
        "StartMessageMoveTask",
        "TagQueue",
        "UntagQueue",
    }
)


def _policy(entry: Entry) -> dict[str, Any]:
    stored = entry.attributes.get("Policy")
    if stored:
        policy: dict[str, Any] = orjson.loads(stored)
        statements = policy.get("Statement", [])
        return policy | {"Statement": statements if isinstance(statements, list) else [statements]}
    return {"Version": "2008-10-17", "Id": f"{entry.queue.arn}/SQSDefaultPolicy", "Statement": []}


def _one_or_many(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _checked_actions(request: dict[str, Any]) -> list[str]:
    actions = texts(request, "Actions")
    if not actions:
        raise missing_parameter("ActionName")
    for action in actions:
        if action in _OWNERS:
            raise invalid_value(f"SQS:{action}", "ActionName", "Only the queue owner is allowed to invoke this action.")
        if action not in _GRANTABLE:
            raise invalid_value(
                f"SQS:{action}", "ActionName", "Please refer to the appropriate WSDL for a list of valid actions."
            )
    if len(actions) > limits.STATEMENT_ACTIONS:
        raise SqsError("OverLimit", f"{len(actions)} Actions were found, maximum allowed is 7.")
    return actions


def add_permission(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Adds a statement that allows accounts to call actions."""
    entry = broker.entry(text(request, "QueueUrl"), caller)
    label = required_text(request, "Label")
    if not _LABEL.fullmatch(label):
        raise invalid_value(
            label, "Label", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length."
        )
    actions = _checked_actions(request)
    accounts = texts(request, "AWSAccountIds")
    if not accounts:
        raise missing_parameter("AWSAccountIds")
    for account in accounts:
        if not _ACCOUNT.fullmatch(account):
            raise invalid_value(f"[{account}]", "PrincipalId", "Unable to verify.")
    policy = _policy(entry)
    statements = policy["Statement"]
    if any(statement.get("Sid") == label for statement in statements):
        raise invalid_value(label, "Label", "Already exists.")
    if len(statements) >= limits.POLICY_STATEMENTS:
        raise SqsError("OverLimit", f"{len(statements) + 1} Statements were found, maximum allowed is 20.")
    statements.append(
        {
            "Sid": label,
            "Effect": "Allow",
            "Principal": {"AWS": _one_or_many([f"arn:aws:iam::{account}:root" for account in accounts])},
            "Action": _one_or_many([f"SQS:{action}" for action in actions]),
            "Resource": entry.queue.arn,
        }
    )
    entry.attributes = entry.attributes | {"Policy": orjson.dumps(policy).decode()}
    entry.modified = now
    return {}


def remove_permission(broker: Broker, request: dict[str, Any], now: float, caller: Caller) -> dict[str, Any]:
    """Removes the statement with a label; the policy goes with its last statement."""
    entry = broker.entry(text(request, "QueueUrl"), caller)
    label = required_text(request, "Label")
    policy = _policy(entry)
    left = [statement for statement in policy["Statement"] if statement.get("Sid") != label]
    if len(left) == len(policy["Statement"]):
        raise invalid_value(label, "Label", "can't find label.")
    attributes = {name: value for name, value in entry.attributes.items() if name != "Policy"}
    if left:
        attributes["Policy"] = orjson.dumps(policy | {"Statement": left}).decode()
    entry.attributes = attributes
    entry.modified = now
    return {}
