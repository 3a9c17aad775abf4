"""Command line: one request to the control socket of a running pool, and its answer."""

from __future__ import annotations

import argparse
import json
import os
import socket
from typing import Any

from worker.cli import exits
from worker.config import ConfigError, find_control_socket

#: Seconds for each step of the exchange; the supervisor answers from its loop, which never blocks.
_PATIENCE = 10.0
#: A status of a thousand processes has well below 1 MiB; stacks can be longer.
_LONGEST_ANSWER = 64 * 1024 * 1024


def add_socket(parser: argparse.ArgumentParser) -> None:
    """`--socket` or `--config`: where the pool listens."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--socket", metavar="PATH", help="the pool's control socket")
    place.add_argument(
        "--config",
        default="worker.toml",
        metavar="FILE",
        help="the pool's config, which names it (default: worker.toml)",
    )


def find_socket(args: argparse.Namespace) -> str:
    """The path of the control socket that the arguments name. Raises Quit if there is none."""
    if args.socket:
        return str(args.socket)
    try:
        path = find_control_socket(args.config, os.environ)
    except ConfigError as error:
        raise exits.Quit(exits.CONFIG, f"{error}\n--socket PATH names the control socket without a config") from None
    if not path:
        raise exits.Quit(
            exits.CONFIG,
            f"{args.config}: [worker] control_socket: is not set, so the pool cannot be asked: add "
            'control_socket = "run/worker.sock" and restart it',
        )
    return path


def ask(path: str, request: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request. Raises Quit if nobody listens, or if the pool refuses."""
    try:
        answer = json.loads(_exchange(path, json.dumps(request).encode() + b"\n"))
        accepted = answer["ok"]
    except (FileNotFoundError, ConnectionRefusedError):
        raise exits.Quit(
            exits.UNAVAILABLE, f"no pool listens at {path}: start it with `worker run`, or name another --socket"
        ) from None
    except PermissionError:
        raise exits.Quit(
            exits.UNAVAILABLE, f"{path} belongs to another user: ask as the user who runs the pool, or as root"
        ) from None
    except OSError as error:
        raise exits.Quit(exits.UNAVAILABLE, f"the pool at {path} does not answer: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError):
        raise exits.Quit(exits.UNAVAILABLE, f"what listens at {path} gave no answer of a pool") from None
    if not accepted:
        raise exits.Quit(exits.FAILED, f"the pool refused: {answer.get('error', 'without a reason')}")
    return dict(answer)


def _exchange(path: str, line: bytes) -> bytes:
    """Send one line, read to the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(path)
        connection.sendall(line)
        parts, size = [], 0
        while part := connection.recv(256 * 1024):
            parts.append(part)
            size += len(part)
            if size > _LONGEST_ANSWER:
                raise ValueError
    return b"".join(parts)
