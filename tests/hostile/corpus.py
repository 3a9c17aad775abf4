"""Test process: the hostile corpus: messages that no producer should send, and what has to become of each."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import botocore.parsers
import botocore.session

from worker.aws import payloads
from worker.policy.delivery import Received

#: SQS's limit of a message. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MEBIBYTE = 1024 * 1024
#: A member that the answer lacks.
GONE = object()
#: What drives a terminal, forges a log line, or reads from right to left.
ACTIVE = '\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b31m\x7f\r\n{"event":"forged"}\n\u2028\u202e\u2066'


class Way(Enum):
    """How far a message gets."""

    DECODED = "message.json() gives a value"
    HANDLED = "the handler function runs, and message.json() raises"
    REFUSED = "no handler function runs: its attributes make no sense"
    DAMAGED = "it is given back unread: its body is not what SQS says it is"
    UNOWNED = "it cannot even be given back: no receipt handle or no id"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One message. `members` take the place of those that SQS would answer with."""

    name: str
    body: str = '{"plain": true}'
    way: Way = Way.DECODED
    members: Mapping[str, Any] = field(default_factory=dict)

    def shape(self, message_id: str, receipt: str, *, count: str = "1") -> dict[str, Any]:
        """The message as an element of a receive's answer; MessageId keeps `message_id` as its beginning."""
        body = self.body.encode("utf-8", "surrogatepass")
        whole = {
            "MessageId": message_id,
            "ReceiptHandle": receipt,
            "Body": self.body,
            "MD5OfBody": hashlib.md5(body, usedforsecurity=False).hexdigest(),
            "Attributes": {"ApproximateReceiveCount": count, "SentTimestamp": "1"},
        } | dict(self.members)
        if isinstance(whole["MessageId"], str) and whole["MessageId"] != message_id:
            whole["MessageId"] = message_id + whole["MessageId"]
        return {name: value for name, value in whole.items() if value is not GONE}


def arrived(answer: Mapping[str, Any]) -> list[Received | None]:
    """What the poller makes of the answer to a receive, by way of boto3's own parser."""
    shape = botocore.session.get_session().get_service_model("sqs").operation_model("ReceiveMessage").output_shape
    assert shape is not None
    response = {"status_code": 200, "headers": {}, "body": json.dumps(answer).encode()}
    parsed = botocore.parsers.create_parser("json").parse(response, shape)
    return [payloads.received(one) for one in parsed.get("Messages", ())]


def _text(value: str, kind: str = "String") -> dict[str, str]:
    return {"DataType": kind, "StringValue": value}


def _binary(value: bytes) -> dict[str, str]:
    return {"DataType": "Binary", "BinaryValue": base64.b64encode(value).decode()}


def _own(**attributes: Any) -> dict[str, Any]:
    return {"MessageAttributes": attributes}


def _system(**attributes: Any) -> dict[str, Any]:
    return {"Attributes": {"ApproximateReceiveCount": "1"} | attributes}


