"""Test process: fixtures of the security tests: real pools."""

from tests.system.conftest import pools, server

__all__ = ["pools", "server"]
