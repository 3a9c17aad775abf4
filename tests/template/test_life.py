"""Test process: a template boots, forks handlers and ends; see worker/template/life.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.handler.process import HandlerProcess
from tests.supervisor.real import gone
from tests.template.conftest import Launch
from tests.template.process import descriptors, mappings
from worker import platform
from worker.protocol import ControlFrame
from worker.slots import ChildState

pytestmark = pytest.mark.skipif(not platform.LINUX, reason="templates are for Linux only")

#: Writes what it is asked for, evaluated in the handler, to the file that is named beside it.
APPLICATION = """
import os, random, signal, sys, atexit
IMPORTED_BY = os.getpid()
print("imported", end="")
def handle(message):
    what, path = message.json()
    texts = {
        "imported_by": lambda: IMPORTED_BY,
        "random": random.random,
        "hang": lambda: signal.pause(),
    }
    with open(path, "w") as file:
        file.write(str(texts[what]()))
@atexit.register
def bye():
    os.write(1, b"bye")
"""


def test_a_forked_handler_is_our_child_leads_a_session_and_has_not_imported_again(launch: Launch, tmp_path: Path):
    """The application was imported once, in the template."""
    template = launch(APPLICATION).start()
    handlers = [template.fork().start() for _ in range(2)]
    for handler in handlers:
        assert int(Path(f"/proc/{handler.pid}/stat").read_text().rpartition(")")[2].split()[1]) == os.getpid()
        assert os.getsid(handler.pid) == os.getpgid(handler.pid) == handler.pid
        assert handler.slot.look().pid == handler.pid
        handler.run(["imported_by", str(tmp_path / "by")])
        assert int((tmp_path / "by").read_text()) == template.process.pid


def test_every_handler_draws_numbers_of_its_own(launch: Launch, tmp_path: Path):
    """The state of `random` is not the template's."""
    template = launch(APPLICATION).start()
    drawn = set()
    for _ in range(3):
        template.fork().start().run(["random", str(tmp_path / "drawn")])
        drawn.add((tmp_path / "drawn").read_text())
    assert len(drawn) == 3


def test_a_handler_holds_what_an_execd_one_holds_and_nothing_of_its_template(launch: Launch, tmp_path: Path):
    """Not the template's sockets, slot and stacks, nor the sockets of those who are forked next."""
    template = launch("def handle(message): pass").start()
    template.process.send_signal(signal.SIGSTOP)  # so that it reads all three requests at once
    asked = [template.ask() for _ in range(3)]
    template.process.send_signal(signal.SIGCONT)
    handlers = [template.named(handler).start() for handler in asked]
    execd = HandlerProcess(handler="builtins:print").start()
    try:
        expected, mapped = descriptors(execd.process.pid), mappings(execd.process.pid)
        # Its output goes to pipes, a forked one's to files; the log of either opens standard error anew.
        outputs = expected.pop("pipe:[]") - 2
        for handler in handlers:
            found = descriptors(handler.pid)
            out, err = found.pop(str(template.out)), found.pop(str(template.err))
            assert out == 1
            assert found.pop("pipe:[]") == 2
            assert found == expected
            assert err <= outputs - 1
            assert mappings(handler.pid) == mapped
    finally:
        execd.close()


def test_a_template_holds_its_own_control_socket_slot_and_stacks_only(launch: Launch):
    """No stream and no handler's slot, however many it has forked."""
    template = launch("def handle(message): pass").start()
    before, mapped = descriptors(template.process.pid), mappings(template.process.pid)
    for _ in range(5):
        template.fork().start()
    assert descriptors(template.process.pid) == before
    assert mappings(template.process.pid) == mapped
    assert before["socket:[]"] == 1
    children = Path(f"/proc/{template.process.pid}/task/{template.process.pid}/children").read_text()
    assert children == ""  # no process between is left, not even as a zombie


def test_handlers_go_on_when_their_template_is_killed(launch: Launch, tmp_path: Path):
    """They are no children of it, and their death signal is not armed for it."""
    template = launch(APPLICATION).start()
    handler = template.fork().start()
    template.process.kill()
    template.process.wait(10)
    handler.run(["imported_by", str(tmp_path / "by")])
    handler.control.send(ControlFrame.STOP, None)
    assert handler.end() == 0


