"""Large holders by a wallet that they prove, while its chain is read again or loses blocks."""

from __future__ import annotations

from typing import Any

import pytest

from registry.alert import rounds
from registry.alert.models import AlertCursor
from registry.captable.catching_up import apply_part, begin_again
from registry.captable.events import ProjectedEvent, ProjectedRange
from registry.captable.models import EventKind
from tests import ledger
from tests.columns import split
from tests.db.test_alerts import crossings, head, look, look_at_wallets, prove, wallets
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
    assert desk.session.get(AlertCursor, rounds.WALLETS) is None, "nobody is passed over"

    read_last_again(chain, last, event)
    assert look_at_wallets(desk, chain) == 1
    assert crossings(desk)[1:] == [(who.investor.party_id, "UP")]
