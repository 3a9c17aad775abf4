"""Rival process: a boto3 loop as many write it: receive ten, handle them, delete them: together or one by one."""

from __future__ import annotations

import sys
from typing import Any

import boto3

from benchmarks.rivals.programs import QUEUE_URL
from benchmarks.work import handler


def run(*, batch: bool) -> None:
    """For ever."""
    work, sqs = handler(), boto3.client("sqs")
    while True:
        answer = sqs.receive_message(QueueUrl=QUEUE_URL, MaxNumberOfMessages=10, WaitTimeSeconds=10)
        messages = answer.get("Messages", [])
        for message in messages:
            work(message["Body"], message["MessageId"])
            if not batch:
                sqs.delete_message(QueueUrl=QUEUE_URL, ReceiptHandle=message["ReceiptHandle"])
        if batch and messages:
            entries: list[Any] = [
                {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]} for place, message in enumerate(messages)
            ]
            sqs.delete_message_batch(QueueUrl=QUEUE_URL, Entries=entries)


if __name__ == "__main__":
    run(batch=sys.argv[1] == "naive-batch")
