"""One program writes a chain's cap table: others stand by; who was stopped writes no more."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from chain.sync.indexer import Indexer
from chain.sync.writer import Writer
from registry.captable.projection import CursorMoved
from tests.chain.suite import Suite, catch_up, cursor_of, shuffle
from tests.chain.test_worker import eventually
from tests.e2e.program import Program, start

pytestmark = pytest.mark.chain


@pytest.fixture
def held(suite: Suite) -> Suite:
    for number in range(5):
        suite.mint(number, 10_000)
    return suite


@dataclass
class Sync:
    """A sync in a process of its own."""

    process: Program
    log: Path

    def said(self, event: str) -> bool:
        return event in self.log.read_text("utf-8")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextlib.contextmanager
def program(suite: Suite, folder: Path) -> Iterator[Sync]:
    folder.mkdir()
    log = folder / "log"
    world = suite.world
    command = ["tests.chain.sync_process", world.database.url, world.node.url, str(folder)]
    process = start(command, os.environ, log)
    try:
        yield Sync(process, log)
    finally:
        process.send_signal(signal.SIGCONT)
        (folder / "hold").unlink(missing_ok=True)
        process.terminate()
        process.wait(30)


def is_projected(suite: Suite) -> bool:
    return cursor_of(suite.world.database).hash == suite.world.client.head().hash


def test_writer__killed__standby_takes_over(held: Suite, tmp_path: Path) -> None:
    with program(held, tmp_path / "first") as first:
        eventually(lambda: is_projected(held))
        with program(held, tmp_path / "second") as second:
            shuffle(held, seed=1, blocks=3)
            eventually(lambda: is_projected(held))
            assert not second.said("writer_took_over")

            first.process.kill()
            shuffle(held, seed=2, blocks=3)
            eventually(lambda: is_projected(held))

            assert second.said("writer_took_over")
            held.assert_exact()
    assert cursor_of(held.world.database).generation == 2


def test_writer__stopped_and_continued__its_range_is_refused(held: Suite, tmp_path: Path) -> None:
    with program(held, tmp_path / "first") as first:
        eventually(lambda: is_projected(held))
        (tmp_path / "first" / "hold").touch()
        shuffle(held, seed=1, blocks=2)
        eventually((tmp_path / "first" / "read").exists)
        before = cursor_of(held.world.database)
        first.send(signal.SIGSTOP)
        writer = Writer(held.world.database, held.world.client)
        eventually(writer.hold)
        (tmp_path / "first" / "hold").unlink()
        first.send(signal.SIGCONT)

        # The cursor stands where its range begins: nothing but the generation refuses it.
        eventually(lambda: first.said("CursorMoved") or first.said("writer_lost"))
        assert cursor_of(held.world.database).number == before.number
        assert not first.said(f'"last": {before.number + 2}')

        writer.release()
        eventually(lambda: is_projected(held))
    held.assert_exact()


def test_writer__stopped__standby_program_takes_over_and_both_agree(
    held: Suite, tmp_path: Path
) -> None:
    with program(held, tmp_path / "first") as first:
        eventually(lambda: is_projected(held))
        with program(held, tmp_path / "second") as second:
            first.send(signal.SIGSTOP)
            shuffle(held, seed=1, blocks=3)
            eventually(lambda: is_projected(held))
            assert second.said("writer_silent")
            first.send(signal.SIGCONT)
            shuffle(held, seed=2, blocks=3)
            eventually(lambda: is_projected(held))
            held.assert_exact()
            eventually(lambda: first.said("writer_lost"))


def test_writer__stopped_inside_its_transaction__does_not_hold_up_the_next(held: Suite) -> None:
    database, client = held.world.database, held.world.client
    first, second = Writer(database, client), Writer(database, client)
    assert first.hold()
    held.index(Indexer(first.database, client))
    with contextlib.suppress(SQLAlchemyError), first.database.transaction() as session:
        eventually(lambda: second.hold(by_force=True))
        with pytest.raises(OperationalError, match="terminat"):
            session.execute(text("SELECT 1"))
    with pytest.raises(CursorMoved):
        catch_up(Indexer(first.database, client))
    assert not first.hold()
    first.release()
    second.release()


def test_writer__fenced_out_while_it_holds_the_lock__claims_anew(held: Suite) -> None:
    """As a repair does: it needs the fence, not the role."""
    database, client = held.world.database, held.world.client
    writer = Writer(database, client)
    assert writer.hold()
    with database.transaction() as session:
        session.execute(text("UPDATE sync_cursor SET generation = generation + 1"))
    with pytest.raises(CursorMoved):
        catch_up(Indexer(writer.database, client))

    assert writer.hold()
    held.index(Indexer(writer.database, client))

    held.assert_exact()
    writer.release()


def test_writer__node_away__leaves_the_role_to_others(held: Suite) -> None:
    database = held.world.database
    writer = Writer(database, held.world.client)
    held.world.node.kill()
    with pytest.raises(Exception, match="Connection"):
        writer.hold()
    held.world.node.start()
    other = Writer(database, held.world.client)
    assert other.hold()
    other.release()
