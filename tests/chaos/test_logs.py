"""What was written is read; what a killed process wrote half of is not."""

from __future__ import annotations

from pathlib import Path

from chaos import logs
from chaos.logs import Fault, Poll, Sent, Step


def test_every_log_comes_back(tmp_path: Path) -> None:
    """Faults and polls in their order in time."""
    path = tmp_path / "log"
    sent = Sent(7, "g1", 3, "unknown", "-", 12)
    path.write_text(logs.sent_line(sent))
    assert list(logs.read_sent(path)) == [sent]
    faults = [Fault("kill", "tree", 5, 20, 21, (6, 7), "all"), Fault("stop", "poller", 6, 10, 30)]
    path.write_bytes(b"".join(map(logs.fault_line, faults)))
    assert logs.read_faults(path) == faults[::-1]
    path.write_text("2 30 40\n1 10 20\n")
    assert logs.read_polls(path) == [Poll(10, 20), Poll(30, 40)]


def test_half_a_line_is_none(tmp_path: Path) -> None:
    """An absent log is an empty one."""
    path = tmp_path / "log"
    assert list(logs.read_steps(path)) == []
    path.write_text("start 1 m1 1 99 5\nend 1 m1 1 99 6\nstart 2 m2")
    assert list(logs.read_steps(path)) == [Step("start", 1, "m1", 1, 99, 5), Step("end", 1, "m1", 1, 99, 6)]
    path.write_bytes(b'{"event":"send"}\n{"event":"se')
    assert [event["event"] for event in logs.read_broker(path)] == ["send"]
