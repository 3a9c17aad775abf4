"""Fixtures of the poller's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.poller.world import World


@pytest.fixture
def worlds() -> Iterator[Callable[..., World]]:
    """Makes worlds, and closes them."""
    made: list[World] = []

    def make(**options: Any) -> World:
        made.append(World(**options))
        return made[-1]

    yield make
    for world in made:
        world.close()
