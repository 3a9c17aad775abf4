"""Test process: what a template refuses and what it warns of; see worker/template/boot.py and leftovers.py."""

from __future__ import annotations

import json
import os
import socket

import pytest

from tests.template.conftest import Launch
from worker import platform
from worker.protocol import ControlFrame
from worker.template import leftovers

pytestmark = pytest.mark.skipif(not platform.LINUX, reason="templates are for Linux only")

HANDLE = "\ndef handle(message): pass\n"


def refused(launch: Launch, source: str) -> str:
    template = launch(source + HANDLE)
    template.set_up()
    reason = str(template.hear(ControlFrame.FAILED).header["reason"])
    assert template.process.wait(10) == os.EX_CONFIG
    return reason


def test_an_application_that_starts_a_thread_is_refused_by_name(launch: Launch):
    """The text names the thread, and says what to do."""
    source = """
import threading, time
def refresh_rates(): time.sleep(60)
threading.Thread(target=refresh_rates, daemon=True).start()
threading.Thread(target=refresh_rates, name="metrics", daemon=True).start()
"""
    reason = refused(launch, source)
    assert reason.startswith("cannot preload 'application:handle': importing it starts 2 threads")
    assert "'Thread-1 (refresh_rates)', 'metrics'" in reason
    assert "Start them in on_start" in reason
    assert reason.endswith("or set preload = false")


def test_a_thread_that_threading_does_not_know_is_refused_too(launch: Launch):
    """Threads of C code are as lost in a fork as any."""
    reason = refused(launch, "import _thread, time\n_thread.start_new_thread(time.sleep, (60,))")
    assert "starts a thread" in reason
    assert "(of C code; for numerical libraries, OMP_NUM_THREADS=1 prevents it)" in reason


def test_a_thread_that_has_ended_or_is_about_to_does_no_harm(launch: Launch):
    """Only what is lost in the fork is refused."""
    source = """
import threading, time
for seconds in (0, 0.2):
    threading.Thread(target=time.sleep, args=(seconds,)).start()
"""
    launch(source + HANDLE).start().fork().start()


def test_an_application_that_cannot_be_imported_is_refused_as_by_a_handler(launch: Launch):
    """The same words, and the traceback in the log."""
    template = launch("import nothing_of_that_name" + HANDLE)
    template.set_up()
    reason = template.hear(ControlFrame.FAILED).header["reason"]
    assert "cannot import 'application:handle': ModuleNotFoundError" in reason
    assert template.process.wait(10) == os.EX_CONFIG
    assert json.loads(template.err.read_text().splitlines()[0])["event"] == "import_failed"


def test_another_protocol_is_refused(launch: Launch):
    """A supervisor of another release must not talk to this template."""
    template = launch(HANDLE)
    template.set_up(protocol=99)
    assert "its supervisor 99" in template.hear(ControlFrame.FAILED).header["reason"]
    assert template.process.wait(10) == os.EX_CONFIG


def test_connections_and_event_loops_made_at_import_are_warned_of(launch: Launch):
    """Every handler would write to the same one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = f"""
import asyncio, socket
database = socket.create_connection(("127.0.0.1", {port}))
listening = socket.create_server(("127.0.0.1", 0))
loop = asyncio.new_event_loop()
log = open(__file__)
"""
        template = launch(source + HANDLE).start()
    [line] = [json.loads(text) for text in template.err.read_text().splitlines()]
    assert (line["event"], line["process"]) == ("preload_shared", "template")
    assert line["what"].startswith(f"a connection to 127.0.0.1:{port}, a socket at 127.0.0.1:")
    assert "an event loop" in line["what"]
    assert "application.py" not in line["what"]


def test_an_application_without_leftovers_is_warned_of_nothing(launch: Launch):
    """No line that says nothing."""
    assert launch("import json" + HANDLE).start().err.read_text() == ""


def test_an_application_that_forks_at_import_makes_no_second_template(launch: Launch):
    """The child comes back out of the import, and ends there."""
    source = """
import os
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
"""
    template = launch(source + HANDLE).start()
    template.fork().start()


def test_what_was_open_before_is_not_told():
    """Only what the import has opened is the application's."""
    with socket.socket(), socket.socket():
        assert leftovers.shared(leftovers.descriptors()) == []
