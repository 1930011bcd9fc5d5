"""One schedule while it is played: its chain, its database, the processes that follow."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psycopg
from psycopg import sql

from tests.chaos.model.chain import Block, Chain
from tests.chaos.model.node import Ambush, Node
from tests.chaos.sync import faults, memory
from tests.chaos.sync.arena import Arena
from tests.chaos.sync.faults import Seen
from tests.chaos.sync.memory import Memory
from tests.chaos.sync.people import Crowd
from tests.chaos.sync.process import Place, follow
from tests.chaos.sync.schedule import Schedule, Step

END_SECONDS = 10.0
"""How long a sync may take to obey SIGTERM."""
LOOK_SECONDS = 0.01
PATIENT = "-c lock_timeout=30s"
"""Rather an error than a run that hangs."""
PEOPLE_OF_A_STEP = 100_000
_ENDED = {0, -signal.SIGKILL, -signal.SIGTERM}
"""By itself, killed, or told to end before it was up."""

# A sequence is not taken back with its transaction: it counts.
_COUNTS = "CREATE SEQUENCE IF NOT EXISTS chaos_failures MINVALUE 0 START 0"
_FAILS = """
CREATE OR REPLACE FUNCTION chaos_fails() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN
  PERFORM nextval('chaos_failures');
  RAISE EXCEPTION 'chaos' USING ERRCODE = {state};
