"""Test process: handlers that have served long enough make place; see worker/supervisor/recycling.py."""

from __future__ import annotations

from tests.supervisor.histories import History, queue
from worker.protocol import ControlFrame
from worker.settings import RecycleSettings


def test_the_next_one_goes_when_the_last_one_has_ended():
    """A hook at the end may take as long as a drain: one that hangs must not leave a process behind every second."""
    recycle = RecycleSettings(max_messages=10)
    history = History(queue(handlers=2, spares=1, recycle=recycle, on_stop="shop:close"), drain_timeout=60.0)
    history.all_ready()
    for handler in history.handlers("serving"):
        history.row(handler).done = 10
    history.after(1.1)
    (gone,) = history.handlers("leaving")
    history.says(history.poller(), ControlFrame.DETACHED, {"handler": gone.uid})
    assert history.handlers("stopping") == [gone]
    history.ready(*history.handlers("starting"))
    for _ in range(30):
        history.after(1.0)
    assert len(history.log.named("handler_recycled")) == 1
    history.die(gone)
    history.after(1.1)
    assert len(history.log.named("handler_recycled")) == 2
