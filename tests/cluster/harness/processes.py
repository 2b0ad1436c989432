"""Child processes, temporary directories and ports that go away with this process."""
import atexit
import ctypes
import fcntl
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

# PostgreSQL and pgweir refuse to run as root.
RUN_AS = "postgres" if os.geteuid() == 0 else None
IDENTITY = {"user": RUN_AS, "group": RUN_AS, "extra_groups": []} if RUN_AS else {}
TEMPORARY = Path(os.environ.get("PGWEIR_TEST_TMP", "/tmp"))  # short: a Unix socket's path ends at 107 bytes
STALE_SECONDS = 600


def eventually(check, timeout=20.0, what="the condition"):
    """Asks `check` until it gives something true, and returns that. An exception counts as "not yet"."""
    deadline = time.monotonic() + timeout
    pause = 0.002
    while True:
        problem = None
        try:
            answer = check()
            if answer:
                return answer
        except Exception as exception:  # pylint: disable=broad-except
            problem = exception
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true in {timeout} s") from problem
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


class Resources:
    """What must be closed at exit, newest first. close() of each may be called twice."""

    def __init__(self):
        self._open = []

    def add(self, resource):
        self._open.append(resource)

    def remove(self, resource):
        if resource in self._open:
            self._open.remove(resource)

    def close_all(self):
        for resource in reversed(list(self._open)):
            resource.close()


_resources = Resources()
atexit.register(_resources.close_all)


def _interrupt(_signal, _frame):
    raise KeyboardInterrupt


if threading.current_thread() is threading.main_thread():
    for _number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: with-blocks, fixtures and atexit run
        if signal.getsignal(_number) == signal.SIG_DFL:
            signal.signal(_number, _interrupt)

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


class Process:
    """A child in a session of its own. If this process is killed outright, the kernel ends the child; that
    is bound to the starting thread, so start processes from threads that live as long as they do."""

    def __init__(self, arguments, log, cwd, stop_signal=signal.SIGTERM, death_signal=signal.SIGKILL,
                 environment=None):
        self.arguments = [str(argument) for argument in arguments]
        self.log_path = Path(log)
        self.stop_signal = stop_signal
        with open(self.log_path, "ab") as output:
            self._child = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=cwd,
                env={**os.environ, **(environment or {})}, start_new_session=True,
                preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, death_signal), **IDENTITY)
        _resources.add(self)

    @property
    def pid(self):
        return self._child.pid

    @property
    def returncode(self):
        return self._child.poll()

    @property
    def alive(self):
        return self._child.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def signal(self, number):
        if self.alive:
            self._child.send_signal(number)

    def wait(self, timeout=20.0):
        """The exit code, negative for a signal."""
        return self._child.wait(timeout)

    def stop(self, number=None, timeout=20.0):
        """Asks it to end, kills it if it does not; the exit code."""
        self.signal(number or self.stop_signal)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            if not self.alive:
                _resources.remove(self)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait()
        _resources.remove(self)

    def close(self):
        if self.alive:
            try:
                self.stop(timeout=10)
            except subprocess.TimeoutExpired:
                pass
        _resources.remove(self)


def children_of(pid):
    """The process ids of all descendants."""
    try:
        direct = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return direct + [grandchild for child in direct for grandchild in children_of(child)]


def run(arguments, cwd, **options):
    """Runs a short-lived program as the user that owns the servers; its output, or an error with it."""
    done = subprocess.run([str(argument) for argument in arguments], cwd=cwd, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="replace", check=False,
                          **{**IDENTITY, **options})
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(done.args)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Workdir:
    """A temporary directory that belongs to the servers' user. Removed by close(), at exit, or, when this
    process was killed outright, by the next run that finds it without an owner."""

    def __init__(self):
        self._sweep()
        self.path = Path(tempfile.mkdtemp(prefix="pgweir-test-", dir=TEMPORARY))
        self._lock = open(self.path / "lock", "w", encoding="utf-8")  # pylint: disable=consider-using-with
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        if RUN_AS:
            account = pwd.getpwnam(RUN_AS)
            os.chown(self.path, account.pw_uid, account.pw_gid)
        _resources.add(self)

    def close(self):
        if not self._lock.closed:
            shutil.rmtree(self.path, ignore_errors=True)
            self._lock.close()
        _resources.remove(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def _sweep():
        for path in TEMPORARY.glob("pgweir-test-*"):
            try:
                if time.time() - path.stat().st_mtime < STALE_SECONDS:
                    continue
                with open(path / "lock", encoding="utf-8") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            except OSError:
                continue  # in use, another user's, or gone


def write(path, text, mode=0o600):
    """Writes a file for the servers' user."""
    Path(path).write_text(text, encoding="utf-8")
    os.chmod(path, mode)
    if RUN_AS:
        shutil.chown(path, RUN_AS, RUN_AS)


def can_run(program):
    """Whether the servers' user can execute it (a build below /root, say, he cannot)."""
    return subprocess.run(["test", "-x", str(program)], check=False, cwd="/", **IDENTITY).returncode == 0


class Port:
    """A TCP port nobody else gets while this object lives: below the kernel's own range, and reserved among
    parallel runs by an abstract Unix socket of its name, which no crash can leave behind."""

    FIRST, LAST = 20000, 29999

    def __init__(self):
        for _ in range(1000):
            number = random.randint(self.FIRST, self.LAST)
            reservation = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                reservation.bind(f"\0pgweir-test-port-{number}")
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", number))
            except OSError:
                reservation.close()
                continue
            self.number = number
            self._reservation = reservation
            return
        raise RuntimeError("no free port")

    def close(self):
        self._reservation.close()
