"""Test process: fixtures of the hostile corpus's tests: those of handlers' parts, and of real pools."""

from tests.handler.conftest import build
from tests.system.conftest import pools, server

__all__ = ["build", "pools", "server"]
