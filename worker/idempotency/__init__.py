"""Handler process: handler functions whose effects happen once for each key, though SQS delivers at least once.

```python
from worker.idempotency import DynamoDBStore, idempotent

store = DynamoDBStore("orders-done")


@idempotent(store, key="order.id")
def place_order(message: Message) -> None: ...
```
What it promises and what not, and how an effect shares a transaction with its mark: docs/idempotency.md.
"""

from worker.aws.idempotency import DynamoDBStore
from worker.idempotency.claim import Claim, NotCommitted
from worker.idempotency.decorator import idempotent
from worker.idempotency.keys import KeyMissing
from worker.idempotency.memory import MemoryStore
from worker.idempotency.results import ResultNotStorable
from worker.idempotency.store import Store, TransactionalStore
from worker.policy.idempotency import Busy, Done, KeyLost, Standing, StoreFailed, Taken, TransactionRefused

__all__ = [
    "Busy",
    "Claim",
    "Done",
    "DynamoDBStore",
    "KeyLost",
    "KeyMissing",
    "MemoryStore",
    "NotCommitted",
    "ResultNotStorable",
    "Standing",
    "Store",
    "StoreFailed",
    "Taken",
    "TransactionRefused",
    "TransactionalStore",
    "idempotent",
]
