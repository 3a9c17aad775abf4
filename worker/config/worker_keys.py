"""Command line: the keys of `[worker]`."""

from __future__ import annotations

from worker.config import shapes
from worker.config.schema import Key, Type
from worker.telemetry import LEVELS

WORKER = (
    Key(
        name="name",
        type=Type.TEXT,
        shape=shapes.pool_name,
        example='name = "shop"',
        default="the name of the file's folder",
        meaning="The pool's name in logs and in `worker status`.",
    ),
    Key(
        name="drain_timeout",
        type=Type.SECONDS,
        example="drain_timeout = 25",
        above=0,
        meaning="The whole budget of a stop, from the signal to the exit. At least the longest `wait` plus 7 s.",
    ),
    Key(
        name="control_socket",
        type=Type.TEXT,
        example='control_socket = "run/worker.sock"',
        default="no control socket",
        meaning="The unix socket (mode 0600) that `worker status`, `scale`, `drain`, `reload` and `stacks` talk to. "
        "Relative paths start at the file's folder.",
    ),
    Key(
        name="region",
        type=Type.TEXT,
        shape=shapes.region,
        example='region = "eu-west-1"',
        default="as boto3 finds it",
        meaning="The AWS region of all queues.",
    ),
    Key(
        name="endpoint_url",
        type=Type.TEXT,
        shape=shapes.endpoint_url,
        example='endpoint_url = "http://localhost:4566"',
        default="as boto3 finds it",
        meaning="The endpoint of SQS. boto3's own `AWS_ENDPOINT_URL_SQS` and `AWS_ENDPOINT_URL` work as well.",
    ),
    Key(
        name="allow_insecure_endpoint",
        type=Type.SWITCH,
        example="allow_insecure_endpoint = true",
        default="false",
        meaning="Allow plain http to other machines, for instance to LocalStack in a neighbouring container. "
        "Bodies and receipts can then be read on the way.",
    ),
    Key(
        name="log_level",
        type=Type.TEXT,
        choices=tuple(LEVELS),
        example='log_level = "info"',
        meaning="The least severe lines that are logged: debug, info, warning or error.",
    ),
)
