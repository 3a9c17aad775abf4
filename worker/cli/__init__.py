"""Command line: the commands of `worker`, one file each; `entry` finds the one that was asked for."""

from worker.cli.entry import main

__all__ = ["main"]
