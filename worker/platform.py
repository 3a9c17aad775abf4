"""Every process: what differs between Linux and macOS, and nothing else."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import time

LINUX = sys.platform == "linux"

#: prctl(2) options, from <linux/prctl.h>.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

#: CLOCK_BOOTTIME also advances while a machine is suspended, as SQS's visibility timeout does.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

#: Place of arg_start in /proc/PID/stat (proc(5): field 48) behind the name of the program; arg_end follows.
_ARG_START = 45

#: Flag of recvmsg(2): descriptors that arrive are closed on exec, without a moment in which a sub-process of user code
#: could inherit them. macOS has no such flag (0).
RECEIVE_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def now() -> float:
    """Seconds on the clock that leases are judged by; the same clock in every process of one machine."""
    return time.clock_gettime(_CLOCK)


def cpu_seconds() -> float:
    """Seconds of CPU that this process has used, all its threads together."""
    return time.process_time()


def die_with_parent(parent: int) -> bool:
    """Ask the kernel to SIGKILL this process when its parent dies; False where there is no such thing (macOS).

    The parent is checked after arming: it may have died before, and then nothing would ever fire.
    Call it from the main thread: on Linux the signal belongs to the *thread* that forked us, and ours is the only one.
    """
    if not LINUX:
        return False
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(os.EX_TEMPFAIL)
    return True


def outlive_parent() -> None:
    """Take back die_with_parent(): this process ends by itself, in order."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0)


def adopt_orphans() -> None:
    """Make this process the parent of every orphan below it, so that none outlives the pool (Linux; else nothing)."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def peek_dead() -> int:
    """The pid of a child that is dead and not reaped yet, left so; 0 if there is none.

    -1 where that cannot be asked (macOS before Python 3.13): then whoever is dead has to be reaped to be known.
    """
    if not hasattr(os, "waitid"):
        return -1
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return found.si_pid if found else 0


def is_child(pid: int) -> bool:
    """Whether `pid` is a child of this process that nobody has reaped, dead or alive (Linux)."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (OSError, OverflowError):  # no child of ours, or no pid at all
        return False
    return True


def is_dead(pid: int) -> bool:
    """Whether a child of this process is dead and not reaped yet; it is left so (Linux)."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def children() -> list[int]:
    """The pids of this process's children, adopted ones included; empty where nothing tells (macOS, no /proc)."""
    try:
        with open("/proc/thread-self/children") as file:  # noqa: PTH123 - one read of a file without a folder
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def anonymous_file(name: str, size: int) -> int:
    """A descriptor of `size` zero bytes that no path names, to be mapped by several processes."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
    else:
        import tempfile  # not at the top: macOS alone needs it, and it costs every process's start 3 ms

        fd, path = tempfile.mkstemp(prefix=f"worker-{name}-")
        os.unlink(path)  # noqa: PTH108 - the path lives for this one line
        os.set_inheritable(fd, False)
    os.ftruncate(fd, size)
    return fd


def map_file(fd: int) -> mmap.mmap:
    """The whole file, mapped for reading and writing; the descriptor may be closed afterwards."""
    return mmap.mmap(fd, os.fstat(fd).st_size)


def rename_process(before: str, after: str) -> None:
    """Show `after` in place of `before` in the command line of this process, as ps has it (Linux; else nothing).

    The arguments lie where the kernel put them at the exec; only a text that is not longer fits there.
    """
    if not LINUX:
        return
    try:
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - one read
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return  # no /proc: nobody looks there either
    start, end = int(fields[_ARG_START]), int(fields[_ARG_START + 1])
    if not 0 < start < end:
        return
    line = ctypes.string_at(start, end - start)
    shown = line.replace(before.encode(), after.encode()).ljust(len(line), b"\0")
    if len(shown) == len(line):
        ctypes.memmove(start, shown, len(line))


def prefer_for_oom(score: int) -> None:
    """Tell Linux's out-of-memory killer how gladly to take this process (-1000 to 1000); elsewhere nothing.

    Raising needs no privilege, so handlers raise theirs: user code dies before the processes that hold leases.
    """
    if LINUX:
        try:
            with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - pathlib costs a handler's start 5 ms
                file.write(str(score))
        except OSError:
            return  # a container without /proc, or a lower score without the privilege: only a preference is lost


def leave_no_core() -> None:
    """No core dump of this process and of what it starts, unless WORKER_CORE_DUMPS=1.

    It would hold bodies and credentials, and a crash is seen, and answered, only once its dump is written. The hard
    limit stays: user code that wants one of a sub-process can raise the soft one again.
    """
    if os.environ.get("WORKER_CORE_DUMPS") != "1":
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def peer_user(connection: socket.socket) -> int:
    """The user id at the other end of a unix socket."""
    if LINUX:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[1])
    user, group = ctypes.c_uint32(), ctypes.c_uint32()
    if ctypes.CDLL(None, use_errno=True).getpeereid(connection.fileno(), ctypes.byref(user), ctypes.byref(group)):
        raise OSError(ctypes.get_errno(), "getpeereid failed")
    return user.value


def peer_process(connection: socket.socket) -> int:
    """The pid of the process that listens at the other end of a unix socket; 0 where the system does not tell."""
    if not LINUX:
        return 0
    return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


def resident_bytes() -> int:
    """Bytes of memory this process holds now (Linux), or held at most (macOS, which tells nothing cheaper)."""
    if LINUX:
        try:
            with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - read every second by handlers
                return int(file.read().split()[1]) * mmap.PAGESIZE
        except OSError:
            pass  # /proc is not needed to run: fall through to the peak
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * 1024 if LINUX else peak