END$$
"""
_CURSOR = "SELECT number, hash FROM sync_cursor"
_TRIGGER = """
CREATE TRIGGER chaos BEFORE INSERT OR UPDATE OR DELETE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION chaos_fails()
"""


class Run:
    """What the steps of a schedule work on."""

    def __init__(self, arena: Arena, schedule: Schedule, log: Path) -> None:
        self.arena = arena
        self.schedule = schedule
        self.chain = Chain(schedule.seed)
        self.node = Node(self.chain, schedule.habits, schedule.seed)
        self.database = arena.fresh()
        self.backup: str | None = None
        self.crowd = Crowd(f"crowd {schedule.seed}", 0)
        self._log = log
        self._met: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.memories: list[Memory] = []
        self.step = 0
        self._processes: list[ForkServerProcess] = []
        self._frozen: list[ForkServerProcess] = []
        self._armed: tuple[ForkServerProcess, str] | None = None
        self._reader: psycopg.Connection | None = None
        self._read_at: object = None
        self._broken: tuple[str, str] | None = None
        self._saved_memories = 0
        self.clock_seconds = 0
        """By so much the clock of a sync is off that starts now."""
        arena.server.serve(self.node, schedule.seed)
        arena.proxy.heal()
        arena.proxy.met.clear()

    def heal(self) -> None:
        """End every fault; somebody syncs then."""
        self.arena.server.heal()
        self.arena.proxy.heal()
        self.node.heal()
        # First: a table is not mended while somebody reads it, and whoever is stopped may lock it.
        self._end_reader()
        self.thaw()
        self.mend_table()
        self.clock_seconds = 0
        self.keep_alive()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()
        self._end_reader()
        for name in filter(None, (self.database, self.backup)):
            self.arena.drop(name)

    def met(self) -> Counter[str]:
        """Count the faults that really happened."""
        server, node, proxy = self.arena.server, self.node, self.arena.proxy
        told = [*server.met.elements(), *node.met.elements(), *proxy.met.elements()]
        return self._met + Counter(map(str, told)) + Counter(node.liar.told) + self._said()

    def note(self, what: str, times: int = 1) -> None:
        """Count what has happened."""
        self._met[what] += times

    def _said(self) -> Counter[str]:
        """Count what the syncs said of what they met, and what was done on the chain."""
        words = self._log.read_text("utf-8", errors="replace") if self._log.exists() else ""
        found: Counter[str] = Counter()
        for said, what in faults.SAID.items():
            found[what] += words.count(said)
        for block in self.chain.known.values():
            before = self.chain.known.get(block.parent_hash, block).timestamp
            found[Seen.SAME_TIME] += bool(block.number) and block.timestamp == before
            found[Seen.BACKWARDS] += block.timestamp < before
            for each in block.mined:
                name = faults.did if each.outcome.logs else faults.reverted
                found[name(each.act.what)] += 1
        return +found

    # -- the chain ---------------------------------------------------------------------------

    def mine(self, blocks: int, crowd: Crowd | None = None) -> None:
        for _ in range(blocks):
            with self.chain.lock:
                self.chain.mine((crowd or self.crowd).block(self.chain.head.state))

    def reorganize(self, step: Step, crowd: Crowd) -> bool:
        """Let another branch win; tell whether the sync had heard of what it takes away."""
        with self.chain.lock:
            lost = self.chain.take_away(step.amount)
            self.node.liar.lost = lost
            came = [
                self.chain.mine(acts)
                for acts in crowd.again(lost, step.more, self.chain.head.state)
            ]
            is_heard_of = self.has_heard_of(lost)
            if is_heard_of:
                self._note_reorg(lost, came)
            return is_heard_of

    def has_heard_of(self, blocks: Sequence[Block]) -> bool:
        """Tell whether the node has told the sync of any of these blocks."""
        return any(block.hash in self.node.heard_of for block in blocks)

    def _note_reorg(self, lost: Sequence[Block], came: Sequence[Block]) -> None:
        if len(came) > len(lost):
            self.note(Seen.LONGER)
        else:
            self.note(Seen.EQUAL if len(came) == len(lost) else Seen.SHORTER)
        was, now = (
            {each.act: (block.number, each.first_log) for block in blocks for each in block.mined}
            for blocks in (lost, came)
        )
        self.note(Seen.GONE, len(was.keys() - now.keys()))
        self.note(Seen.MOVED, sum(now[act] != was[act] for act in was.keys() & now.keys()))

    def people(self) -> Crowd:
        """Give a crowd of this step's own: when it acts must not change what others do."""
        return Crowd(f"crowd {self.schedule.seed} {self.step}", self.step * PEOPLE_OF_A_STEP)

    def ambush(self, step: Step, spring: Callable[[], object]) -> None:
        def counted() -> None:
            # A signal that reaches nobody, or a reorg of nothing, was none.
            if spring() != 0:
                self.note(faults.after_call(step.do, step.method))

        with self.chain.lock:
            self.node.ambushes.append(Ambush(step.method, step.skip, counted))

    def await_head(self, seconds: float) -> None:
        """Wait until the sync stands at the head, but no longer than so many seconds."""
        deadline = time.monotonic() + seconds
        with psycopg.connect(self._direct(), autocommit=True) as connection:
            while time.monotonic() < deadline:
                row = connection.execute("SELECT hash FROM sync_cursor").fetchone()
                if row is None or row[0] == self.chain.head.hash or not self.is_followed:
                    return
                time.sleep(LOOK_SECONDS)

    # -- the processes -----------------------------------------------------------------------

    def start(self, failpoint: str | None = None) -> None:
        place = Place(
            self.arena.proxied(self.database),
            self.arena.server.url,
            self.schedule.finality,
            self._log,
            failpoint,
            self.clock_seconds,
        )
        process = self.arena.processes.Process(target=follow, args=(place,), daemon=True)
        process.start()
        if failpoint:
            self._armed = process, failpoint
        self._processes.append(process)
        self.note(Seen.CLOCK, bool(self.clock_seconds))

    @property
    def has_living(self) -> bool:
        """Whether some sync is there, stopped or not."""
        return any(process.is_alive() for process in self._processes)

    def signal_all(self, number: signal.Signals) -> int:
        """Send a signal to every sync; return how many there were."""
        living = [process.pid for process in self._processes if process.is_alive()]
        for pid in filter(None, living):
            os.kill(pid, number)
        return len(living)

    def end_all(self, number: signal.Signals) -> None:
        self.note_failpoint()
        self._armed = None
        self.thaw()
        ended = {signal.SIGKILL: Seen.KILLED, signal.SIGTERM: Seen.ENDED}
        self.note(ended[number], self.signal_all(number))
        for process in self._processes:
            process.join(END_SECONDS)
            if process.exitcode not in _ENDED:
                self.complaints.append(f"a sync ended with {process.exitcode} after {number.name}")
                process.kill()
                process.join()
        self._processes.clear()

    def freeze(self) -> None:
        self.note(Seen.FROZEN, self.signal_all(signal.SIGSTOP))
        self._frozen += self._processes

    def thaw(self) -> None:
        self.signal_all(signal.SIGCONT)
        self._frozen.clear()

    def note_failpoint(self) -> None:
        """Count a failpoint that has killed its process."""
        if self._armed is not None and self._armed[0].exitcode is not None:
            process, failpoint = self._armed
            self.note(failpoint.partition(":")[0], process.exitcode == -signal.SIGKILL)
            self._armed = None

    @property
    def is_followed(self) -> bool:
        """Whether some sync runs."""
        return any(each.is_alive() and each not in self._frozen for each in self._processes)

    def keep_alive(self) -> None:
        """Start one where none runs: a failpoint may have been met."""
        self.note_failpoint()
        for process in self._processes:
            if process.exitcode not in {None, *_ENDED}:
                raise RuntimeError(f"a sync ended by itself with {process.exitcode}")
        if not self.is_followed:
            self.start()

    # -- the database ------------------------------------------------------------------------

    def remember(self) -> None:
        """Keep what a reader sees now."""
        seen = memory.look(self._direct())
        if seen is not None:
            self.memories.append(seen)

    def break_table(self, table: str, state: str) -> None:
        """Let every write to a table fail, as a full disk or a deadlock would."""
        with psycopg.connect(self._direct(), autocommit=True, options=PATIENT) as connection:
            connection.execute(_COUNTS)
            connection.execute("SELECT setval('chaos_failures', 0, false)")
            connection.execute(sql.SQL(_FAILS).format(state=sql.Literal(state)))
            connection.execute(sql.SQL(_TRIGGER).format(table=sql.Identifier(table)))
        self._broken = table, state

    def mend_table(self) -> None:
        if self._broken is not None:
            table, state = self._broken
            with psycopg.connect(self._direct(), autocommit=True, options=PATIENT) as connection:
                drop = sql.SQL("DROP TRIGGER IF EXISTS chaos ON {}")
                connection.execute(drop.format(sql.Identifier(table)))
                failed = connection.execute("SELECT nextval('chaos_failures')").fetchone()
            self.note(faults.failing(state), failed[0] if failed else 0)
            self._broken = None

    def cancel_statements(self) -> int:
        """Cancel what runs; return how many statements there were."""
        cancelled = self.arena.admin.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND state = 'active' AND backend_type = 'client backend'",
            [self.database],
        ).fetchall()
        return sum(is_sent for (is_sent,) in cancelled)

    def hold_snapshot(self) -> None:
        """Read everything and do not end: nothing that is deleted meanwhile may be vacuumed."""
        if self._reader is None:
            self._reader = psycopg.connect(self._direct())
            self._reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._reader.execute("SELECT count(*) FROM token_event, balance_at")
            self._read_at = self._reader.execute(_CURSOR).fetchone()

    def _end_reader(self) -> None:
        if self._reader is not None:
            self._reader.rollback()
            self.note(Seen.LONG_READER, self._reader.execute(_CURSOR).fetchone() != self._read_at)
            self._reader.close()
            self._reader = None

    def save(self) -> None:
        """Back the database up; what is copied must be at rest."""
        self._rest()
        if self.backup is not None:
            self.arena.drop(self.backup)
        self.backup = self.arena.copy(self.database, f"{self.database}_backup")
        self._saved_memories = len(self.memories)
        self.start()

    def restore(self) -> None:
        """Go on with what the backup holds, as after a lost disk."""
        assert self.backup is not None, "nothing was backed up"
        self._rest()
        self.note(Seen.RESTORED, self._cursor_of(self.database) != self._cursor_of(self.backup))
        self.arena.drop(self.database)
        self.database, self.backup = self.backup, None
        self._broken = None
        # What was seen since then, nobody knows any more.
        del self.memories[self._saved_memories :]
        self.start()

    def _cursor_of(self, database: str) -> object:
        with psycopg.connect(self.arena.direct(database).replace("+psycopg", "")) as connection:
            return connection.execute(_CURSOR).fetchone()

    def _rest(self) -> None:
        self.end_all(signal.SIGKILL)
        self._end_reader()
        self.arena.disconnect(self.database)

    def _direct(self) -> str:
        return self.arena.direct(self.database).replace("+psycopg", "")
