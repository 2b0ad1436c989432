"""Child processes: started as an unprivileged account, ended by pid, never left behind."""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.errors import BenchError

_PR_SET_PDEATHSIG = 1
_COPY_ATTEMPTS = 10           # a second apart
_libc = ctypes.CDLL(None)


def account() -> dict[str, Any]:
    """Popen keywords that make a child run as `postgres` when this process is root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def give_to_account(path: Path) -> None:
    """Hand a file or folder to the account the children run as."""
    if os.geteuid() == 0:
        entry = pwd.getpwnam("postgres")
        os.chown(path, entry.pw_uid, entry.pw_gid)


def user_name() -> str:
    """The name of the account the children run as; also the database superuser."""
    return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; returns it. Children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spawn(argv: list[str], cwd: Path, die_with: int = signal.SIGKILL,
          **keywords: Any) -> subprocess.Popen[Any]:
    """Start a child as the account; the kernel sends it `die_with` should this process vanish."""
    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, die_with)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    try:
        return subprocess.Popen(argv, cwd=cwd, preexec_fn=prepare,
                                **{"stdin": subprocess.DEVNULL, **account(), **keywords})
    except OSError as error:
        raise BenchError(f"{argv[0]}: {error}") from error


def run_once(argv: list[str], cwd: Path, timeout_s: float = 120.0) -> str:
    """Run a child to its end; returns its stdout. Errors: BenchError with what it wrote."""
    child = spawn(argv, cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{argv[0]} does not end within {timeout_s:g} s") from error
    finally:
        if child.returncode is None:
            child.kill()
            child.wait()
    if child.returncode != 0:
        said = (err or out).strip().replace("\n", " | ")
        raise BenchError(f"{argv[0]} exited with {child.returncode}: {said[-300:]}")
    return str(out)


def copy_program(path: Path, folder: Path) -> Path:
    """A copy that a build meanwhile does not change; waits for a linker. Made once in a folder."""
    copy = folder / str(path.parent).replace("/", "_") / path.name
    for attempt in range(_COPY_ATTEMPTS):
        try:
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, copy)
            return copy
        except OSError as error:
            copy.unlink(missing_ok=True)
            if attempt + 1 == _COPY_ATTEMPTS or not path.exists():
                raise BenchError(f"{path}: {error}") from error
            time.sleep(1.0)
    raise AssertionError


def make_certificate(folder: Path) -> None:
    """server.crt and server.key (P-256, signed by itself) of the account, in a folder of its own."""
    run_once(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
              "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=bench",
              "-keyout", "server.key", "-out", "server.crt"], folder)
    (folder / "server.key").chmod(0o600)


@contextmanager
def on_one_core(pids: tuple[int, ...]) -> Iterator[None]:
    """Keep this process and those, and what they start meanwhile, on the last core."""
    before = os.sched_getaffinity(0)
    try:
        for pid in (0, *pids):
            os.sched_setaffinity(pid, {max(before)})
        yield
    finally:
        for pid in (0, *pids):
            os.sched_setaffinity(pid, before)


class Daemon:
    """One long-running child. Resource: this object is its only owner and ends it on exit."""

    def __init__(self, name: str, argv: list[str], cwd: Path,
                 stop_signal: int = signal.SIGTERM, stop_timeout_s: float = 5.0) -> None:
        self.name = name
        self.folder = cwd
        self._argv = argv
        self._stop_signal = stop_signal
        self._stop_timeout_s = stop_timeout_s
        self._log_path = cwd / f"{name}.log"
        self._child: subprocess.Popen[Any] | None = None

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self._child is not None
        return self._child.pid

    def __enter__(self) -> Daemon:
        with open(self._log_path, "wb") as log:
            self._child = spawn(self._argv, self.folder, self._stop_signal, stdout=log, stderr=log)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()

    def stop(self, timeout_s: float | None = None) -> None:
        """Ask it to end, wait, and kill it if it does not. Idempotent."""
        child = self._child
        if child is None or child.returncode is not None:
            return
        if child.poll() is None:
            child.send_signal(self._stop_signal)
            try:
                child.wait(timeout=timeout_s or self._stop_timeout_s)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def state(self) -> str:
        """`running`, or how it ended."""
        assert self._child is not None
        code = self._child.poll()
        if code is None:
            return "running"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"

    def log_tail(self, length: int = 300) -> str:
        """The last characters it wrote to stdout and stderr."""
        try:
            return self._log_path.read_text(errors="replace").strip()[-length:].replace("\n", " | ")
        except OSError:
            return ""

    def wait_for_port(self, port: int, timeout_s: float) -> None:
        """Until it accepts on loopback. Errors: BenchError when it exits or takes too long."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self.state() != "running":
                raise BenchError(f"{self.name} {self.state()} at start")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise BenchError(f"{self.name} does not accept connections")
                time.sleep(0.02)
