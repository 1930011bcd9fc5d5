"""Since when R-04 says that a company with several wallets has held: whatever goes between them."""

from __future__ import annotations

import pytest

from registry.kernel.clock import now
from tests import factories as make
from tests import owning
from tests.api.house import House
from tests.api.moves import minted, moved, moves, wallet_no
from tests.api.reports import rows_of
from tests.owning import shares

pytestmark = pytest.mark.db


def test_r_04__units_that_went_to_another_wallet_of_theirs__are_held_as_before(
    house: House,
) -> None:
    chain = moves(house)
    with house.desk() as desk:
        party, owner = make.company(desk), make.person(desk)
        owning.declare(desk, party, shares(1, (owner, 1)))
        company = make.issuer(desk, party)
        other = make.proven_wallet(desk, company.actor, company.investor.id)
        one, two, owner_id = company.wallet.address, other.address, owner.id
    stranger = wallet_no(1)

    def known() -> str:
        return str(house.one("SELECT clock_timestamp()").isoformat())

    def since(**when: str) -> str:
        [row] = [
            row for row in rows_of(house, "R-04", party=owner_id, **when)
            if row["kind"] == "UBO_TOKEN"
        ]  # fmt: skip
        return str(row["since"])

    def time(number: int) -> str:
        return chain.block(number).mined_at.isoformat().replace("+00:00", "Z")

    first = chain.mine(minted(one, 10))
    kept = chain.mine(moved(one, two, 10))
    assert since() == since(as_of=f"block:{kept}") == time(first)
    chain.mine(moved(two, one, 4))
    chain.mine(moved(two, one, 6))
    back = known()
    chain.mine(moved(one, stranger, 10))
    again = chain.mine(moved(stranger, two, 10))
    gone = known()
    assert since() == time(again), "for a block they had nothing in any"

    chain.take_back_to(kept, "second")
    assert since() == since(known_at=back) == time(first)
    assert since(known_at=gone) == time(again)
    # What they give and get within a block they had at its beginning and have at its end.
    chain.mine(moved(two, stranger, 10), moved(stranger, one, 10))
    assert since(known_at=now().isoformat()) == time(first)
