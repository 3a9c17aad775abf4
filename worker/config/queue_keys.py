"""Command line: the keys of `[queues.NAME]` and of the tables in it."""

from __future__ import annotations

from worker.config import shapes
from worker.config.schema import Key, Type
from worker.message import LONGEST_LEASE
from worker.settings import MOST_RUNNING

#: SQS hides a message for 12 hours at most.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
LONGEST_VISIBILITY = 43_200
#: Handler functions must end before their lease can end for good.
LONGEST_HANDLER = LONGEST_LEASE
#: The largest message of SQS, which the ready line must be able to hold.
LARGEST_MESSAGE = 1024 * 1024
#: Beyond so many the interpreter's lock is what threads wait for.
MOST_THREADS = 256
#: Seconds that a message may wait in a handler for others; after 15 s unstarted it counts as hung.
LONGEST_BATCH_WAIT = 10

QUEUE = (
    Key(
        name="url",
        type=Type.TEXT,
        shape=shapes.queue_url_or_parameter,
        example='url = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"',
        default="exactly one of `url`, `name` and `ssm` is required",
        meaning="The queue's URL. `ssm:` and a name is what `ssm` says, for a URL that may be given directly as well: "
        "`${ORDERS_URL:-ssm:/shop/orders-url}`.",
    ),
    Key(
        name="name",
        type=Type.TEXT,
        shape=shapes.queue_name,
        field="queue_name",
        example='name = "orders"',
        default="see `url`",
        meaning="The queue's name; its URL is asked from SQS at start.",
    ),
    Key(
        name="ssm",
        type=Type.TEXT,
        shape=shapes.ssm_parameter,
        example='ssm = "/shop/orders-url"',
        default="see `url`",
        meaning="The SSM parameter that holds the queue's URL; it is read at start.",
    ),
    Key(
        name="when",
        type=Type.TEXT,
        example='when = "${ORDERS_TABLE:-}"',
        default="always",
        meaning="Leaves the whole table out, and judges nothing in it, if this text is empty, `off`, `no`, `false` or "
        "`0`. One file can so serve hosts that run only some of its queues; the first log line names what is left out.",
    ),
    Key(
        name="handler",
        type=Type.TEXT,
        shape=shapes.handler,
        example='handler = "shop.handlers:place_order"',
        default="required",
        meaning="The handler function: `package.module:function`, "
        "found from the file's folder and the working directory.",
    ),
    Key(
        name="middleware",
        type=Type.TEXTS,
        shape=shapes.handler,
        example='middleware = ["shop.middleware:timed"]',
        default="none",
        meaning="Functions around the handler function, outermost first; an `async def` has `async def` ones. "
        "See [Middleware](#middleware).",
    ),
    Key(
        name="envelope",
        type=Type.TEXT,
        choices=("sns", "eventbridge", "cloudevents"),
        example='envelope = "sns"',
        default="none: the body is the payload",
        meaning="What another service puts around the payload. The handler function gets the payload alone; what was "
        "around it is `message.envelope`. A body without it is rejected. See [handlers.md](handlers.md#envelopes).",
    ),
    Key(
        name="on_start",
        type=Type.TEXT,
        shape=shapes.handler,
        example='on_start = "shop.setup:connect"',
        default="none",
        meaning="A function without arguments that each handler process calls before its first message. "
        "See [Start and end of a process](#start-and-end-of-a-process).",
    ),
    Key(
        name="on_stop",
        type=Type.TEXT,
        shape=shapes.handler,
        example='on_stop = "shop.setup:disconnect"',
        default="none",
        meaning="The same after its last message, when the process ends in good order.",
    ),
    Key(
        name="handlers",
        type=Type.NUMBER,
        example="handlers = 4",
        least=1,
        most=1000,
        default="the number of CPU cores",
        meaning="Handler processes.",
    ),
    Key(
        name="threads",
        type=Type.NUMBER,
        example="threads = 8",
        least=1,
        most=MOST_THREADS,
        meaning="Messages that one handler process runs at once, each in a thread, for plain handler functions that "
        "wait for others. With 1 they run on the main thread, without a hand-off.",
    ),
    Key(
        name="concurrency",
        type=Type.NUMBER,
        example="concurrency = 100",
        least=1,
        most=MOST_RUNNING,
        default="required for an `async def`",
        meaning="Messages that one handler process runs at once on its event loop, for `async def` handler functions.",
    ),
    Key(
        name="pollers",
        type=Type.NUMBER,
        example="pollers = 1",
        least=1,
        most=100,
        meaning="Poller processes; at most as many as `handlers`. A FIFO queue has one.",
    ),
    Key(
        name="spares",
        type=Type.NUMBER,
        example="spares = 1",
        least=0,
        most=100,
        meaning="Handler processes that are booted and idle, and take the place of one that dies at once.",
    ),
    Key(
        name="preload",
        type=Type.SWITCH,
        example="preload = true",
        meaning="Import the application once, in a template process that forks the handlers: they start at once and "
        "share its memory. Linux only; elsewhere a warning says so and handlers start as without it. The application "
        "must start no thread when it is imported. See [Preloading](#preloading).",
    ),
    Key(
        name="wait",
        type=Type.WHOLE_SECONDS,
        example="wait = 10",
        least=0,
        most=20,
        meaning="How long a receive waits for messages (long poll). 0 is a short poll.",
    ),
    Key(
        name="poll_interval",
        type=Type.SECONDS,
        example="poll_interval = 30",
        least=0,
        most=LONGEST_VISIBILITY,
        default="as `wait` says",
        meaning="Another way to give `wait`: the seconds of one round over an empty queue. Up to 20 of them are waited "
        "in the long poll, the rest is a pause.",
    ),
    Key(
        name="max_messages",
        type=Type.NUMBER,
        example="max_messages = 10",
        least=1,
        most=10,
        meaning="Messages that one receive may bring.",
    ),
    Key(
        name="visibility_timeout",
        type=Type.WHOLE_SECONDS,
        example="visibility_timeout = 60",
        least=1,
        most=LONGEST_VISIBILITY,
        meaning="How long a received message stays hidden without a heartbeat. At least 1.5 x (`wait` + 5 s). "
        "Heartbeats extend it for as long as the handler function may run.",
    ),
    Key(
        name="handler_timeout",
        type=Type.SECONDS,
        example="handler_timeout = 300",
        above=0,
        most=LONGEST_HANDLER,
        meaning="How long a handler function may take; then it is interrupted, and its process killed if that does "
        "not help. `message.extend()` moves it for one message.",
    ),
    Key(
        name="dead_letter",
        type=Type.TEXT,
        shape=shapes.queue_address,
        example='dead_letter = "orders-dlq"',
        default="as the queue's redrive policy says",
        meaning="URL, ARN or name of the queue that rejected messages are sent to.",
    ),
    Key(
        name="role_arn",
        type=Type.TEXT,
        shape=shapes.role_arn,
        example='role_arn = "arn:aws:iam::123456789012:role/orders"',
        default="no role is assumed",
        meaning="The IAM role that is assumed for this queue, for instance one of another account.",
    ),
    Key(
        name="client",
        type=Type.TEXT,
        choices=("auto", "lean", "boto3"),
        example='client = "boto3"',
        meaning="What speaks with SQS: `lean` is our own client, `boto3` costs ten times the CPU per message. `auto` "
        "takes boto3 only where that is needed, for instance behind a proxy. A log line says which and why.",
    ),
    Key(
        name="polls",
        type=Type.NUMBER,
        example="polls = 32",
        least=1,
        most=64,
        meaning="Long polls that a poller has open at a time, at most; an idle one has one, a busy one what it needs, "
        "16 at most with boto3, 32 for a FIFO queue.",
    ),
    Key(
        name="ready_messages",
        type=Type.NUMBER,
        example="ready_messages = 1000",
        least=1,
        most=100_000,
        meaning="Messages that a poller holds ready for its handlers, at most. At least `max_messages`.",
    ),
    Key(
        name="ready_bytes",
        type=Type.NUMBER,
        example="ready_bytes = 33554432",
        least=LARGEST_MESSAGE,
        meaning="The same in bytes of bodies.",
    ),
)

