"""AWS services process: moto's server on loopback, until standard input ends."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from typing import Any

from worker import platform

#: As the embedded SQS has it, so that the ARNs of queues and topics are of one account.
_ACCOUNT = "000000000000"


def main() -> int:
    """The command line of `python -m worker.testing.aws_services_server`."""
    parser = argparse.ArgumentParser(prog="aws-services", description="AWS beside SQS on loopback, for tests.")
    parser.add_argument("--parent", type=int, default=0)
    parent = parser.parse_args().parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's, which still needs us
    if parent:
        platform.die_with_parent(parent)
    os.environ["MOTO_ACCOUNT_ID"] = _ACCOUNT  # read when moto is imported
    try:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server
    except ImportError as error:
        sys.stderr.write(f"moto is not installed ({error}): pip install 'worker[demo]'\n")
        return os.EX_UNAVAILABLE
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for every request
    application = _one_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    return os.EX_OK


def _one_at_a_time(application: Any) -> Any:
    """The WSGI application under a lock: moto checks the condition of a conditional write, and writes, in two steps.

    Without it two writers of DynamoDB or S3 that meet there have both won, which AWS never says.
    """
    lock = threading.Lock()

    def serve(environ: dict[str, Any], start: Any) -> list[bytes]:
        with lock:
            return list(application(environ, start))

    return serve


if __name__ == "__main__":
    raise SystemExit(main())
