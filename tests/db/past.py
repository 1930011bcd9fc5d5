"""The register at a moment: as it is read, and as the journal alone replays it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.history.tables import LEGAL_TABLES
from registry.journal.check import check
from registry.journal.leaves import bodies
from registry.journal.models import JournalLeaf
from registry.journal.sealer import seal_all
from registry.kernel.db import Database
from registry.sweep.service import sweep

State = dict[str, list[str]]


def state_of(session: Session) -> State:
    """Read every legal row, without what may name a person."""
    found = {}
    for table in LEGAL_TABLES:
        rows = session.connection().execute(
            text(f"SELECT to_jsonb(t) - CAST(:hidden AS text[]) FROM {table.name} AS t"),
            {"hidden": [*table.private, *table.keeping]},
        )
        found[table.name] = sorted(json.dumps(row, sort_keys=True) for row in rows.scalars())
    return found


def replay(entries: list[dict[str, Any]], until: datetime) -> State:
    """Build the state at a moment from the journal alone."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        is_image = entry["kind"] == "fact" and entry["op"] != "ROWS"
        if is_image and datetime.fromisoformat(entry["recorded_at"]) <= until:
            key = entry["table"], entry["row_id"]
            if entry["op"] == "DELETE":
                del rows[key]
            else:
                rows[key] = entry["image"]
    found: State = {table.name: [] for table in LEGAL_TABLES}
    for (table, _), image in rows.items():
        found[table].append(json.dumps(image, sort_keys=True))
    return {table: sorted(images) for table, images in found.items()}


def journal_of(database: Database) -> list[dict[str, Any]]:
    seal_all(database)
    with database.reading() as session:
        leaves = session.exec(select(JournalLeaf).order_by(col(JournalLeaf.seq))).all()
        return [bodies_of(session, leaf) for leaf in leaves]


def bodies_of(session: Session, leaf: JournalLeaf) -> dict[str, Any]:
    [(_, body)] = bodies(session, leaf.kind, [leaf.entry_id])
    return body


@dataclass
class Watch:
    """What was seen of the register, and when: its past must say the same."""

    database: Database
    seen: list[tuple[datetime, State]] = field(default_factory=list)

    def look(self) -> datetime:
        with self.database.reading() as session:
            moment: datetime = (
                session.connection().execute(text("SELECT clock_timestamp()")).scalar_one()
            )
            self.seen.append((moment, state_of(session)))
        return moment

    def hold(self) -> None:
        """Read the register at every moment of the past, and replay the journal to it.

        Before that the clocks ring: what they change has its act, as what people do.
        """
        sweep(self.database)
        entries = journal_of(self.database)
        # A pledge that was released leaves everything as before; a step that does nothing is none.
        states = [state for _, state in self.seen]
        assert all(before != after for before, after in pairwise(states))
        for moment, state in self.seen:
            with self.database.reading(known_at=moment) as past:
                assert state_of(past) == state
            assert replay(entries, moment) == state
        with self.database.reading() as session:
            faults = [found for found in check(session) if isinstance(found, str)]
        # The panel of the tests is written past the use cases, which leave an act of each change.
        assert [fault for fault in faults if " of panel_valuer was" not in fault] == []
