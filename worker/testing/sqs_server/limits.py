"""SQS server process: the limits of Amazon SQS, each with the page of the API reference that states it."""

from typing import Final

ACCOUNT: Final = "000000000000"

#: Entries of SendMessageBatch, DeleteMessageBatch, ChangeMessageVisibilityBatch; messages of one ReceiveMessage.
BATCH_ENTRIES: Final = 10
#: Bytes of one message and of all messages of one SendMessageBatch together (SendMessage; 256 KiB until August 2025).
MESSAGE_BYTES: Final = 1_048_576
#: Message attributes of one message (developer guide, message metadata).
MESSAGE_ATTRIBUTES: Final = 10
#: Bytes of a message attribute's name and of its data type.
ATTRIBUTE_NAME_BYTES: Final = 256
#: Seconds from a receive until the message is visible again, however often it was extended (ChangeMessageVisibility).
VISIBILITY_SECONDS: Final = 43_200
#: Seconds of DelaySeconds (SendMessage).
DELAY_SECONDS: Final = 900
#: Seconds of WaitTimeSeconds (ReceiveMessage).
WAIT_SECONDS: Final = 20
#: Messages of one queue in flight, standard and FIFO alike (ChangeMessageVisibility).
IN_FLIGHT: Final = 120_000
#: Seconds in which a FIFO queue knows a deduplication id, and a receive attempt id (SendMessage, ReceiveMessage).
DEDUPLICATION_SECONDS: Final = 300.0
#: Seconds between two purges of a queue (PurgeQueueInProgress).
PURGE_SECONDS: Final = 60.0
#: Seconds until the name of a deleted queue may be used again (QueueDeletedRecently).
RECREATE_SECONDS: Final = 60.0
#: Seconds until a changed DeduplicationScope governs sends (SetQueueAttributes: "up to 60 seconds"; recorded on AWS).
PROPAGATION_SECONDS: Final = 60.0
#: Queue URLs of one page (ListQueues, ListDeadLetterSourceQueues).
PAGE: Final = 1_000
#: Tags of one queue; characters of a tag's key and value (developer guide, queue quotas).
TAGS: Final = 50
TAG_KEY: Final = 128
TAG_VALUE: Final = 256
#: Statements of a queue policy, and actions of one statement (AddPermission).
POLICY_STATEMENTS: Final = 20
STATEMENT_ACTIONS: Final = 7
#: Messages a second of a move task that names no rate, and the highest rate it may name (StartMessageMoveTask).
MOVE_RATE: Final = 500
#: Seconds after which a move task ends by itself (StartMessageMoveTask: 36 hours), and active ones per account.
MOVE_SECONDS: Final = 129_600.0
MOVE_TASKS: Final = 100
#: Move tasks that ListMessageMoveTasks shows for one source queue.
MOVE_TASKS_LISTED: Final = 10