def test_exit_hooks_run_in_handlers_and_not_in_the_template(launch: Launch):
    """A hook that removes a folder would take it from under the handlers that live on."""
    template = launch(APPLICATION).start()
    handler = template.fork().start()
    template.control.send(ControlFrame.STOP, None)
    assert template.process.wait(10) == 0
    assert template.out.read_text() == "imported"
    handler.control.send(ControlFrame.STOP, None)
    assert handler.end() == 0
    assert template.out.read_text() == "importedbye"


TORN_DOWN = """
import os
class Held:
    def __del__(self):
        os.write(1, b"torn down")
HELD = Held()
def handle(message): pass
print("printed", end="")
"""


def test_a_handler_that_ends_does_not_tear_down_what_it_shares(launch: Launch):
    """That would write to every object, and so copy all memory that handlers have in common."""
    template = launch(TORN_DOWN).start()
    handler = template.fork().start()
    handler.control.send(ControlFrame.STOP, None)
    assert handler.end() == 0
    assert template.out.read_text() == "printed"


def test_a_handler_dies_of_the_supervisors_death_not_of_its_templates(launch: Launch):
    """PDEATHSIG is armed, for the right parent: a supervisor that is another process is none."""
    template = launch(APPLICATION).start()
    stray = template.fork()
    stray.set_up(parent=1)
    assert stray.end() == os.EX_TEMPFAIL


def test_a_handler_that_nobody_sets_up_ends_with_its_control_socket(launch: Launch):
    """Its template died before it could say whom it forked."""
    template = launch(APPLICATION).start()
    handler = template.fork()
    handler.control.close()
    assert handler.end() == os.EX_TEMPFAIL


def test_a_forked_handler_is_shown_as_a_handler(launch: Launch):
    """`ps` would show a pool of templates."""
    template = launch(APPLICATION).start()
    handler = template.fork().start()
    words = Path(f"/proc/{handler.pid}/cmdline").read_bytes().split(b"\0")
    assert b"worker.handler" in words
    assert b"worker.template" not in words
    assert b"worker.template" in Path(f"/proc/{template.process.pid}/cmdline").read_bytes().split(b"\0")


def test_stacks_of_template_and_handler_go_to_files_of_their_own(launch: Launch, tmp_path: Path):
    """Each dumps on SIGUSR2, also when it was forked from one that did."""
    template = launch(APPLICATION).start()
    handler = template.fork().start()
    os.kill(handler.pid, signal.SIGUSR2)
    eventually(lambda: b"loop.py" in os.pread(handler.stacks, 65536, 0))
    assert os.pread(template.stacks, 65536, 0) == b""
    template.process.send_signal(signal.SIGUSR2)
    eventually(lambda: b"life.py" in os.pread(template.stacks, 65536, 0))


def test_stray_signals_end_neither(launch: Launch, tmp_path: Path):
    """A service manager's TERM to the whole group, Ctrl-C: the supervisor decides."""
    template = launch(APPLICATION).start()
    handler = template.fork()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        template.process.send_signal(number)
        os.kill(handler.pid, number)
    handler.start().run(["imported_by", str(tmp_path / "by")])
    template.fork().start()


def test_the_slot_says_who_it_is_and_what_it_holds(launch: Launch):
    """For `worker status`."""
    template = launch(APPLICATION).start()
    facts = template.slot.look()
    assert (facts.pid, facts.state) == (template.process.pid, ChildState.READY)
    assert facts.resident > 1_000_000


def test_a_template_ends_with_its_supervisor(tmp_path: Path):
    """PDEATHSIG, while it imports; its control socket is held by user code's children maybe."""
    source = """
import os, sys, time
from tests.template.process import TemplateProcess
from pathlib import Path
template = TemplateProcess(Path(sys.argv[1]), "import time; time.sleep(60)\\ndef handle(message): pass")
template.set_up()
while not template.slot.look().pid:
    time.sleep(0.01)
print(template.process.pid, flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", source, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        supervisor.kill()
    eventually(lambda: gone(pid))


def test_it_is_not_for_users_to_start():
    """By hand it explains itself."""
    done = subprocess.run([sys.executable, "-m", "worker.template"], capture_output=True, text=True, check=False)
    assert done.returncode == os.EX_USAGE
    assert "worker run" in done.stderr
