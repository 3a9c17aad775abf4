"""Command line: makes docs/configuration.md of the schema: `python -m worker.config.reference > docs/configuration.md`.

A test compares the page with what this gives, so it says what the program does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from worker.config.cloudwatch_keys import CLOUDWATCH
from worker.config.queue_keys import BATCH, QUEUE, RECYCLE, RETRY
from worker.config.schema import AnySettings, Key, Type, default
from worker.config.values import number
from worker.config.worker_keys import WORKER
from worker.settings import BatchSettings, CloudWatchSettings, QueueSettings, RecycleSettings, RetrySettings, Settings

_INTRODUCTION = """\
# Configuration

`worker run --config worker.toml` reads one TOML file. `worker check --config worker.toml` says everything that is
wrong with it, offline: each fault with file, line, table and key. An unknown table or key is a fault.

```toml
[worker]
name = "shop"
drain_timeout = 25

[queues.orders]
url = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"   # or name = "orders", or ssm = "/shop/orders-url"
handler = "shop.handlers:place_order"
handlers = 4
```

## Environment variables in values

`"${NAME}"` is replaced by the environment variable, `"${NAME:-default}"` by the default where the variable is unset or
empty. The text becomes the type of its key: `wait = "${POLL_INTERVAL:-10}"` is a number. A variable that is missing and
has no default is a fault. A key whose text comes out empty, as `region = "${REGION:-}"` can, counts as not written. A
default may hold further references. `$${` is a plain `${`.

`worker run --env-file .env` sets variables from a file first, for this config, pollers and handlers alike (`AWS_*`
too). It is read as `docker compose` reads one (python-dotenv), but a `$` is a `$`. A variable that the environment has
already stays: what is set for one start, or by systemd's `EnvironmentFile=`, is the nearer wish. HUP reads the file
again. A file that is wrong changes nothing then, and ends a start with 78, its name and the line. Others may not write
it, and a warning names the variables that sound secret where everybody may read it. Values are never shown.

`--set TABLE.KEY=VALUE`, on `run` and `check`, puts one key in place of the file's.

AWS credentials, profile, region and endpoints are boto3's own: `AWS_PROFILE`, `AWS_DEFAULT_REGION`,
`AWS_ENDPOINT_URL_SQS` and so on work as anywhere else.

`WORKER_CORE_DUMPS=1` lets pollers and handlers leave core dumps. Without it they leave none: a dump holds bodies and
credentials, and a crash is answered only once its dump is written.

## The file's mode

The file names the code that runs, so it must not be writable by its group or by others, nor may any folder above it
(unless sticky, as `/tmp` is): who can rename a folder can put another in its place. The fault names the `chmod` that
mends it. A group that is its owner's own (of the same name and without other members, as many systems have it together
with umask 002) may write file and folders.
"""

_AFTER = """\
## Rules between keys

| rule | reason |
|---|---|
| `wait` + 7 <= `drain_timeout` | a drain lets pending long polls return, then releases what they brought |
| `visibility_timeout` >= 1.5 x (`wait` + 5) | a message must not come back before its first heartbeat |
| `pollers` <= `handlers` | a handler belongs to one poller |
| FIFO queue (the name ends in `.fifo`): `pollers` = 1 | one poller keeps the order of all groups |
| `ready_messages` >= `max_messages` | the ready line takes what one receive brings |
| `retry.first` <= `retry.most` | |
| `threads` or `concurrency`, not both | the first is for plain functions, the second for `async def` |
| `threads` or `concurrency`, times `batch.size`, <= 4,096 | the messages that one handler process can name as running |
| `recycle` needs `spares` >= 1 | a spare that is ready takes the place first |
| `dead_letter` of a FIFO queue is a FIFO queue, of a standard queue a standard one | a limit of SQS |
| URLs are `https`, or of this machine, or `allow_insecure_endpoint = true` | bodies and receipts travel on them |
"""

_MIDDLEWARE = """\
## Middleware

`middleware = ["shop.middleware:traced", "shop.middleware:timed"]` puts functions around a queue's handler function,
outermost first. Each is called with the message and with `call_next`, which goes on inwards:

