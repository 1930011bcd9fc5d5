"""R-09 against the logs of the token, the statement that was filed, and the proof of the chain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlmodel import col, select

from registry.captable.models import Holder, Reconciliation, SyncCursor, TokenEvent
from registry.document.store import FolderStore
from registry.investor.models import Investor, Wallet
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.reconciliation import service as reconciliation
from registry.reconciliation import statements
from registry.reconciliation.service import run_checks
from tests import factories as make
from tests import ledger
from tests.api.house import House, house_settings, open_house
from tests.api.reports import rows_of
from tests.factories import ACTORS, Desk

pytestmark = pytest.mark.db

UNITS = (600, 400)
TOO_MANY = 5
"""By so many the register of record says more of the first holder."""


@dataclass(frozen=True)
class Filed:
    """A token of two holders, of whom the chain and a statement say different things."""

    house: House
    token_id: UUID
    day: date
    stated: dict[UUID, int]
    first: UUID


@pytest.fixture
def filed(fresh_database: Database, tmp_path: Path) -> Iterator[Filed]:
    settings = house_settings(tmp_path)
    vault = Vault(secret(settings.pii_key), secret(settings.pii_index_key))
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, FolderStore(tmp_path / "papers"))
        chain = ledger.live(desk, *UNITS)
        first, second = (holder.investor.party_id for holder in chain.holders)
        stated = {first: UNITS[0] + TOO_MANY, second: UNITS[1]}
        day = today() - timedelta(days=1)
        operations = make.actor(Role.OPERATIONS)
        statements.file_statement(
            session, operations, chain.tokenization.id, as_of=day, rows=list(stated.items())
        )
        _prove(desk, chain)
        run_checks(session, chain.tokenization.id)
        token_id, chain_id = chain.tokenization.id, chain.chain_id
    there = settings.model_copy(update={"chain_id": chain_id})
    with open_house(there, fresh_database) as house:
        yield Filed(house, token_id, day, stated, first)


def _prove(desk: Desk, chain: ledger.Ledger) -> None:
    """Record a proof, at the newest block, that found the first holder to have one unit less."""
    cursor = desk.session.get_one(SyncCursor, chain.chain_id)
    assert chain.token.token_no is not None
    address = chain.holders[0].wallet.address.hex()
    desk.session.add(
        Reconciliation(
            token_no=chain.token.token_no,
            block_number=cursor.number,
            block_hash=cursor.hash,
            holders=len(UNITS),
            projected_supply_units=sum(UNITS),
            chain_supply_units=sum(UNITS),
            differences=[
                {"what": "balance", "holder": f"0x{address}", "database": "600", "chain": "599"}
            ],
        )
    )
    desk.session.flush()


def secret(secret: SecretStr | None) -> str:
    assert secret is not None
    return secret.get_secret_value()


def by_the_logs(filed: Filed) -> Counter[UUID]:
    """Fold the token's logs; the report reads what is made of them."""
    held: Counter[UUID] = Counter()
    with filed.house.database.reading() as session:
        parties = {  # noqa: C416 - rows are not pairs to mypy
            number: party_id
            for number, party_id in session.exec(
                select(Holder.holder_no, Investor.party_id)
                .join(Wallet, col(Wallet.address) == col(Holder.address))
                .join(Investor, col(Investor.id) == col(Wallet.investor_id))
            ).all()
        }
        for event in session.exec(select(TokenEvent).where(col(TokenEvent.kind) == 1)):
            units = int(event.units or 0)
            if event.source is not None:
                held[parties[event.source]] -= units
            if event.target is not None:
                held[parties[event.target]] += units
    return held


def test_r_09__registers_that_differ__stand_beside_each_other(filed: Filed) -> None:
    rows = {
        UUID(row["party"]): row
        for row in rows_of(filed.house, "R-09", token=filed.token_id, limit=1)
    }
    held = by_the_logs(filed)

    assert rows.keys() == held.keys() == filed.stated.keys()
    for party_id, row in rows.items():
        chain = held[party_id] - (party_id == filed.first)
        assert row["cap_table"] == str(held[party_id])
        assert row["chain"] == str(chain)
        assert row["register_of_record"] == str(filed.stated[party_id])
        said = (held[party_id], chain, filed.stated[party_id])
        assert row["difference"] == str(max(said) - min(said))
        assert row["statement_of"] == filed.day.isoformat()
        assert row["proven_at_block"] >= row["block"]


def test_r_09__differences__have_their_break_and_its_age(filed: Filed) -> None:
    [row] = rows_of(filed.house, "R-09", token=filed.token_id, differences_only=True)

    assert UUID(row["party"]) == filed.first
    assert (row["break_state"], row["break_age_days"]) == ("OPEN", 0)
    found = filed.house.one(
        "SELECT count(*) FROM reconciliation_break WHERE id = :id", id=row["break_id"]
    )
    assert found == 1


def test_r_09__before_any_statement__has_no_register_of_record(filed: Filed) -> None:
    rows = rows_of(
        filed.house, "R-09", token=filed.token_id, day=(filed.day - timedelta(1)).isoformat()
    )

    assert {row["register_of_record"] for row in rows} == {None}
    assert {row["statement_of"] for row in rows} == {None}


def test_r_09__break_taken_on_since__was_open_at_the_time(filed: Filed) -> None:
    then = now()
    [row] = rows_of(filed.house, "R-09", token=filed.token_id, differences_only=True)
    with filed.house.desk() as desk:
        reconciliation.investigate_break(
            desk.session, ACTORS[Role.OPERATIONS], UUID(row["break_id"])
        )

    def state(**when: str) -> str:
        [row] = rows_of(filed.house, "R-09", token=filed.token_id, differences_only=True, **when)
        return str(row["break_state"])

    assert state(known_at=then.isoformat()) == state(as_of=then.isoformat()) == "OPEN"
    assert state() == "INVESTIGATING"
