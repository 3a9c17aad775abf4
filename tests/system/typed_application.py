"""The application of the system test of typed messages: it forwards what it was given, so that a queue shows it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from worker import Forward, Message


@dataclass
class Order:
    id: int


def handle(order: Order, message: Message) -> Forward:
    return Forward(queue=os.environ["TARGET"], body=f"{order.id} {message.envelope.subject}")
