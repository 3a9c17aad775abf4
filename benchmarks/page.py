"""Pure rules: puts results into a Markdown page, between markers that the page has.

    <!-- bench: throughput -->   ...   <!-- end -->

`header`, `targets` and `contenders` are markers too. A marker without rows keeps what stands there, so that one
benchmark can be refreshed alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from benchmarks.report import markdown, tables
from benchmarks.rows import Row
from benchmarks.targets import findings

_PLACE = re.compile(r"<!-- bench: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def fill(
    page: str, rows: Sequence[Row], headers: Sequence[Mapping[str, str]], *, how: Mapping[str, str] | None = None
) -> str:
    """The page with new results. `headers` are those of all runs that the rows come from, `how` tells of contenders."""
    blocks = {table.bench: markdown(table) for table in tables(rows)}
    blocks["targets"] = _targets(rows)
    if headers:
        blocks["header"] = _headers(headers)
    if how:
        lines = ["| contender | configured |", "|---|---|", *[f"| {name} | {text} |" for name, text in how.items()]]
        blocks["contenders"] = "\n".join(lines)

    def put(place: re.Match[str]) -> str:
        name = place[1]
        return f"<!-- bench: {name} -->\n{blocks[name]}\n<!-- end -->" if name in blocks else place[0]

    return _PLACE.sub(put, page)


def _headers(headers: Sequence[Mapping[str, str]]) -> str:
    """What all runs share as a list, what differs as a table with a line for each run."""
    names = dict.fromkeys(name for header in headers for name in header)
    shared = [name for name in names if len({header.get(name, "") for header in headers}) == 1 and name != "command"]
    told = [name for name in names if name not in shared]
    lines = [f"- {name}: {headers[0][name]}" for name in shared]
    lines += ["", "| " + " | ".join(told) + " |", "|---" * len(told) + "|"]
    for header in headers:
        cells = [f"`{header[name]}`" if name == "command" else header.get(name, "") for name in told]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _targets(rows: Sequence[Row]) -> str:
    words = {True: "yes", False: "no", None: ""}
    lines = ["| figure | target | found | reached |", "|---|---|---|---|"]
    lines += [f"| {one.figure} | {one.target} | {one.found} | {words[one.reached]} |" for one in findings(rows)]
    return "\n".join(lines)
