"""R-09 against the node: what each holder has, asked of the token itself, at the block proven."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from chain.proving.reconciler import Reconciler
from registry.kernel.clock import today
from registry.reconciliation.models import RegisterStatement, RegisterStatementRow
from registry.wrapper.models import RegisterOfRecord
from tests.api.house import House
from tests.api.reports import rows_of
from tests.chain.bench import Bench
from tests.chain.market import FIRST, HELD, SECOND, Market
from tests.chain.test_eligibility_api import house_of
from tests.chain.test_reconciler import drained
from tests.chain.test_report_holders import persons
from tests.chain.world import address_of, ask, key_of

pytestmark = pytest.mark.chain

FALSE = 7
"""By so much the cap table is falsified, or the register of record differs."""


@dataclass(frozen=True)
class Registers:
    """A market, and the API on it."""

    market: Market
    house: House

    @property
    def token_id(self) -> UUID:
        return self.market.deal.tokenization_id

    def party_of(self, person: int) -> UUID:
        investor = self.market.wallet(person).investor_id
        found: UUID = self.house.one("SELECT party_id FROM investor WHERE id = :id", id=investor)
        return found

    def by_the_node(self, block: int) -> dict[str, int]:
        """Ask the token itself for the balance of everybody who ever held it."""
        client, token = self.market.world.client, self.market.suite().token
        return {
            str(self.party_of(number)): int(
                ask(client, "Token", token, "balanceOf", address_of(key_of(number)), block=block)
            )
            for number in HELD
        }

    def rows(self, **query: Any) -> dict[str, dict[str, Any]]:
        found = rows_of(self.house, "R-09", token=self.token_id, limit=1, **query)
        return {row["party"]: row for row in found}

    def prove(self) -> None:
        """Take up the proofs that are due, of the cap table as it stands."""
        assert drained(Reconciler(self.market.world.database, self.market.world.client))

    def falsify(self, person: int) -> None:
        """Give somebody more in the cap table than the chain does."""
        with self.market.world.database.engine.begin() as connection:
            changed = connection.execute(
                text(
                    "UPDATE balance SET balance_units = balance_units + :more WHERE holder_no ="
                    " (SELECT holder_no FROM holder WHERE address = :address)"
                ),
                {"more": FALSE, "address": address_of(key_of(person))},
            )
            assert changed.rowcount == 1

    def state(self, person: int, units: int) -> None:
        """File what the register of record says at the end of today, of one holder only."""
        with self.market.world.database.transaction() as session:
            statement = RegisterStatement(
                tokenization_id=self.token_id, register_of_record=RegisterOfRecord.CDC_CDS,
                as_of=today(), block_number=0, uploaded_by="the-operations", differences=0,
            )  # fmt: skip
            session.add(statement)
            session.flush()
            session.add(
                RegisterStatementRow(
                    statement_id=statement.id, party_id=self.party_of(person), units=units
                )
            )


@pytest.fixture
def registers(minted: Market, tmp_path: Path) -> Iterator[Registers]:
    Bench(minted).index()
    with house_of(minted.world, tmp_path / "api", **persons()) as house:
        yield Registers(minted, house)


def test_r_09__registers_that_agree__are_what_the_node_says(registers: Registers) -> None:
    registers.prove()
    rows = registers.rows()

    [proven_at] = {row["proven_at_block"] for row in rows.values()}
    node = registers.by_the_node(proven_at)
    assert node == {party: int(row["chain"]) for party, row in rows.items()}
    assert node == {party: int(row["cap_table"]) for party, row in rows.items()}
    assert {row["difference"] for row in rows.values()} == {"0"}
    assert {row["register_of_record"] for row in rows.values()} == {None}


def test_r_09__cap_table_falsified__chain_is_still_what_the_node_says(
    registers: Registers,
) -> None:
    registers.falsify(FIRST)
    registers.prove()
    rows = registers.rows()

    [proven_at] = {row["proven_at_block"] for row in rows.values()}
    node = registers.by_the_node(proven_at)
    assert node == {party: int(row["chain"]) for party, row in rows.items()}
    first = str(registers.party_of(FIRST))
    assert int(rows[first]["cap_table"]) == node[first] + FALSE
    assert {party: int(row["difference"]) for party, row in rows.items()} == {
        party: FALSE if party == first else 0 for party in node
    }
    assert registers.rows(differences_only=True).keys() == {first}


def test_r_09__with_the_register_of_record__sets_all_three_beside_each_other(
    registers: Registers,
) -> None:
    registers.prove()
    first, second = (str(registers.party_of(person)) for person in (FIRST, SECOND))
    before = registers.by_the_node(registers.market.world.client.block_number())
    registers.state(FIRST, before[first] + FALSE)
    # As tomorrow asks: a statement is of the end of its day.
    rows = registers.rows(day=today())

    node = registers.by_the_node(rows[first]["proven_at_block"])
    assert node == {party: int(row["chain"]) for party, row in rows.items()}
    assert int(rows[first]["register_of_record"]) == node[first] + FALSE
    assert (rows[second]["register_of_record"], rows[second]["difference"]) == (
        "0", str(node[second]),
    )  # fmt: skip
    assert rows[first]["difference"] == str(FALSE)
    assert {row["statement_of"] for row in rows.values()} == {today().isoformat()}
