"""Command line: reads worker.toml into settings (`load`), or says everything that is wrong with it (`ConfigError`)."""

from worker.config.overrides import Override, parse_override
from worker.config.problems import ConfigError, Problem
from worker.config.reading import find_control_socket, load, load_text

__all__ = ["ConfigError", "Override", "Problem", "find_control_socket", "load", "load_text", "parse_override"]
