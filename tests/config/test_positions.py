"""Line numbers of keys."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.config.positions import Positions

TEXT = '''# [worker] in a comment
title = """
[not.a.table]
key = 1
"""
[worker]   # a comment
name = 'a#b' # name = 2
list = [
  "]", # ]
  """
x = 1""",
]
"quoted key" = 1

[queues."orders"]
  wait = 1
retry.first = 2
inline = { a = 1, b = [
  2] }
last = """a "quoted" ""\\""" end"""
[[array.of]]
x = 1
'''


def test_every_key_stands_where_it_is_written() -> None:
    """Strings, arrays and comments that look like tables or keys do not mislead."""
    tomllib.loads(TEXT)
    positions = Positions(TEXT)
    expected = {
        ("title",): 2,
        ("worker",): 6,
        ("worker", "name"): 7,
        ("worker", "list"): 8,
        ("worker", "quoted key"): 13,
        ("queues", "orders"): 15,
        ("queues", "orders", "wait"): 16,
        ("queues", "orders", "retry", "first"): 17,
        ("queues", "orders", "retry"): 17,
        ("queues", "orders", "inline", "a"): 18,
        ("queues", "orders", "last"): 20,
        ("array", "of", "x"): 22,
    }
    assert {path: positions.line(path) for path in expected} == expected


def test_what_is_not_written_is_found_at_its_table_or_nowhere() -> None:
    """A missing key is told at the line of its table."""
    positions = Positions(TEXT)
    assert positions.line(("queues", "orders", "url")) == 15
    assert positions.line(("nothing",)) == 0
    assert positions.has(("worker", "name"))
    assert not positions.has(("worker", "nome"))


VALUES = st.sampled_from(
    ["1", "'x'", '"a = 1"', '"""\na = 1\n"""', "'''\n[t]\n'''", "[\n 1, # ]\n 2]", "{ a = 1 }", "true # c"]
)


@given(st.lists(st.tuples(st.booleans(), VALUES), max_size=12))
def test_lines_agree_with_a_file_that_is_built_line_by_line(entries: list[tuple[bool, str]]) -> None:
    """Whatever values stand before a key, its line is the one it was written on."""
    lines: list[str] = []
    expected: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, (is_table, value) in enumerate(entries):
        if is_table:
            table = (f"t{number}",)
            expected[table] = len(lines) + 1
            lines.append(f"[t{number}]")
        expected[(*table, f"k{number}")] = len(lines) + 1
        lines += f"k{number} = {value}".split("\n")
    text = "\n".join(lines)
    tomllib.loads(text)
    positions = Positions(text)
    found: dict[tuple[str, ...], Any] = {path: positions.line(path) for path in expected}
    assert found == expected