```python
import logging
import time
from contextvars import ContextVar

log = logging.getLogger("shop")
message_id = ContextVar("message_id", default="")


def traced(message, call_next):  # whatever logs below it can name the message
    before = message_id.set(message.id)
    try:
        return call_next(message)
    finally:
        message_id.reset(before)


def timed(message, call_next):
    began = time.monotonic()
    try:
        return call_next(message)
    finally:
        log.info("message %s took %.3f s", message_id.get(), time.monotonic() - began)
```

- `call_next` returns what the handler function returned, a `Retry`, `Reject` or `Forward` among it, and lets its
  exceptions through. What the outermost middleware returns or raises is the outcome, by the rules of a handler
  function. So middleware returns what it got, or the message is deleted.
- One that does not call `call_next` decides alone: `return None` deletes the message, `raise Reject("why")` rejects it.
- It runs in the handler function's time: `SoftTimeout` may come in it, and `handler_timeout` counts it.
- An `async def` handler function has `async def` middleware, which does `await call_next(message)`; a plain one has
  plain ones. A mix is refused, since a plain function would only ever see a coroutine.
- Around a batch function it gets the list of messages.

They are imported with the handler function: one that is missing or cannot be called so is exit code 78, `worker check`
finds it, and a reload (HUP) takes in new code.
"""

_HOOKS = """\
## Start and end of a process

`on_start = "shop.setup:connect"` and `on_stop = "shop.setup:disconnect"` name functions without arguments, which each
handler process calls, spares included:

```python
import sqlite3

database = None


def connect():
    global database
    database = sqlite3.connect("shop.db")


def disconnect():
    database.close()
```

- **`on_start`** runs on the main thread, after the import and before the process counts as ready, so before its first
  message. With `preload` it runs in each forked handler, never in the template: the place for connections and threads.
  If it raises, the boot has failed, with the reason in the log, as if the import had: exit code 78 at the first start,
  an aborted reload, backoff and another try later. `worker check` does not call it.
- **`on_stop`** runs once after the last message of a process that ends in good order: by a drain, a reload, recycling
  or fewer handlers. All outcomes are told by then, and nobody waits for it but its own process. In a drain it may take
  what is left of `drain_timeout`, else as long as `drain_timeout`, and is killed then. What it raises is logged
  (`on_stop_failed`) and changes nothing.
- A process that dies or is killed runs no `on_stop`: what has to happen for certain is no work for it.
- Where the handler function is an `async def` they may be so too, and run on its event loop: what `on_start` makes
  there, messages can use. A plain handler function has plain ones.
"""

_PRELOADING = """\
## Preloading

`preload = true` gives the queue a template: one more process, which imports the application once and forks every
handler. A handler then starts in milliseconds however long the import takes, and shares the memory of what was imported
as long as it does not touch it. What the import leaves behind is inherited by every handler:

- **Threads.** The template refuses: exit code 78 at the first start, an aborted reload later. The log names the thread;
  start it in `on_start`. Threads of numerical libraries go with `OMP_NUM_THREADS=1`.
  `worker check` finds threads too.
- **Connections and event loops.** Every handler gets the same one, which breaks it: a warning (`preload_shared`) names
  it. Make it in `on_start`.
- **Random numbers.** `random` is seeded anew in every handler. Other generators, such as numpy's, are not.
- **Exit hooks.** They run in every handler that ends, not in the template. One that removes a folder made at import
  takes it from the other handlers.
- **Large data.** CPython counts references in the objects themselves, so that an object which is only read becomes the
  handler's own, with its page of memory. Data that messages read here and there saves about half, code nearly all.

If a template dies, its handlers go on, and another one imports the application again. A reload (HUP) makes a new one.
"""

_METRICS = """\
## Metrics of deletes

```toml
[queues.messages]
name = "messages.fifo"
handler = "shop.handlers:save"

[queues.messages.cloudwatch]
namespace = "MessageStore"
log_deletes_as = "sqs_delete_message"
```

