"""What every embedded service stands on: one program a directory, and a clear error."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from pathlib import Path
from typing import Final

LOCK_WAIT_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.02
LOG_LIMIT_BYTES: Final = 1_000_000
LOG_TAIL_LINES: Final = 8


class EmbeddedServiceError(Exception):
    """An embedded service cannot run here.

    Parameters
    ----------
    cause
        One sentence: what stands in the way.
    remedy
        One sentence: what the operator can do about it.
    """

    def __init__(self, cause: str, *, remedy: str) -> None:
        super().__init__(f"{cause} {remedy}")
        self.cause = cause
        self.remedy = remedy


class DirectoryLock:
    """One program at a time in a directory.

    The kernel holds the lock for the open file, so it ends with the program, however that ends.
    Children do not inherit it: Python opens files close-on-exec.

    Parameters
    ----------
    directory
        Created when missing.
    service
        Named in the error, e.g. ``PostgreSQL``.
    """

    def __init__(self, directory: Path, service: str) -> None:
        self._path = directory / "lock"
        self._service = service
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take the lock, waiting a second for a program that is just ending.

        Raises
        ------
        EmbeddedServiceError
            Another program (or another object of this one) holds it.
        """
        assert self._descriptor is None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(POLL_SECONDS)
                    continue
                holder = os.pread(descriptor, 20, 0).decode() or "unknown"
                os.close(descriptor)
                raise EmbeddedServiceError(
                    f"The embedded {self._service} in {self._path.parent} is in use by another "
                    f"program, process {holder}.",
                    remedy="Stop that program, or give this one another directory.",
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            self._descriptor = descriptor
            return

    def release(self) -> None:
        # The file stays: unlinking it would let two programs lock two files of one name.
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def command_line(pid: int) -> str:
    """The arguments of a process joined by blanks; empty when it is gone, or a zombie."""
    proc = Path("/proc")
    if (proc / "self").exists():
        try:
            raw = (proc / str(pid) / "cmdline").read_bytes()
        except OSError:
            return ""
        return os.fsdecode(raw.rstrip(b"\0").replace(b"\0", b" "))
    listed = subprocess.run(  # noqa: S603 (fixed program, a number as its only variable)
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.strip()


def log_tail(log: Path, offset: int = 0) -> str:
    """The last lines that a service wrote to its log after `offset` bytes, on one line."""
    with log.open("rb") as file:
        file.seek(offset)
        lines = file.read().decode(errors="replace").splitlines()
    return " | ".join(line.strip() for line in lines[-LOG_TAIL_LINES:] if line.strip())
