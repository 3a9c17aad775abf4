"""Benchmark process: LocalStack on this machine, from PyPI and without Docker, in an environment of its own.

It handles some 800 requests a second itself, so that messages a second measured against it are its own: read the CPU
per message. 4.12.0 is the last release that works on Python 3.11; it needs three packages at versions that it does not
ask for: cbor2 6 has no `_decoder`, pyOpenSSL 25 no `add_extensions`, and its twisted wants service_identity.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import environments
from benchmarks.endpoints import Remote
from worker.cli.embedded import environment

PACKAGES = ("localstack-core[runtime]==4.12.0", "cbor2<6", "pyopenssl<25", "service_identity")
_PATIENCE = 60.0


@contextmanager
def localstack() -> Iterator[Remote]:
    """LocalStack with SQS alone, until the block ends. Installs it first, if it is not there.

    BENCH_LOCALSTACK names one that runs already, as a container does.
    """
    if there := os.environ.get("BENCH_LOCALSTACK"):
        yield Remote(f"LocalStack at {there}", there, {**environment(there), "AWS_REGION": "us-east-1"})
        return
    environments.make_python("localstack", PACKAGES)
    folder = Path(tempfile.mkdtemp(prefix="bench-localstack-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [str(environments.python_of("localstack")), "-m", "localstack.runtime.main"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=_environ(port, folder), cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(url, process, folder / "log")
        yield Remote("LocalStack 4.12.0", url, {**environment(url), "AWS_REGION": "us-east-1"})
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _environ(port: int, folder: Path) -> dict[str, str]:
    settings = {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "LOCALSTACK_HOST": f"127.0.0.1:{port}",
        "FILESYSTEM_ROOT": str(folder),
        "SERVICES": "sqs",
        "DNS_ADDRESS": "0",
        "LS_LOG": "error",
        "ACTIVATE_PRO": "0",
    }
    switches = ("STRICT_SERVICE_LOADING", "EAGER_SERVICE_LOADING", "SKIP_SSL_CERT_DOWNLOAD", "SKIP_INFRA_DOWNLOADS")
    return {**os.environ, **settings, **dict.fromkeys((*switches, "DISABLE_EVENTS"), "1")}


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/_localstack/health", timeout=2) as answer:  # noqa: S310 - our loopback URL
                if b'"sqs": "running"' in answer.read():
                    return
        except (urllib.error.URLError, OSError):
            pass  # not yet
        time.sleep(0.1)
    raise RuntimeError(f"LocalStack did not start: {log.read_text(errors='replace')[-500:]}")
