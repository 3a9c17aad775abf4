"""Command line: the form that one text of the config must have. Each check returns a complaint, or "" for none."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html: 80 with the suffix.
_QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")
_HANDLER = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII)
_PARAMETER = re.compile(r"[A-Za-z0-9_./-]+|arn:aws[a-z-]*:ssm:[a-z0-9-]+:\d{12}:parameter/[A-Za-z0-9_./-]+")
_QUEUE_ARN = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,80}(\.fifo)?", re.ASCII)
_ARN_EXAMPLE = "arn:aws:sqs:eu-west-1:123456789012:orders-dlq"
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_POOL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/#: -]{0,254}")
_LONGEST_METRIC = 255
_ACTION = re.compile(r"[A-Za-z0-9_.-]{1,100}")
#: What a `url` begins with that is an SSM parameter.
SSM = "ssm:"
TABLE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
#: A unix socket's path: 107 bytes on Linux, 103 on macOS (sockaddr_un.sun_path, with its final zero byte).
_LONGEST_SOCKET_PATH = 103


def handler(text: str) -> str:
    """A handler function's place: module and function."""
    if _HANDLER.fullmatch(text):
        return ""
    return f'expected "package.module:function", got {text!r}'


def queue_name(text: str) -> str:
    """The name of a queue in SQS."""
    if _QUEUE_NAME.fullmatch(text):
        return ""
    return f"expected up to 80 letters, digits, '-' and '_' (and .fifo at the end of a FIFO queue's), got {text!r}"


def queue_url(text: str) -> str:
    """The URL of a queue. The text is not shown: a URL may hold credentials."""
    parts = _split(text)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        return "expected a queue URL, such as https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "a queue URL holds no user, password, query or fragment"
    if wrong := queue_name(name_from_url(parts.path)):
        return f"the last part of a queue URL is the queue's name: {wrong}"
    return ""


def queue_url_or_parameter(text: str) -> str:
    """The URL of a queue, or `ssm:` and the parameter that holds it."""
    return ssm_parameter(text.removeprefix(SSM)) if text.startswith(SSM) else queue_url(text)


def queue_address(text: str) -> str:
    """A queue by URL, ARN or name."""
    if text.startswith("arn:"):
        return "" if _QUEUE_ARN.fullmatch(text) else f"expected a queue's ARN, such as {_ARN_EXAMPLE}, got {text!r}"
    return queue_url(text) if "/" in text or ":" in text else queue_name(text)


def endpoint_url(text: str) -> str:
    """The URL of a service's endpoint."""
    parts = _split(text)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        return "expected a URL, such as http://localhost:4566"
    if parts.username or parts.password:
        return "an endpoint's URL holds no user and no password: it stands in logs"
    return ""


def ssm_parameter(text: str) -> str:
    """The name (or ARN) of an SSM parameter."""
    return (
        "" if _PARAMETER.fullmatch(text) else f'expected a parameter\'s name, such as "/shop/orders-url", got {text!r}'
    )


def role_arn(text: str) -> str:
    """The ARN of an IAM role."""
    return (
        "" if _ROLE.fullmatch(text) else f"expected a role, such as arn:aws:iam::123456789012:role/orders, got {text!r}"
    )


def region(text: str) -> str:
    """An AWS region."""
    return "" if _REGION.fullmatch(text) else f'expected a region, such as "eu-west-1", got {text!r}'


def pool_name(text: str) -> str:
    """The name of a pool, as logs and `worker status` show it."""
    if _POOL_NAME.fullmatch(text):
        return ""
    return f"expected up to 64 letters, digits, '.', '-' and '_', got {text!r}"


def metric_namespace(text: str) -> str:
    """A namespace of CloudWatch: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html"""
    if text.startswith("AWS/"):
        return f"namespaces that begin with AWS/ are those of AWS services: choose another than {text!r}"
    if _NAMESPACE.fullmatch(text):
        return ""
    return (
        f"expected up to 255 letters, digits and . - _ / # : or spaces, and a first that is none of them, got {text!r}"
    )


def metric_name(text: str) -> str:
    """The name of a metric of CloudWatch."""
    if text.isascii() and text.isprintable() and text.strip() and len(text) <= _LONGEST_METRIC:
        return ""
    return f"expected up to {_LONGEST_METRIC} printable ASCII characters, got {text!r}"


def log_action(text: str) -> str:
    """What a line of a log is called."""
    return "" if _ACTION.fullmatch(text) else f"expected a word such as sqs_delete_message, got {text!r}"


def socket_path(text: str) -> str:
    """The absolute path of a unix socket."""
    size = len(text.encode(errors="surrogateescape"))
    if size <= _LONGEST_SOCKET_PATH:
        return ""
    return f"the path {text} has {size} bytes; a unix socket's has {_LONGEST_SOCKET_PATH} at most: choose a shorter one"


def name_from_url(url: str) -> str:
    """The queue's name: what stands behind the last slash of its URL or path."""
    return url.rpartition("/")[2]


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - the property raises for a port that is none
    except ValueError:
        return None
    return parts if text.isprintable() and " " not in text else None