Each poller sums its counts up and puts them with one `PutMetricData` a period, from a thread of its own: CloudWatch can
be slow, refuse or be away without a message noticing. What it did not take is kept for up to an hour, and a warning
`metrics_not_put` comes at once and then every ten minutes. At the end of a drain the last counts are put, within two
seconds and the drain's own budget. A poller that is killed loses the counts of its period; a put whose answer is lost
is made again, and may count twice. The credentials are the pool's (a queue's `role_arn` is for the queue) and need
`cloudwatch:PutMetricData`; the endpoint is boto3's (`AWS_ENDPOINT_URL_CLOUDWATCH`). The dimension `QueueName` is the
queue's name in SQS, or the table's where an SSM parameter did not tell it.

With `log_deletes_as` standard error also gets, for each message, a line with exactly these keys. `status` is `success`
or `error`, `trace_id` the root of the message's `AWSTraceHeader`, or else its id. `log_level` applies.

```
{"trace_id":"1-5759e988-bd862e3fe1be46a994272793","action":"sqs_delete_message","status":"success",
 "details":{"queue_name":"messages.fifo","message_id":"8d4f..."},"timestamp":"2025-01-01T00:00:00.000Z"}
```
"""

_SECTIONS = (
    ("[worker]", "The whole pool. The table may be left out.", WORKER, Settings),
    (
        "[queues.NAME]",
        "One table for each queue; NAME is yours (lower-case letters, digits, `-`, `_`). Exactly one of `url`, `name` "
        "and `ssm` says which queue it is.",
        QUEUE,
        QueueSettings,
    ),
    (
        "[queues.NAME.retry]",
        "How long a message is hidden after a retry: a random time below min(`most`, `first` x 2^(attempt - 1)). May "
        "also be written inline: `retry = { first = 2, most = 900 }`.",
        RETRY,
        RetrySettings,
    ),
    (
        "[queues.NAME.batch]",
        "For handler functions that take a `list[Message]`. May also be written inline: `batch = { size = 10 }`.",
        BATCH,
        BatchSettings,
    ),
    (
        "[queues.NAME.recycle]",
        "When a handler process is replaced: between two messages, by a spare that is ready, one at a time. Limits of "
        "messages and age are up to 10 % lower for each process, so that not all go together.",
        RECYCLE,
        RecycleSettings,
    ),
    (
        "[queues.NAME.cloudwatch]",
        "What the pollers of a queue tell CloudWatch of their deletes, since handlers do not see those. Without the "
        "table they tell it nothing.",
        CLOUDWATCH,
        CloudWatchSettings,
    ),
)


def page() -> str:
    """The whole page, in Markdown."""
    parts = [_INTRODUCTION]
    for title, text, keys, settings in _SECTIONS:
        parts.append(f"## `{title}`\n\n{text}\n\n{_table(keys, settings)}")
    return "\n".join([*parts, _AFTER, _MIDDLEWARE, _HOOKS, _PRELOADING, _METRICS])


def summary() -> str:
    """The keys in plain text, for `worker check --help`."""
    lines = []
    for title, _, keys, _ in _SECTIONS:
        lines += [title, *(f"  {key.example}" for key in keys)]
    return "\n".join(lines)


def _table(keys: Sequence[Key], settings: AnySettings) -> str:
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key in keys:
        shown = key.default or _default(key, settings)
        rows.append(f"| `{key.name}` | {_value(key)} | {shown} | {key.meaning} Example: `{key.example}` |")
    return "\n".join(rows) + "\n"


def _value(key: Key) -> str:
    if key.choices:
        return ", ".join(key.choices)
    if key.least is not None and key.most is not None:
        return f"{key.type.value}, {number(key.least)} to {number(key.most)}"
    if key.least is not None:
        return f"{key.type.value}, {number(key.least)} or more"
    if key.above is not None:
        return f"{key.type.value}, above {number(key.above)}" + (f", up to {number(key.most)}" if key.most else "")
    return key.type.value


def _default(key: Key, settings: AnySettings) -> str:
    value = default(key, settings)
    if value is None:
        raise ValueError(f"key {key.name} says no default, and the settings have none")
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if key.type is not Type.TEXT else f'`"{value}"`'


if __name__ == "__main__":
    sys.stdout.write(page())