_SNS = {
    "Type": "SubscriptionConfirmation",
    "TopicArn": "arn:aws:sns:us-east-1:123456789012:orders",
    "SubscribeURL": "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "SigningCertURL": "https://sns.us-east-1.amazonaws.com.example.org/x.pem",
    "Message": '{"total": -1}',
    "Signature": "forged",
}
_LISTS = "[" + ",".join(["[]"] * ((MEBIBYTE - 2) // 3)) + "]"
_OBJECTS = "[" + ",".join(['{"a":[]}'] * ((MEBIBYTE - 2) // 9)) + "]"

BODIES = [
    Hostile("500,000 lists deep", "[" * 500_000 + "]" * 500_000, Way.HANDLED),
    Hostile("150,000 objects deep", '{"a":' * 150_000 + "1" + "}" * 150_000, Way.HANDLED),
    Hostile("a mebibyte of openings", "[" * MEBIBYTE, Way.HANDLED),
    Hostile("as deep as decodes", "[" * 1000 + "]" * 1000),
    Hostile("a mebibyte of lists", _LISTS),
    Hostile("a mebibyte of objects", _OBJECTS),
    Hostile("an integer of 5,000 digits", "9" * 5000, Way.HANDLED),
    Hostile("an integer of a mebibyte", "9" * MEBIBYTE, Way.HANDLED),
    Hostile("1e999", '{"total": 1e999}', Way.HANDLED),
    Hostile("NaN", '{"total": NaN}', Way.HANDLED),
    Hostile("Infinity", '{"total": -Infinity}', Way.HANDLED),
    Hostile("duplicate keys", '{"total": 1, "total": -1}'),
    Hostile("an escaped lone surrogate", r'{"name": "\ud800"}', Way.HANDLED),
    Hostile("a lone surrogate", '"\ud800"', Way.HANDLED),
    Hostile("nothing but a lone surrogate", "\udfff", Way.HANDLED),
    Hostile("NUL", "\0", Way.HANDLED),
    Hostile("NUL in a string", '"\0"', Way.HANDLED),
    Hostile("an escaped NUL", r'{"name": "\u0000"}'),
    Hostile("control characters of XML", '"\x01\x08\x0b\x0c\x0e\x1f"', Way.HANDLED),
    Hostile("noncharacters", '"\ufffe\uffff"'),
    Hostile("right to left", '"\u202e\u2066gnp.exe"'),
    Hostile("escape sequences", json.dumps(ACTIVE)),
    Hostile("naked escape sequences", ACTIVE, Way.HANDLED),
    Hostile("a forged log line", '{}\n{"event":"drain_finished","level":"info"}\n', Way.HANDLED),
    Hostile("a look-up", '"${jndi:ldap://127.0.0.1/a} ${env:AWS_SECRET_ACCESS_KEY}"'),
    Hostile("formats", '"%s%n%d%(x)s {} {0.__class__.__mro__} {message!r}"'),
    Hostile("a forged SNS envelope", json.dumps(_SNS)),
    Hostile("prototype names", '{"__proto__": {"a": 1}, "__class__": "os", "constructor": {}}'),
    Hostile("a pickle", "cos\nsystem\n(S'true'\ntR.", Way.HANDLED),
    Hostile("a YAML tag", "!!python/object/apply:os.system ['true']", Way.HANDLED),
    Hostile("a byte order mark", "\ufeff{}", Way.HANDLED),
    Hostile("blanks", " \t\r\n", Way.HANDLED),
    Hostile("cut off", '{"a": [1, 2', Way.HANDLED),
    Hostile("two documents", "{} {}", Way.HANDLED),
    Hostile("a mebibyte of text", '"' + "x" * (MEBIBYTE - 2) + '"'),
    Hostile("a mebibyte of line ends", "\n" * MEBIBYTE, Way.HANDLED),
    Hostile("a name of a mebibyte", '{"' + "k" * (MEBIBYTE - 6) + '":1}'),
]
_MANY = {f"a{number}": _text("x" * 100_000) for number in range(10)}
_BINARIES = {"all": _binary(bytes(range(256))), "zip": _binary(b"\x1f\x8b\x08" + b"\0" * 1000)}
ATTRIBUTES = [
    Hostile("ten huge attributes", members=_own(**_MANY)),
    Hostile("a hundred attributes", members=_own(**{f"a{number}": _text("x") for number in range(100)})),
    Hostile("binary attributes", members=_own(**_BINARIES)),
    Hostile(
        "reserved names", members=_own(**{"AWS.x": _text("1"), "amazon.y": _text("2"), "worker.crash": _text("3")})
    ),
    Hostile(
        "odd names", members=_own(**{ACTIVE: _text("1"), "": _text("2"), "..": _text("3"), "n" * 5000: _text("4")})
    ),
    Hostile("names with a meaning in Python", members=_own(__class__=_text("1"), __init__=_text("2"))),
    Hostile("odd values", members=_own(a=_text(ACTIVE), b=_text("NaN", "Number"), c=_text("1e999", "Number"))),
    Hostile("a lone surrogate in an attribute", members=_own(**{"\ud800": _text("\udfff")})),
    Hostile("odd types", members=_own(a=_text("x", f"String.{ACTIVE}"), b=_text("x", "Evil"))),
    Hostile("a forged trace", members=_own(traceparent=_text(f"00-{'f' * 5000}-{ACTIVE}-01"))),
    Hostile("unknown fields of an attribute", members=_own(a=_text("x") | {"Extra": 1, "StringListValues": ["x"]})),
    Hostile("attributes null", members={"MessageAttributes": None}),
    Hostile("an attribute null", "{}", Way.REFUSED, _own(a=None)),
    Hostile("an attribute without a type", "{}", Way.REFUSED, _own(a={"StringValue": "x"})),
    Hostile("an attribute of type null", "{}", Way.REFUSED, _own(a={"DataType": None, "StringValue": "x"})),
    Hostile("an attribute without a value", "{}", Way.REFUSED, _own(a={"DataType": "String"})),
    Hostile("a binary attribute without bytes", "{}", Way.REFUSED, _own(a=_text("x", "Binary"))),
]
SYSTEM = [
    Hostile("no system attributes", members={"Attributes": GONE}),
    Hostile("system attributes null", members={"Attributes": None}),
    Hostile("each system attribute null", members=_system(ApproximateReceiveCount=None, MessageGroupId=None)),
    Hostile("a receive count of words", members=_system(ApproximateReceiveCount="many")),
    Hostile("a receive count of 5,000 digits", members=_system(ApproximateReceiveCount="9" * 5000)),
    Hostile("a receive count of a billion", members=_system(ApproximateReceiveCount="999999999")),
    Hostile("a negative receive count", members=_system(ApproximateReceiveCount="-1")),
    Hostile("a receive count that is a number", members=_system(ApproximateReceiveCount=7)),
    Hostile("odd times", members=_system(SentTimestamp="1e999", ApproximateFirstReceiveTimestamp=ACTIVE)),
    Hostile("an odd group", members=_system(MessageGroupId=ACTIVE)),
    Hostile("a group that is a number", members=_system(MessageGroupId=5)),
    Hostile("a group with a lone surrogate", members=_system(MessageGroupId="\ud800")),
    Hostile("a group of 5,000 characters", members=_system(MessageGroupId="g" * 5000)),
    Hostile("unknown system attributes", members=_system(Surprise="x", AWSTraceHeader=ACTIVE, SenderId="x" * 5000)),
    Hostile("unknown fields", members={"Surprise": {"a": [1, None]}, "body": "lower case"}),
]
IDS = [
    Hostile("an id with escape sequences", members={"MessageId": ACTIVE}),
    Hostile("an id with a lone surrogate", members={"MessageId": "\ud800"}),
    Hostile("an id of 5,000 characters", members={"MessageId": "i" * 5000}),
    Hostile("an id like a format", members={"MessageId": "%s%n{0.__class__}${jndi:ldap://127.0.0.1/a}"}),
    Hostile("a wrong MD5", "{}", Way.DAMAGED, {"MD5OfBody": "0" * 32}),
    Hostile("an MD5 that is a number", "{}", Way.DAMAGED, {"MD5OfBody": 5}),
    Hostile("no MD5", members={"MD5OfBody": GONE}),
    Hostile("no body", "", Way.DAMAGED, {"Body": GONE, "MD5OfBody": GONE}),
    Hostile("a body null", "", Way.DAMAGED, {"Body": None, "MD5OfBody": None}),
    Hostile("a body that is a number", "", Way.DAMAGED, {"Body": 5, "MD5OfBody": GONE}),
    Hostile("a body that is an object", "", Way.DAMAGED, {"Body": {"a": [1]}, "MD5OfBody": GONE}),
    Hostile("no id", "{}", Way.UNOWNED, {"MessageId": GONE}),
    Hostile("an id null", "{}", Way.UNOWNED, {"MessageId": None}),
    Hostile("an id that is a number", "{}", Way.UNOWNED, {"MessageId": 5}),
    Hostile("no receipt handle", "{}", Way.UNOWNED, {"ReceiptHandle": GONE}),
    Hostile("a receipt handle null", "{}", Way.UNOWNED, {"ReceiptHandle": None}),
    Hostile("a receipt handle that is a list", "{}", Way.UNOWNED, {"ReceiptHandle": ["a"]}),
]
CORPUS = {hostile.name: hostile for hostile in (*BODIES, *ATTRIBUTES, *SYSTEM, *IDS)}
