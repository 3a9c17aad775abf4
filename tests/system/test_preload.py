"""Handlers that a template forks, in real pools: whose children they are, and what any death costs."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tests.system.conftest import alive
from tests.system.pool import Pool, eventually
from worker import platform

pytestmark = pytest.mark.skipif(not platform.LINUX, reason="handlers are forked on Linux only")

#: An application whose code can be changed: it writes the word it was imported with.
APPLICATION = """
import os
WORD = {word!r}
FILE = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def handle(message):
    os.write(FILE, f"end {{WORD}} {{os.getpid()}}\\n".encode())
"""


def whole(pool: Pool, *, handlers: int = 3) -> dict[str, list[int]]:
    """Wait for a whole tree; the pids by kind."""

    def pids() -> dict[str, list[int]]:
        found = {kind: pool.pids(kind) for kind in ("pollers", "handlers", "templates")}
        states = Counter(one["state"] for one in pool.queue().get("handlers", ()))
        settled = states["ready"] + states["busy"] + states["spare"] == handlers
        return found if settled and found["templates"] and found["pollers"] else {}

    return dict(eventually(pids, seconds=20, why="a whole tree"))


def kill(pid: int) -> None:
    """SIGKILL, unless it is gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def zombies(pool: Pool) -> list[psutil.Process]:
    return [one for one in pool.tree() if one.status() == psutil.STATUS_ZOMBIE]


def test_all_are_the_supervisors_children_and_lead_sessions(pools: Callable[..., Pool]) -> None:
    """One place can kill, reap and judge them; a template has no child of its own."""
    pool = pools("short", preload=True)
    pool.start()
    pids = whole(pool)
    assert pool.process is not None
    for pid in pids["handlers"] + pids["templates"] + pids["pollers"]:
        assert psutil.Process(pid).ppid() == pool.process.pid
        assert os.getsid(pid) == os.getpgid(pid) == pid
    assert len(pool.tree()) == 5
    assert pool.stop() == 0


def test_a_template_killed_under_load_costs_nothing(pools: Callable[..., Pool]) -> None:
    """Handlers go on: every effect happens once, none of them was restarted."""
    pool = pools("short", preload=True)
    pool.send([f"{number} x" for number in range(2000)])
    pool.start()
    handlers = whole(pool)["handlers"]
    for _ in range(4):
        [template] = whole(pool)["templates"]
        kill(template)
        eventually(lambda old=template: pool.pids("templates") not in ([], [old]), seconds=10, why="a new template")
    eventually(lambda: len(pool.effects()) == 2000, seconds=60, why=f"all effects, {len(pool.effects())}")
    pool.wait_empty(seconds=30)
    assert whole(pool)["handlers"] == handlers
    assert set(pool.effects().values()) == {1}
    assert pool.queue()["templates"][0]["restarts"] == 4
    assert pool.stop() == 0


def test_a_storm_of_kills_loses_nothing_and_leaves_no_zombie(pools: Callable[..., Pool]) -> None:
    """Templates, handlers and pollers at random, handlers that are just being forked among them."""
    pool = pools("short", preload=True, visibility_timeout=30, receives=1000)
    pool.send([f"{number} x" for number in range(4000)])
    pool.start()
    assert pool.process is not None
    whole(pool)
    before = psutil.Process(pool.process.pid).num_fds()
    chance, kills = random.Random(7), Counter[str]()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        kind = chance.choices(("handlers", "templates", "pollers"), (7, 2, 1))[0]
        for pid in pool.pids(kind)[: chance.choice((1, 1, 4))]:
            kill(pid)
            kills[kind] += 1
        time.sleep(chance.uniform(0.0, 0.2))  # the storm's own rhythm
    eventually(lambda: len(pool.effects()) == 4000, seconds=60, why=f"all effects, {len(pool.effects())}")
    pool.wait_empty(seconds=60)
    whole(pool)
    assert kills["handlers"] > 20 and kills["templates"] > 5  # noqa: PT018 - it was a storm
    duplicates = sum(count - 1 for count in pool.effects().values())
    assert duplicates <= kills["handlers"], (duplicates, kills)
    assert pool.depth(pool.dead) == (0, 0)
    eventually(lambda: not zombies(pool), seconds=5, why="no zombie")
    eventually(lambda: len(pool.tree()) == 5, seconds=5, why="nobody besides the tree")
    eventually(lambda: psutil.Process(pool.process.pid).num_fds() <= before, seconds=5, why="no descriptor left behind")
    assert pool.stop() == 0
    deaths = [line for line in pool.events() if line["event"] == "child_died"]
    assert len({line["uid"] for line in deaths}) == len(deaths), "a death was told twice"


