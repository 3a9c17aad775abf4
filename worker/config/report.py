"""Command line: collects the problems of one config file, so that all are told at once."""

from __future__ import annotations

from worker.config.positions import Positions
from worker.config.problems import ConfigError, Problem


class Report:
    """The problems found so far, and which keys they are about."""

    def __init__(self, file: str, text: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._positions = Positions(text)

    def add(self, text: str, *, table: tuple[str, ...] = (), key: str = "") -> None:
        """Note a problem of a key, of a table, or of the file."""
        line = self._positions.line((*table, key) if key else table)
        problem = Problem(text=text, file=self._file, table=".".join(table), key=key, line=line)
        self.problems.append(problem)

    def about(self, table: tuple[str, ...], keys: tuple[str, ...]) -> bool:
        """True if one of these keys already has a problem, so that no rule can judge it."""
        found = {(problem.table, problem.key) for problem in self.problems}
        name = ".".join(table)
        below = {problem.table.removeprefix(f"{name}.") for problem in self.problems}  # a bad key inside `retry`
        return any((name, key) in found or key in below for key in keys)

    def written(self, table: tuple[str, ...], key: str) -> bool:
        """True if the file has that key."""
        return self._positions.has((*table, key))

    def finish(self) -> None:
        """Raises ConfigError if there is any problem."""
        if self.problems:
            raise ConfigError(sorted(self.problems, key=lambda problem: problem.line))
