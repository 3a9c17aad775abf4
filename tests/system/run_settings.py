"""Runs a pool from settings on standard input, past the config file's checks: for timeouts that only a test wants."""

from __future__ import annotations

import json
import sys

from worker.settings import from_json
from worker.supervisor import run

settings = from_json(json.load(sys.stdin))
sys.exit(run(settings, reload=lambda: settings))
