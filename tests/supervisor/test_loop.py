"""Test process: the real supervisor with real processes, from its start to its exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.supervisor.real import RealPool, gone, real_pool, said, stand_in
from worker import platform

pytestmark = pytest.mark.system

TERM, INT, HUP, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL


def test_it_starts_everybody_and_term_ends_with_0_and_leaves_nothing(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handlers=3, pollers=2, spares=1)) as pool:
        pool.running()
        pids = pool.pids()
        assert len(pids) == 6
        pool.signal(TERM)
        assert pool.code() == 0
        assert gone(*pids)
        assert not pool.socket.exists()
        assert pool.logged("drain_finished", code=0, unconfirmed=0)


def test_ctrl_c_reaches_the_supervisor_only_and_drains(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handlers=2)) as pool:
        pool.running()
        os.killpg(pool.pid, INT)
        assert pool.code() == 0
        assert len(pool.events("stopped")) == 3


def test_a_killed_handler_is_replaced_by_the_spare_and_its_poller_told(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handlers=1, spares=1)) as pool:
        pool.running()
        first, spare = pool.children("handlers")
        os.kill(first["pid"], KILL)
        pool.until("attached", uid=spare["uid"], number=0)
        died = pool.until("died", handler=first["uid"])
        assert (died["signal"], died["code"], died["caused"], died["overdue"]) == (9, None, False, False)
        assert died["peak"] > 1 << 20
        eventually(lambda: [h["state"] for h in pool.children("handlers")] == ["ready", "spare"])


def test_a_killed_poller_is_replaced_and_its_handlers_attached_to_the_successor(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handlers=2, spares=1)) as pool:
        pool.running()
        handlers = [h["uid"] for h in pool.children("handlers") if h["state"] == "ready"]
        for uid in handlers:
            pool.until("poller_attached", handler=uid)
        os.kill(pool.children("pollers")[0]["pid"], KILL)
        successor = pool.until("poller_started", epoch=2)
        assert sorted(successor["expected"]) == sorted(handlers)
        for uid in handlers:
            pool.until("attached", count=2, uid=uid)
            pool.until("poller_attached", count=2, handler=uid)
        assert pool.ask(verb="status")["queues"]["orders"]["counters"]["received"] == 20


def test_sub_processes_of_a_dead_handler_die_with_it_and_the_escaped_ones_with_the_pool(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handler="child", handlers=1, spares=0)) as pool:
        children = pool.until("children")
        os.kill(pool.events("handler_started")[0]["pid"], KILL)
        eventually(lambda: gone(children["group"]))
        assert not gone(children["own_session"])
        pool.until("children", count=2)
        pool.signal(TERM)
        assert pool.code() == 0
        assert all(gone(each["group"], each["own_session"]) for each in pool.events("children"))


def test_orphans_that_die_are_reaped(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handler="child", handlers=1, spares=0)) as pool:
        children = pool.until("children")
        pool.running()
        os.kill(pool.events("handler_started")[0]["pid"], KILL)
        eventually(lambda: gone(children["group"]))
        os.kill(children["own_session"], KILL)
        eventually(lambda: not Path(f"/proc/{children['own_session']}").exists())


def test_a_hung_handler_gets_an_exception_then_leaves_its_stack_and_is_killed(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handler="hang", handlers=1, spares=1)) as pool:
        pool.until("soft_timeout")
        died = pool.until("died")
        assert (died["signal"], died["overdue"], died["caused"]) == (9, True, False)
        assert "in attach" in died["stack"]
        assert pool.logged("child_died", overdue=True)


def test_a_stopped_handler_is_killed_too(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handler="hang", handlers=1, spares=1)) as pool:
        os.kill(pool.until("attached")["pid"], signal.SIGSTOP)
        died = pool.until("died")
        assert (died["overdue"], died["stack"]) == (True, "")
        assert pool.events("soft_timeout", pid=pool.events("attached")[0]["pid"]) == []


def test_a_poller_without_progress_is_replaced(tmp_path: Path):
    with real_pool(tmp_path, stand_in(poller="still", handlers=1, visibility_timeout=1.5)) as pool:
        pool.until("poller_started", epoch=2)
        assert "no progress" in pool.logged("poller_stuck")[0]["reason"]


def test_a_handler_whose_control_socket_is_closed_by_user_code_is_replaced(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handler="deaf", handlers=1, spares=0)) as pool:
        pool.until("child_lingered")
        pool.until("handler_started", count=2)


def test_a_handler_that_sends_garbage_is_replaced(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handler="garbage", handlers=1, spares=0)) as pool:
        assert "claims" in pool.until("child_broken")["reason"]
        pool.until("handler_started", count=3)


@pytest.mark.parametrize("who", ["handler", "poller"])
def test_a_first_boot_that_fails_ends_with_78_and_the_reason(tmp_path: Path, who: str):
    with real_pool(tmp_path, stand_in(**{who: "fail"}), stand_in("mails")) as pool:
        assert pool.code() == 78
        (rejected,) = pool.logged("config_rejected")
        reason = {"handler": "no module named shop", "poller": "no queue of that name"}[who]
        assert (rejected["queue"], rejected["reason"]) == ("orders", reason)


def test_hup_replaces_every_process_and_the_old_ones_go_only_then(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handlers=2, spares=1)) as pool:
        pool.running()
        old = pool.pids()
        pool.rewrite(handlers=3)
        pool.signal(HUP)
        pool.until("reload_finished")
        pool.until("set_drained", generation=1)
        new = pool.pids()
        assert not set(old) & set(new)
        assert gone(*old)
        handlers = pool.children("handlers")
        assert [h["number"] for h in handlers] == [0, 1, 2, 3]
        order = [line["event"] for line in said(tmp_path / "err")]
        assert order[: order.index("reload_finished")].count("child_ready") >= 4 + 4
        assert "child_died" not in order[: order.index("reload_finished")]


def test_hup_with_code_that_does_not_boot_leaves_the_old_processes(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handlers=1)) as pool:
        pool.running()
        old = pool.pids()
        pool.rewrite(handler="fail")
        pool.signal(HUP)
        assert "no module named shop" in pool.until("reload_aborted")["reason"]
        pool.until("set_drained", generation=2)
        assert pool.pids() == old
        (tmp_path / "settings.json").write_text("{")
        answer = pool.ask(verb="reload")
        assert answer["ok"] is False
        assert pool.pids() == old


def test_scale_up_and_down(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handlers=1, spares=1)) as pool:
        pool.running()
        assert pool.ask(verb="scale", queue="orders", handlers=3)["ok"]
        eventually(lambda: [h["state"] for h in pool.children("handlers")] == ["ready"] * 3 + ["spare"])
        pool.signal(signal.SIGTTOU)
        pool.until("detach")
        pool.until("stopped")
        eventually(lambda: [h["state"] for h in pool.children("handlers")] == ["ready"] * 2 + ["spare"])
        assert pool.until("died")["caused"] is True


def test_stacks_of_everybody_on_the_control_socket_and_in_the_log(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handlers=1, spares=0)) as pool:
        pool.running()
        stacks = pool.ask(verb="stacks")["stacks"]
        assert [s["child"] for s in stacks] == ["poller", "handler"]
        assert all("stand_in.py" in s["text"] for s in stacks)
        pool.signal(signal.SIGUSR1)
        assert "stand_in.py" in pool.until("stack_dumped", count=2)["text"]


def test_a_second_supervisor_is_refused_with_the_pid_of_the_first(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handlers=1)) as pool:
        pool.running()
        second = RealPool(tmp_path, stand_in(handlers=1))
        second.folder = pool.folder
        assert second.start().wait(10) == 78
        assert f"belongs to the supervisor with pid {pool.pid}" in pool.logged("config_rejected")[0]["reason"]
        assert pool.ask(verb="status")["pid"] == pool.pid


def test_the_socket_of_a_killed_supervisor_is_taken_over_and_its_children_are_gone(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handlers=1)) as pool:
        pool.running()
        pids = pool.pids()
        pool.signal(KILL)
        pool.code()
        eventually(lambda: gone(*pids))
        assert pool.socket.exists()
    with real_pool(tmp_path, stand_in(handlers=1)) as pool:
        pool.until("queue_ready", count=2)
        assert pool.ask(verb="status")["pid"] == pool.pid


def test_two_hundred_deaths_leave_no_descriptor_open(tmp_path: Path):
    def descriptors(pid: int) -> int:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))

    with real_pool(tmp_path, stand_in(handlers=3, spares=2), log_level="info") as pool:
        pool.running()
        eventually(lambda: [h["state"] for h in pool.children("handlers")] == ["ready"] * 3 + ["spare"] * 2)
        quiet = descriptors(pool.pid)
        killed = 0
        while killed < 200:
            handlers = [h for h in pool.children("handlers") if h["state"] != "starting"]
            victims = [*handlers[:2], *(pool.children("pollers") if killed % 5 == 0 else [])]
            for victim in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim["pid"], KILL)
                    killed += 1
            eventually(lambda: len([h for h in pool.children("handlers") if h["state"] != "starting"]) >= 3)
        eventually(lambda: [h["state"] for h in pool.children("handlers")] == ["ready"] * 3 + ["spare"] * 2)
        # Not more. At first it may have been more by the copies of streams that both sides had still to confirm.
        eventually(lambda: descriptors(pool.pid) <= quiet)
        pool.signal(TERM)
        assert pool.code() == 0


def test_a_double_term_of_timeout_1_does_not_hurry(tmp_path: Path):
    with real_pool(tmp_path, stand_in(handlers=1), wrapper=("timeout", "2")) as pool:
        pool.running()
        assert pool.code() == 124
        assert pool.logged("drain_hurried") == []


def test_idle_it_wakes_for_the_slow_tick_only(tmp_path: Path):
    def switches(pid: int) -> int:
        status = Path(f"/proc/{pid}/status").read_text().split()
        return int(status[status.index("voluntary_ctxt_switches:") + 1])

    with real_pool(tmp_path, stand_in(handlers=2, visibility_timeout=60.0)) as pool:
        pool.running()
        before = switches(pool.pid)
        subprocess.run(["/bin/sleep", "6"], check=True)
        assert switches(pool.pid) - before <= 4


if platform.LINUX:
    #: Without privileges a user namespace gives those that a PID namespace needs.
    _NAMESPACE = (
        "unshare",
        *(("--user", "--map-root-user") if os.geteuid() else ()),
        "--pid",
        "--fork",
        "--mount-proc",
    )

    def test_as_pid_1_it_obeys_term_and_reaps(tmp_path: Path):
        def children(pid: int) -> list[int]:
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

        with real_pool(
            tmp_path, stand_in(handler="child", handlers=1, spares=0), wrapper=(*_NAMESPACE, "--kill-child")
        ) as pool:
            pool.running()
            pool.until("children")
            assert pool.ask(verb="status")["pid"] == 1
            (supervisor,) = children(pool.pid)
            os.kill(children(supervisor)[1], KILL)
            pool.until("children", count=2)
            # The one that had escaped into a session of its own is ours now, and is reaped when it dies.
            (orphan,) = [pid for pid in children(supervisor) if Path(f"/proc/{pid}/comm").read_text() == "sleep\n"]
            os.kill(orphan, KILL)
            eventually(lambda: orphan not in children(supervisor))
            os.kill(supervisor, TERM)
            assert pool.code() == 0
