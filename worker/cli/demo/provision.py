"""Command line: makes the queues of a demonstration and sends the messages that it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from worker.aws.provision import NotProvisioned, Provisioner, QueuePlan, Sending
from worker.cli import exits
from worker.cli.demo.views import View
from worker.cli.embedded import REGION
from worker.testing.demonstration import Demonstration


def make_queues(plan: Demonstration, endpoint: str) -> dict[str, str]:
    """Make them and their dead-letter queues; URLs by name. Raises Quit if one cannot be made."""
    plans = [
        QueuePlan(name=queue.name, dead_letter=queue.dead_letter, receives=queue.receives) for queue in plan.queues
    ]
    with _provisioner(endpoint) as provisioner:
        return provisioner.make(plans)


def send_messages(plan: Demonstration, count: int, *, endpoint: str, urls: Mapping[str, str], view: View) -> int:
    """Send what the demonstration gives for this number; how many messages that was. Raises Quit if one is refused."""
    bodies: dict[str, list[Sending]] = {}
    for queue, body in plan.messages(count) if plan.messages is not None else ():
        group = f"group-{len(bodies.get(queue, ())) % 50}" if queue.endswith(".fifo") else ""
        bodies.setdefault(queue, []).append(Sending(body=body, group_id=group))
    with _provisioner(endpoint) as provisioner:
        for queue, sendings in bodies.items():
            view.say(f"sending {len(sendings):,} messages to {queue}")
            for _ in provisioner.send(urls[queue], sendings):
                pass
    return sum(map(len, bodies.values()))


@contextmanager
def _provisioner(endpoint: str) -> Iterator[Provisioner]:
    provisioner = Provisioner(endpoint, region=REGION)
    try:
        yield provisioner
    except NotProvisioned as error:
        raise exits.Quit(exits.UNAVAILABLE, str(error)) from None
    finally:
        provisioner.close()
