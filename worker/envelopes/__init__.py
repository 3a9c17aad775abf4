"""Handler process: what other services put around a payload on its way into a queue, as frozen dataclasses.

Each function takes the message (or a body, or decoded JSON) and gives what it found. A body that is no such envelope
raises Reject("decode: {path}: {why}"), which names fields and never their values: unhandled, the message goes to the
dead-letter queue.

| function | gives | envelope |
|---|---|---|
| `sns` | `SNSNotification` | SNS, without raw message delivery |
| `s3_records` | a list of `S3Record` | an S3 event, also inside an SNS notification |
| `eventbridge` | `EventBridgeEvent` | EventBridge |
| `cloudevent` | `CloudEvent` | CloudEvents 1.0: structured JSON, or attributes beside a plain body |

`SNSVerifier` gives an `SNSNotification` only if its signature is good.
"""

from worker.envelopes.cloudevents import CloudEvent, cloudevent
from worker.envelopes.eventbridge import EventBridgeEvent, eventbridge
from worker.envelopes.s3 import S3Record, s3_records
from worker.envelopes.signature import SNSVerifier
from worker.envelopes.sns import SNSNotification, sns

__all__ = [
    "CloudEvent",
    "EventBridgeEvent",
    "S3Record",
    "SNSNotification",
    "SNSVerifier",
    "cloudevent",
    "eventbridge",
    "s3_records",
    "sns",
]
