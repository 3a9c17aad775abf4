"""DynamoDB process: moto's server, one request at a time, until standard input ends.

moto's tables have no locks: between threads a condition and its write are two steps, and a transaction that fails puts
back a copy of the whole table. One request after the other they are what DynamoDB promises.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from worker import platform

platform.die_with_parent(int(sys.argv[sys.argv.index("--parent") + 1]) if "--parent" in sys.argv else os.getppid())
logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for every request
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}) + "\n")
sys.stdout.flush()
sys.stdin.read()