def test_a_killed_supervisor_takes_template_and_handlers_with_it(pools: Callable[..., Pool]) -> None:
    """In the middle of work, and the next one finishes it."""
    pool = pools("seconds", preload=True, visibility_timeout=30, wait=1)
    pool.send([f"{number} 0.3" for number in range(12)])
    pool.start()
    pids = whole(pool)
    processes = [psutil.Process(pid) for pid in pids["handlers"] + pids["templates"]]
    eventually(lambda: pool.effects("start"), seconds=20, why="under way")
    assert pool.process is not None
    pool.process.kill()
    pool.process.wait()
    eventually(lambda: not any(alive(one) for one in processes), seconds=2, why="template and handlers died with it")
    pool.start()
    eventually(lambda: len(pool.effects()) == 12, seconds=60, why="all effects")
    pool.wait_empty(seconds=30)
    assert pool.stop() == 0


def test_a_death_in_user_code_is_attributed_once_with_its_signal(pools: Callable[..., Pool]) -> None:
    """abort() in a forked handler: three deaths by SIGABRT, with stacks, then quarantine."""
    pool = pools("by_word", preload=True, retry={"first": 0.1, "most": 1})
    pool.send(["0 crash", *[f"{number} ack" for number in range(1, 30)]])
    pool.start()
    eventually(lambda: pool.depth(pool.dead)[0] == 1, seconds=60, why="quarantine")
    pool.wait_empty(seconds=10)
    assert pool.effects("start")["0"] == 3
    answer = pool.sqs.receive_message(QueueUrl=pool.dead, MessageAttributeNames=["All"])["Messages"][0]
    assert '"signal":6' in answer["MessageAttributes"]["worker.crash"]["StringValue"].replace(" ", "")
    assert pool.stop() == 0
    deaths = [line for line in pool.events() if line["event"] == "child_died" and line.get("signal") == signal.SIGABRT]
    assert len(deaths) == 3
    assert all("by_word" in line["stack"] for line in deaths)


def test_the_ladder_against_a_hung_handler_holds_for_a_forked_one(pools: Callable[..., Pool]) -> None:
    """SoftTimeout, a dump of its stacks, SIGKILL; the message is tried again by another."""
    pool = pools("by_word", preload=True, handler_timeout=2, retry={"first": 0.1, "most": 0.2}, handlers=1)
    pool.send(["0 hang"])
    pool.start()
    eventually(lambda: pool.effects("start")["0"] >= 2, seconds=30, why="killed, and tried again")
    death = next(line for line in pool.events() if line["event"] == "child_died")
    assert (death["overdue"], death["signal"]) == (True, signal.SIGKILL)
    assert "in by_word" in death["stack"]
    assert pool.stop() == 0


@pytest.mark.parametrize(
    ("handler", "keys", "late"),
    [
        ("by_word_thread", {"threads": 20}, "spin"),
        ("by_word_async", {"concurrency": 20}, "wait 60"),
        ("by_word_batch", {"batch": {"size": 20, "wait": 0.2}}, "spin"),
    ],
    ids=["threads", "async", "batch"],
)
def test_forked_handlers_run_several_at_once(
    pools: Callable[..., Pool], handler: str, keys: dict[str, Any], late: str
) -> None:
    """Each has threads or an event loop of its own: a crash and a late message among many, recycling and a drain are as
    without a template."""
    retry, recycle = {"first": 0.1, "most": 0.5}, {"max_messages": 60}
    pool = pools(handler, preload=True, handler_timeout=2, retry=retry, recycle=recycle, receives=100, **keys)
    numbers = [str(number) for number in range(300) if number not in (66, 67)]
    pool.send([f"{number} ack" for number in numbers])
    pool.start()
    (template,) = whole(pool)["templates"]
    pool.send(["66 crash", f"67 {late}", *(f"{number} ack" for number in range(300, 320))])
    numbers += [str(number) for number in range(300, 320)]
    eventually(lambda: set(numbers) <= pool.effects().keys(), seconds=60, why=f"the others pass, {pool.effects()}")
    eventually(lambda: pool.depth(pool.dead)[0] == 1, seconds=60, why="quarantine")
    eventually(lambda: pool.queue()["counters"]["retried"] >= 2, seconds=30, why="SoftTimeout reaches the late one")
    assert pool.effects("start")["66"] in (3, 4), "one death in company at most, three alone"
    assert pool.pids("templates") == [template]
    # Those that crashed or hung began to count anew: enough for any of them to reach its number.
    pool.send([f"{number} ack" for number in range(320, 620)])
    eventually(lambda: "handler_recycled" in names(pool), seconds=30, why="recycled")
    assert pool.stop() == 0
    assert "preload_shared" not in names(pool)


