"""Rival process: Celery on SQS: the application that its `celery` command loads."""

from __future__ import annotations

import base64
import json
import os
import uuid
from typing import Any
from urllib.parse import urlsplit

from celery import Celery

from benchmarks.rivals.programs import QUEUE, QUEUE_URL, main
from benchmarks.work import handler

_host = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "http://127.0.0.1:1")).netloc
_tuned = bool(os.environ.get("BENCH_TUNED"))
_work = handler()

app: Any = Celery("bench", broker=f"sqs://worker:worker@{_host}")
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    # Without it Celery acks before the work: a kill would lose the message.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=20 if _tuned else 4,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "region": "us-east-1",
        "is_secure": False,
        "predefined_queues": {QUEUE: {"url": QUEUE_URL, "access_key_id": "worker", "secret_access_key": "worker"}},
        "visibility_timeout": 30,
        "wait_time_seconds": 10,
        **({"polling_interval": 0.01} if _tuned else {}),
    },
)


@app.task(name="work")
def work(text: str) -> None:
    """One message."""
    _work(text, "-")


def wrap(text: str) -> str:
    """A body as Celery's protocol 2 and kombu's virtual transport have it: JSON in base64 in JSON in base64."""
    name = str(uuid.uuid4())
    arguments = json.dumps([[text], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    message = {
        "body": base64.b64encode(arguments.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "work", "id": name, "root_id": name, "parent_id": None, "group": None},
        "properties": {
            "correlation_id": name,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return base64.b64encode(json.dumps(message).encode()).decode()


if __name__ == "__main__":
    main(wrap)
