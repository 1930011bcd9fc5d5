"""Large holders by a wallet that they prove, while its chain is read again or loses blocks."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import col, select

from registry.alert.cursors import WALLETS
from registry.alert.models import AlertCursor, AlertRule
from registry.captable.catching_up import apply_part, begin_again
from registry.captable.events import ProjectedEvent, ProjectedRange
from registry.captable.models import EventKind
from registry.journal.models import JournalEntry
from tests import ledger
from tests.columns import split
from tests.db.test_alerts import (
    crossings,
    head,
    look,
    look_at_wallets,
    prove,
    raised,
    wallets,
)
from tests.factories import Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db

PROVEN = b"\7" * 20


def moved(source: bytes, target: bytes, units: int) -> dict[str, Any]:
    """Tell a transfer that is the same one when it is told again."""
    event = {"kind": EventKind.TRANSFER, "source": source, "target": target, "units": units}
    return event | {"tx_hash": b"\5" * 32}


def read_last_again(chain: Ledger, number: int, event: dict[str, Any]) -> None:
    """Read the last block of a token that is read apart, and let it join its chain."""
    said = ProjectedEvent(token=chain.address, block_number=number, log_index=0, **event)
    found = ProjectedRange(head_number=number, blocks=[chain.block(number)], **split([said]))
    apply_part(chain.desk.session, chain.token, found, joins=True)


def test_prove__while_the_token_is_read_again__is_told_once_it_is_read(desk: Desk) -> None:
    chain = ledger.live(desk, 940, 60)
    source, who = wallets(chain)[0], chain.holders[1]
    event = moved(source, PROVEN, 40)
    chain.mine(event)
    look(desk, chain)
    last = head(desk, chain)
    begin_again(desk.session, chain.token, after=last - 1)

    prove(desk, who, PROVEN)
    assert look_at_wallets(desk, chain) == 0
    assert desk.session.get(AlertCursor, WALLETS) is None, "nobody is passed over"

    read_last_again(chain, last, event)
    assert look_at_wallets(desk, chain) == 1
    assert crossings(desk)[1:] == [(who.investor.party_id, "UP")]


def standing(desk: Desk) -> list[tuple[object, str]]:
    found = raised(desk, AlertRule.LARGE_HOLDER_CROSSED)
    return [
        (alert.party_id, alert.evidence.get("proven_wallet", alert.evidence["direction"]))
        for alert in found
        if alert.taken_back_at is None
    ]


def test_reorg__takes_what_a_proven_wallet_held__takes_the_alert_back(desk: Desk) -> None:
    chain = ledger.live(desk, 940, 60)
    source, who = wallets(chain)[0], chain.holders[1]
    look(desk, chain)
    before = head(desk, chain)
    chain.mine(moved(source, PROVEN, 40))
    chain.pause()
    look(desk, chain)
    prove(desk, who, PROVEN)
    assert look_at_wallets(desk, chain) == 1
    told = raised(desk, AlertRule.LARGE_HOLDER_CROSSED)[-1]
    assert (told.block_number, told.tx_hash) == (before + 1, b"\5" * 32)

    chain.take_back(before)
    assert look_at_wallets(desk, chain) == 0, "the rules of the chain go back first"
    assert look(desk, chain) == 0
    assert standing(desk)[1:] == []

    chain.move(source, PROVEN, 45)
    assert look(desk, chain) == 1
    assert standing(desk)[1:] == [(who.investor.party_id, "UP")]


def test_reorg__takes_the_last_of_what_made_somebody_large__leaves_who_is_large_without_it(
    desk: Desk,
) -> None:
    chain = ledger.live(desk, 940, 60)
    source, who = wallets(chain)[0], chain.holders[1]
    chain.mine(moved(source, PROVEN, 40))
    look(desk, chain)
    before = head(desk, chain)
    chain.move(source, who.wallet.address, 1)
    look(desk, chain)
    prove(desk, who, PROVEN)
    assert look_at_wallets(desk, chain) == 1
    told = raised(desk, AlertRule.LARGE_HOLDER_CROSSED)[-1]
    assert told.evidence["after_units"] == "101"
    former = {"tx_hash": f"0x{(told.tx_hash or b'').hex()}", "evidence": dict(told.evidence)}

    chain.take_back(before)
    look(desk, chain)

    assert standing(desk)[1:] == [(who.investor.party_id, f"0x{PROVEN.hex()}")]
    again = raised(desk, AlertRule.LARGE_HOLDER_CROSSED)[-1]
    assert (again.id, again.block_number, again.tx_hash) == (told.id, before, b"\5" * 32)
    assert again.evidence["before_units"] == "60"
    assert again.evidence["after_units"] == "100"
    assert again.evidence["at_block"] == str(before)
    query = select(JournalEntry).where(col(JournalEntry.act) == "alert_stands_again")
    assert desk.session.exec(query).one().facts["former"] == former, "somebody may have judged it"


def test_reorg__takes_the_block_that_told_of_somebody__asks_of_the_wallet_proven_since(
    desk: Desk,
) -> None:
    chain = ledger.live(desk, 940, 60)
    source, who = wallets(chain)[0], chain.holders[1]
    chain.move(source, PROVEN, 40)
    look(desk, chain)
    before = head(desk, chain)
    chain.move(source, who.wallet.address, 45)
    assert look(desk, chain) == 1
    prove(desk, who, PROVEN)
    assert look_at_wallets(desk, chain) == 0, "they are told to be large"

    chain.take_back(before)
    assert look(desk, chain) == 1

    assert standing(desk)[1:] == [(who.investor.party_id, f"0x{PROVEN.hex()}")]