def names(pool: Pool) -> list[str]:
    """What the log tells of."""
    return [line["event"] for line in pool.events()]


def test_what_runs_several_at_once_is_imported_before_the_fork(pools: Callable[..., Pool]) -> None:
    """asyncio too: a handler would spend more on it than on all the rest of its start, and share none of it."""
    pool = pools("forked:handle", preload=True, concurrency=10)
    source = """
import os, sys
KNOWN = []
os.register_at_fork(after_in_child=lambda: KNOWN.append("worker.handler.event_loop" in sys.modules))
FILE = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
async def handle(message):
    os.write(FILE, f"end {KNOWN[-1]}\\n".encode())
"""
    (pool.folder / "forked.py").write_text(source)
    pool.send(["1"])
    pool.start()
    eventually(lambda: pool.effects()["True"] == 1, seconds=10, why=f"it was known, {pool.effects()}")
    assert pool.stop() == 0


def test_a_reload_imports_the_code_anew(pools: Callable[..., Pool]) -> None:
    """The old template goes with its set; no handler has the old code afterwards."""
    pool = pools("changing:handle", preload=True)
    code = pool.folder / "changing.py"
    code.write_text(APPLICATION.format(word="old"))
    pool.start()
    [old] = whole(pool)["templates"]
    pool.send(["1"])
    eventually(lambda: pool.effects()["old"] == 1, seconds=10, why="the old code runs")
    code.write_text(APPLICATION.format(word="newer"))
    assert pool.process is not None
    pool.process.send_signal(signal.SIGHUP)
    eventually(lambda: pool.pids("templates") not in ([], [old]), seconds=20, why="a new template")
    # The old set's long polls may bring messages until they have returned.
    eventually(
        lambda: len(pool.pids("pollers")) == len(pool.pids("templates")) == 1, seconds=20, why="the old are gone"
    )
    pool.send([str(number) for number in range(20)])
    eventually(lambda: pool.effects()["newer"] == 20, seconds=10, why=f"the new code runs, {pool.effects()}")
    assert pool.stop() == 0


def test_an_application_with_a_thread_ends_the_start_with_78_and_its_name(pools: Callable[..., Pool]) -> None:
    """The log says which thread, and what to do."""
    pool = pools("threaded:handle", preload=True)
    thread = (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), name='rates', daemon=True).start()"
    )
    (pool.folder / "threaded.py").write_text(thread + "\ndef handle(message): pass\n")
    pool.start(ready=False)
    assert pool.process is not None
    assert pool.process.wait(30) == os.EX_CONFIG
    [line] = [line for line in pool.events() if line["event"] == "config_rejected"]
    assert "starts a thread" in line["reason"]
    assert "'rates'" in line["reason"]
    assert "preload = false" in line["reason"]


def test_templates_show_in_status_and_stacks(pools: Callable[..., Pool]) -> None:
    """What the operator asks for."""
    import json
    import subprocess
    import sys

    pool = pools("short", preload=True)
    pool.start()
    [template] = whole(pool)["templates"]

    def shown(command: str, *more: str) -> str:
        words = [sys.executable, "-m", "worker", command, "--socket", str(pool.socket), *more]
        return subprocess.run(words, capture_output=True, text=True, check=True, env=pool.environment).stdout

    row = next(line for line in shown("status").splitlines() if line.startswith("template work"))
    assert "ready" in row
    assert str(template) in row
    stacks: Any = shown("stacks")
    assert "template" in stacks
    assert "life.py" in stacks
    assert json.loads(shown("status", "--json"))["queues"]["work"]["templates"][0]["resident_bytes"] > 1_000_000
    assert pool.stop() == 0
