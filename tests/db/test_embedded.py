import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from registry.kernel.embedded import EmbeddedPostgres
from registry.kernel.service_directory import EmbeddedServiceError
from tests.conftest import open_folder

pytestmark = pytest.mark.db

ROOT = Path(__file__).resolve().parents[2]
# A program that starts the server, says so, and waits to be killed.
PROGRAM = """
import sys, time
from pathlib import Path
from registry.kernel.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """A directory whose cluster exists, so that most tests need not make one."""
    with open_folder() as directory:
        with EmbeddedPostgres(directory):
            pass
        yield directory


@pytest.fixture
def server(cluster: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(cluster) as running:
        yield running


def run_sql(url: str, *statements: str) -> list[object]:
    """Run each statement in one transaction; return the first column of the last answer."""
    engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            answer = connection.execute(sqlalchemy.text(statement))
        return [row[0] for row in answer] if answer.returns_rows else []


def start_program(directory: Path) -> tuple[subprocess.Popen[str], int]:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(directory)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    return program, int(program.stdout.readline())


def kill_program(program: subprocess.Popen[str]) -> None:
    program.kill()
    program.wait()
    assert program.stdout is not None
    program.stdout.close()


def kill_server(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


def live_processes(directory: Path) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(directory) in " ".join(process.info["cmdline"] or [])
    ]


def test_start__stopped_before__keeps_the_data(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "deep" / "er") as first:
        run_sql(first.start(), "CREATE TABLE deed (n int)", "INSERT INTO deed VALUES (7)")

    with EmbeddedPostgres(tmp_path / "deep" / "er") as second:
        assert run_sql(second.start(), "SELECT n FROM deed") == [7]


def test_start__running__syncs_to_disk_and_listens_to_no_network(server: EmbeddedPostgres) -> None:
    settings = "'fsync','full_page_writes','synchronous_commit','listen_addresses','TimeZone'"
    answer = run_sql(
        server.start(), f"SELECT setting FROM pg_settings WHERE name IN ({settings}) ORDER BY name"
    )

    assert sorted(str(value) for value in answer) == ["", "UTC", "on", "on", "on"]


def test_start__text__is_sorted_and_folded_alike_everywhere(server: EmbeddedPostgres) -> None:
    names = "(VALUES ('b'), ('A'), ('ä'), ('a')) AS v(name)"

    assert run_sql(server.start(), f"SELECT name FROM {names} ORDER BY name") == list("Aabä")
    assert run_sql(server.start(), "SELECT upper('ä')") == ["Ä"]


def test_stop__running__leaves_no_process(cluster: Path) -> None:
    server = EmbeddedPostgres(cluster)
    server.start()
    assert live_processes(cluster)

    server.stop()

    assert live_processes(cluster) == []
    assert server.pid is None
    server.stop()


def test_start__server_killed__recovers_what_was_committed(cluster: Path) -> None:
    with EmbeddedPostgres(cluster) as server:
        run_sql(server.start(), "CREATE TABLE killed AS SELECT 1 AS n")
        kill_server(server)

        assert run_sql(server.start(), "SELECT n FROM killed") == [1]


def test_start__killed_server_leaves_busy_backend__waits_for_it(cluster: Path) -> None:
    with EmbeddedPostgres(cluster) as server:
        engine = sqlalchemy.create_engine(server.start(), poolclass=NullPool)
        with engine.connect() as connection:
            backend = connection.execute(sqlalchemy.text("SELECT pg_backend_pid()")).scalar_one()
            # A backend that cannot notice for a while that its server is gone.
            os.kill(backend, signal.SIGSTOP)
            kill_server(server)
            waker = subprocess.Popen(["/bin/sh", "-c", f"sleep 1; kill -CONT {backend}"])

            assert run_sql(server.start(), "SELECT 1") == [1]
            assert waker.wait() == 0
            connection.invalidate()


@pytest.mark.parametrize("content", ["", "garbage\n", "{pid}\nx\n"])
def test_start__stale_pid_file__is_ignored(cluster: Path, content: str) -> None:
    # The number of a living process that is not the server: this one.
    (cluster / "pgdata" / "postmaster.pid").write_text(content.format(pid=os.getpid()))

    with EmbeddedPostgres(cluster) as server:
        assert run_sql(server.start(), "SELECT 1") == [1]


def test_start__program_killed__takes_over_its_server(cluster: Path) -> None:
    program, pid = start_program(cluster)
    kill_program(program)
    assert psutil.pid_exists(pid)

    server = EmbeddedPostgres(cluster)
    url = server.start()

    assert server.pid == pid
    assert run_sql(url, "SELECT 1") == [1]
    server.stop()
    assert live_processes(cluster) == []


def test_start__program_and_server_killed__recovers(cluster: Path) -> None:
    program, pid = start_program(cluster)
    os.kill(pid, signal.SIGKILL)
    kill_program(program)

    with EmbeddedPostgres(cluster) as server:
        assert server.pid != pid
        assert run_sql(server.start(), "SELECT 1") == [1]


def test_start__other_program_runs__names_directory_and_process(cluster: Path) -> None:
    program, _ = start_program(cluster)
    try:
        with pytest.raises(EmbeddedServiceError) as refusal:
            EmbeddedPostgres(cluster).start()
        assert str(cluster) in str(refusal.value)
        assert str(program.pid) in str(refusal.value)
        assert refusal.value.remedy
        assert live_processes(cluster)
    finally:
        kill_program(program)
        with EmbeddedPostgres(cluster):
            pass


def test_start__killed_while_making_the_cluster__begins_again(tmp_path: Path) -> None:
    draft = tmp_path / "pgdata-new-abandoned"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres(tmp_path) as server:
        assert run_sql(server.start(), "SELECT 1") == [1]
    assert not draft.exists()


def test_start__directory_too_deep_for_a_socket__puts_it_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / "a, 'b' \"c\"" / ("d" * 100)

    with EmbeddedPostgres(deep) as server:
        url = server.start()
        host = Path(sqlalchemy.make_url(url).query["host"])  # type: ignore[arg-type]
        assert run_sql(url, "SELECT 1") == [1]
        assert host.stat().st_mode & 0o077 == 0
    assert not host.exists()


def test_start__cluster_of_another_version__is_refused(tmp_path: Path) -> None:
    (tmp_path / "pgdata").mkdir()
    (tmp_path / "pgdata" / "PG_VERSION").write_text("16\n")

    with pytest.raises(EmbeddedServiceError, match="PostgreSQL 16"):
        EmbeddedPostgres(tmp_path).start()


def test_start__directory_is_a_file__names_cause_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EmbeddedServiceError, match="DATABASE_URL"):
        EmbeddedPostgres(tmp_path / "file").start()