BATCH = (
    Key(
        name="size",
        type=Type.NUMBER,
        example="size = 10",
        least=1,
        most=1000,
        meaning="Messages in one call, at most. 1: the handler function takes one message, and no list.",
    ),
    Key(
        name="wait",
        type=Type.SECONDS,
        example="wait = 0.5",
        least=0,
        most=LONGEST_BATCH_WAIT,
        meaning="How long the first message waits in the handler for the others.",
    ),
)
RECYCLE = (
    Key(
        name="max_messages",
        type=Type.NUMBER,
        example="max_messages = 10000",
        least=0,
        most=1_000_000_000,
        meaning="Messages that a handler process runs before it is replaced. 0: no limit.",
    ),
    Key(
        name="max_age",
        type=Type.SECONDS,
        example="max_age = 3600",
        least=0,
        most=365 * 86_400,
        meaning="How long a handler process serves before it is replaced. 0: no limit.",
    ),
    Key(
        name="max_rss",
        type=Type.NUMBER,
        example="max_rss = 500000000",
        least=0,
        most=2**50,
        meaning="Memory of a handler process (resident bytes) above which it is replaced, if three looks in a row find "
        "it. 0: no limit.",
    ),
)
RETRY = (
    Key(
        name="first",
        type=Type.SECONDS,
        example="first = 2",
        above=0,
        most=LONGEST_VISIBILITY,
        meaning="The longest time a message is hidden after its first retry; it doubles with every further one.",
    ),
    Key(
        name="most",
        type=Type.SECONDS,
        example="most = 900",
        above=0,
        most=LONGEST_VISIBILITY,
        meaning="The longest time a message is hidden after any retry.",
    ),
    Key(
        name="attempts",
        type=Type.NUMBER,
        example="attempts = 3",
        least=0,
        most=1000,
        meaning="FIFO queues: attempts before a message is rejected. 0: the `maxReceiveCount` of the queue's redrive "
        "policy, or 5 without one. Standard queues leave the count to SQS.",
    ),
)
