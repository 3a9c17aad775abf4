"""Test process: one world's history as text: what processes, faults and the server did, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation.hub import START

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Fields of a server event that every line names otherwise, or that say nothing.
_SILENT = {"n", "event", "ns", "now", "message_id", "sequence", "delay", "request"}


def history(world: World) -> list[str]:
    """Every line begins with the seconds since the world began."""
    numbers = {message_id: number for number, message_id in world.sent.items()}
    lines = [(at, 0, place, text) for place, (at, text) in enumerate(world.hub.trace)]
    for place, event in enumerate(world.server.events.after(0, limit=1_000_000)):
        lines.append((event["now"], 1, place, _server(event, numbers)))
    return [f"{at - START:10.5f}  {text}" for at, _, _, text in sorted(lines)]


def _server(event: dict[str, Any], numbers: dict[str, int]) -> str:
    name = event.get("message_id")
    number = "" if name is None else f" of {numbers.get(name, name)}"
    fields = " ".join(f"{field}={value}" for field, value in event.items() if field not in _SILENT)
    return f"    sqs {event['event']}{number} {fields}"
