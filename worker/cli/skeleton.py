"""Command line: the files that `worker init` writes."""

from __future__ import annotations

_HANDLERS = '''\
"""What happens to each message of the queue."""

from worker import Message, Reject, Retry


def handle(message: Message) -> None:
    """Returning means done: the message is deleted. Any other exception than these two is a retry with backoff."""
    order = message.json()
    if order["total"] < 0:
        raise Reject("negative total")  # to the dead-letter queue
    if order.get("wait"):
        raise Retry(after=30)  # hidden for 30 seconds, then given out again
    print(f"order {order['id']}: {order['total']}")
'''

_CONFIG = """\
[worker]
name = "{name}"
control_socket = "run/worker.sock"

[queues.{table}]
# The queue by its name; or url = "https://sqs...", or ssm = "/parameter/of/the/url".
name = "${{QUEUE_NAME:-{queue}}}"
handler = "handlers:handle"
# Processes.
handlers = "${{HANDLERS:-2}}"
# Seconds; heartbeats extend it while the handler function runs.
visibility_timeout = 60
# Seconds; then the handler function is interrupted, and killed if that does not help.
handler_timeout = 300
"""

_TEST = '''\
"""The handler function, run as the pool runs it, without SQS."""

from handlers import handle
from worker.testing.run_inline import Kind, run_inline


def test_an_order_is_done() -> None:
    outcome = run_inline(handle, {"id": 1, "total": 10})
    assert outcome.kind is Kind.ACK


def test_a_negative_total_goes_to_the_dead_letter_queue() -> None:
    outcome = run_inline(handle, {"id": 2, "total": -1})
    assert outcome.kind is Kind.REJECT
    assert outcome.reason == "negative total"


def test_an_order_that_must_wait_comes_back() -> None:
    outcome = run_inline(handle, {"id": 3, "total": 10, "wait": True})
    assert outcome.kind is Kind.RETRY
    assert outcome.after == 30


def test_a_body_that_is_no_order_is_retried_and_never_lost() -> None:
    assert run_inline(handle, "no JSON").kind is Kind.RETRY
'''

_README = """\
# {name}

```
worker dev --send '{{"id": 1, "total": 10}}'   # an embedded SQS, this config, one message; Ctrl-C stops
python -m pytest                             # the handler function alone
worker check                                 # the config, offline
worker run                                   # with AWS; the queue must exist
```

`handlers.py` holds the handler function, `worker.toml` the config. `QUEUE_NAME` and `HANDLERS` are read from the
environment.
"""


def files(name: str) -> dict[str, str]:
    """The text of each file of a new application, by file name."""
    table = name.lower().replace(".", "-")
    fields = {"name": name, "table": table, "queue": name.replace(".", "-")}
    return {
        "handlers.py": _HANDLERS,
        "worker.toml": _CONFIG.format(**fields),
        "test_handlers.py": _TEST,
        "README.md": _README.format(**fields),
    }
