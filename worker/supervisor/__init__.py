"""Supervisor process: starts, watches, replaces and stops the pollers and handlers of a pool. It runs no user code."""

from worker.supervisor.loop import run

__all__ = ["run"]
