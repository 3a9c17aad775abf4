"""The benchmarks run from end to end. Their figures are not judged here: a test on a shared machine must not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main


@pytest.mark.timeout(120)
def test_the_suite_runs_and_shows_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON with a header, a table, charts and a page; a full queue, a latency, and a pool that stops."""
    page = tmp_path / "page.md"
    page.write_text("<!-- bench: throughput -->\n<!-- end -->\n<!-- bench: targets -->\n<!-- end -->\n")
    out = tmp_path / "out.json"
    words = ["throughput", "endings", "--quick", "--json", str(out), "--charts", str(tmp_path / "charts")]
    assert main([*words, "--markdown", str(page)]) == 0
    result = json.loads(out.read_text())
    assert {"commit", "machine", "cores", "endpoint", "versions", "command"} <= result["headers"][0].keys()
    near, far, endings = result["rows"]
    assert (near["latency"], far["latency"]) == (0.0, 0.01)
    for row in (near, far):
        (calls,) = row["figures"]["calls"][0]
        assert 0.2 <= calls < 1.0  # ten messages a receive and ten a delete; never one by one
    assert endings["figures"]["done_and_left"] == [[0.0]]
    assert "throughput:" in capsys.readouterr().out
    assert "CPU µs / message" in page.read_text()
    assert (tmp_path / "charts" / "throughput.svg").exists()
