"""A fresh Debian 12 with systemd as its first process, in namespaces of its own. Nothing of it is left behind.

It shares no network with anybody: `enter_network` takes the calling thread, and what it starts from then on, to
the machine's loopback.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from harness import eventually

CLONE_NEWNET = 0x40000000
TARBALL = Path(__file__).resolve().parents[2] / "build/debian-12.tar"  # made once
CGROUPS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")

# What runs as the first process of the new namespaces, before systemd takes its place.
SETUP = r"""
set -e
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup" 2>/dev/null || true
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs tmpfs "$root/dev/shm"
cd "$root"
pivot_root . mnt
umount -l /mnt
exec env -i container=pgweir-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=0 </dev/null
"""


class Unavailable(Exception):
    """This machine cannot do it; the text says what is missing."""


def run(*arguments, **options):
    done = subprocess.run([str(argument) for argument in arguments], stdin=subprocess.DEVNULL, check=False, text=True,
                          capture_output=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, arguments))} ended with {done.returncode}:\n"
                           f"{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def base_system(path):
    """The tarball of a bare Debian 12 with systemd; made once."""
    if path.exists():
        return path
    if not shutil.which("mmdebstrap"):
        raise Unavailable("mmdebstrap is not installed (group package of cmake/packages.txt)")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    try:
        run("mmdebstrap", "--format=tar", "--variant=minbase", "--include=systemd,systemd-sysv", "bookworm",
            unfinished)
    except RuntimeError as problem:
        raise Unavailable(f"a Debian 12 cannot be downloaded here: {problem}") from problem
    return unfinished.rename(path)


class Machine:
    """Its files are there at once; `boot` starts it."""

    def __init__(self, tarball):
        if os.geteuid() != 0:
            raise Unavailable("only root can start a machine")
        self.directory = Path(tempfile.mkdtemp(prefix="pgweir-machine-"))
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.directory)
        self.root = self.directory / "root"
        self.root.mkdir()
        self._child = self._cgroup = None
        run("tar", "-xf", tarball, "-C", self.root)
        (self.root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)

    def chroot(self, *arguments):
        """Runs a command in its files, with our network: before it has booted."""
        return run("chroot", self.root, *arguments, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                                                         "DEBIAN_FRONTEND": "noninteractive"})

    def boot(self):
        self._cgroup = self._own_cgroup()
        (self.directory / "setup.sh").write_text(SETUP, encoding="ascii")
        with open(self.directory / "console", "wb") as console:
            self._child = subprocess.Popen(
                ["unshare", "--cgroup", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child", "sh",
                 self.directory / "setup.sh", self.root],
                stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=self._join_cgroup)
        try:
            eventually(self._is_up, 120, "systemd in the machine")
        except TimeoutError as problem:
            text = (self.directory / "console").read_text(errors="replace")
            raise Unavailable(f"systemd does not start in namespaces here: {text[-2000:]}") from problem

    def _own_cgroup(self):
        for path in map(Path, CGROUPS):
            if (path / "cgroup.procs").exists():
                made = path / self.directory.name
                made.mkdir()
                return made
        raise Unavailable("there is no cgroup2 file system")

    def _join_cgroup(self):
        (self._cgroup / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    @property
    def init(self):
        """The process id of its systemd, here."""
        children = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text(encoding="ascii")
        return int(children.split()[0])

    def _is_up(self):
        if self._child.poll() is not None:
            raise ProcessLookupError("it has ended")
        return self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")

    def run(self, *arguments, check=True):
        """Runs a command in it; its output."""
        command = ["nsenter", "--target", str(self.init), "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--",
                   "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
        try:
            return run(*command, *arguments)
        except RuntimeError as problem:
            if check:
                raise
            return str(problem)

    def write(self, path, text, mode=None):
        """Writes one of its files; the owner stays."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        if mode is not None:
            file.chmod(mode)

    def enter_network(self):
        with open(f"/proc/{self.init}/ns/net", "rb") as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def close(self):
        if self._child:
            if self._child.poll() is None:
                os.kill(self.init, signal.SIGKILL)  # and the kernel ends everything in it
            self._child.wait(30)
        if self._cgroup:
            for group in sorted(self._cgroup.rglob("*/"), reverse=True):
                group.rmdir()
            eventually(lambda: self._cgroup.rmdir() or True, what="an empty cgroup")
        run("umount", "--lazy", self.directory)
        self.directory.rmdir()
