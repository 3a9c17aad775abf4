"""Pure rules: what has to happen one after the other: the messages of a group, and the executions of one message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from chaos.executions import Execution

#: Where a message stands, by its id: what may not run at the same time as it (its group), and its place in that.
Places = Mapping[int, tuple[str, int]]


def meetings(executions: Iterable[Execution], places: Places) -> Iterator[tuple[Execution, Execution]]:
    """Executions of one group, given by their start, that ran at the same time: the earlier one, and the later."""
    longest: dict[str, Execution] = {}
    for one in executions:
        if one.id not in places:
            continue  # unexpected: it is in no group
        group = places[one.id][0]
        before = longest.get(group)
        if before is not None and one.start < before.until:
            yield before, one
        if before is None or one.until >= before.until:
            longest[group] = one


def inversions(executions: Iterable[Execution], places: Places) -> Iterator[tuple[Execution, Execution]]:
    """First effects of one group out of order: the newer one, and the older one that came after it."""
    first: dict[int, Execution] = {}
    for one in executions:
        if one.effect and one.id in places and (one.id not in first or one.effect < first[one.id].effect):
            first[one.id] = one
    newest: dict[str, Execution] = {}
    for one in sorted(first.values(), key=lambda run: run.effect):
        group, place = places[one.id]
        before = newest.get(group)
        if before is not None and place < places[before.id][1]:
            yield before, one
        else:
            newest[group] = one
