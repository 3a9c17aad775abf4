"""Typed messages in a real pool: payloads out of their envelopes, decoded; misfits in the dead-letter queue."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.envelopes.samples import notification
from tests.system.pool import Pool, eventually


def test_orders_out_of_sns_are_decoded_and_misfits_are_dead_letters(pools: Callable[..., Pool]) -> None:
    """Each good one is forwarded as it was decoded; each misfit arrives as it was sent, with its field in the log."""
    pool = pools("tests.system.typed_application:handle", envelope="sns", handlers=1)
    target = pool.sqs.create_queue(QueueName=f"{pool.url.rsplit('/', 1)[1]}-target")["QueueUrl"]
    pool.environment["TARGET"] = target
    misfits = [json.dumps(notification('{"id": "secret"}')), '{"id": 7}', "no JSON"]
    pool.send([*(json.dumps(notification(f'{{"id": {n}}}', Subject=f"s{n}")) for n in range(5)), *misfits])
    pool.start()
    eventually(lambda: pool.depth(target)[0] == 5, seconds=20, why="orders are forwarded")
    eventually(lambda: pool.depth(pool.dead)[0] == 3, seconds=20, why="misfits are rejected at once")
    pool.wait_empty(seconds=10)
    assert pool.stop() == 0

    def bodies(url: str) -> set[str]:
        return {one["Body"] for one in pool.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]}

    assert bodies(target) == {f"{n} s{n}" for n in range(5)}
    assert bodies(pool.dead) == set(misfits)
    log = pool.log.read_text()
    assert "decode: $.id: Expected `int`, got `str`" in log
    assert "secret" not in log
