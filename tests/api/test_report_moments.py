"""Reports of a moment: what had happened by then, and what was known; and of how final a block."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest

from registry.bill_of_lading import possession
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.title import service as titles
from tests import deeds, goods, intakes
from tests import factories as make
from tests.api.house import House, problem_of
from tests.api.moves import Moves, minted, moves
from tests.api.reports import Replayed, ask, instant, read, rows_of
from tests.db.past import journal_of

pytestmark = pytest.mark.db


def both(moment: datetime) -> Iterator[dict[str, str]]:
    """Ask of a moment, and of now as it was known then."""
    yield {"as_of": moment.isoformat()}
    yield {"known_at": moment.isoformat()}


@pytest.fixture(scope="module")
def chain(house: House) -> Moves:
    return moves(house, 2)


# How final the block is


def test_r_05__finality__is_that_of_its_block_by_the_chain(chain: Moves) -> None:
    house, needed = chain.house, chain.house.services.settings.finality
    assert isinstance(needed, int)
    wallet = chain.buyers[0].wallet.address
    first = chain.mine(minted(wallet, 7))

    def finality(**when: Any) -> tuple[int, str]:
        envelope = read(house, "R-05", token=chain.token_id, **when)["envelope"]
        return envelope["block"]["number"], envelope["block"]["finality"]

    for _ in range(needed - 1):
        chain.mine()
    assert finality(as_of=f"block:{first}") == (first, "latest")
    last = chain.mine()
    assert last - first == needed
    assert finality(as_of=f"block:{first}") == (first, "finalized")
    assert finality(as_of=f"block:{first + 1}") == (first + 1, "latest")
    assert finality() == (last, "latest")

    lost = chain.mine(minted(wallet, 1))
    assert finality() == (lost, "latest")
    believed = house.one("SELECT clock_timestamp()").isoformat()
    chain.take_back_to(last, "second")
    assert finality(known_at=believed) == (lost, "orphaned")
    assert chain.mine() == lost
    assert finality() == (lost, "latest"), "another block of its number"


# What had happened, and what was known


def test_r_10__of_a_block_or_a_moment__is_what_was_minted_by_then(chain: Moves) -> None:
    house, token = chain.house, {"token": chain.token_id}
    wallet = chain.buyers[1].wallet.address
    before = rows_of(house, "R-10", **token)
    first = chain.mine(minted(wallet, 11))
    last = chain.mine(minted(wallet, 13))

    def units(**when: Any) -> list[str]:
        rows = rows_of(house, "R-10", **token, **when)
        assert rows[: len(before)] == before
        return [row["units"] for row in rows[len(before) :]]

    mined_at = chain.block(first).mined_at.isoformat()
    assert units() == ["11", "13"]
    assert units(as_of=f"block:{first}") == units(as_of=mined_at) == ["11"]
    assert units(as_of=f"block:{first - 1}") == []
    believed = house.one("SELECT clock_timestamp()").isoformat()
    chain.take_back_to(first, "third")
    assert chain.mine(minted(wallet, 17)) == last
    assert units() == ["11", "17"]
    assert units(known_at=believed) == ["11", "13"]


def test_r_20__of_a_moment__is_the_chain_of_the_bill_until_then(house: House) -> None:
    with house.desk() as desk:
        shipment, other = goods.issued_bill(desk), goods.side(desk)
    moment = now()
    with house.desk() as desk:
        possession.offer_possession(
            desk.session, shipment.shipper.actor, shipment.bill.id, to_party_id=other.party.id
        )
        possession.accept_offer(desk.session, other.actor, shipment.bill.id)

    def shown(**when: str) -> list[tuple[int, str]]:
        rows = rows_of(house, "R-20", reference=shipment.bill.reference, **when)
        return [(row["seq"], row["action"]) for row in rows]

    def by_journal(at: datetime | None) -> list[tuple[int, str]]:
        found = Replayed.of(house).rows("bill_endorsement", at=at, bill_id=shipment.bill.id)
        return sorted((row["seq"], row["action"]) for row in found)

    assert shown() == by_journal(None)
    assert len(shown()) > len(by_journal(moment)) > 0
    for when in both(moment):
        assert shown(**when) == by_journal(moment)


def test_r_22__of_a_moment__has_no_step_that_was_taken_later(house: House) -> None:
    with house.desk() as desk:
        asset = make.in_review(desk, make.open_apartment(desk))
        code = asset.code
    moment = now()
    with house.desk() as desk:
        make.approve_all(desk, desk.session.get_one(type(asset), asset.id))
    later = rows_of(house, "R-22", asset=code)

    earlier = [row for row in later if (instant(row["at"]) or moment) <= moment]
    assert {row["step"] for row in later} > {row["step"] for row in earlier}
    assert "approval" not in {row["step"] for row in earlier}
    for when in both(moment):
        assert rows_of(house, "R-22", asset=code, **when) == earlier


def test_r_25__of_a_moment__is_the_land_of_who_held_it_then(house: House) -> None:
    with house.desk() as desk:
        title, seller, buyer = deeds.half_and_half(desk)
    moment = now()
    with house.desk() as desk:
        owned = titles.get_title(desk.session, title.id)
        deeds.passed(desk, owned, deeds.sale(seller, buyer))

    def shown(**when: str) -> dict[str, Fraction]:
        sides = {str(seller.id), str(buyer.id)}
        rows = [row for row in rows_of(house, "R-25", **when) if row["party"] in sides]
        whole = sum(Fraction(row["area"]) for row in rows)
        return {row["party"]: Fraction(row["area"]) / whole for row in rows}

    def by_journal(at: datetime | None) -> dict[str, Fraction]:
        replayed = Replayed.of(house)
        [version] = [
            row
            for row in replayed.rows("title_version", at=at, title_id=title.id)
            if row["superseded_at"] is None and row["valid_to"] is None
        ]
        return {
            share["party_id"]: Fraction(share["hissa"], version["kul_hissay"])
            for share in replayed.rows("title_share", at=at, version_id=version["id"])
        }

    assert shown() == by_journal(None) != by_journal(moment)
    for when in both(moment):
        assert shown(**when) == by_journal(moment)


def test_r_27__of_a_moment__has_what_was_sealed_by_then(house: House) -> None:
    with house.desk() as desk:
        party = make.person(desk)
    journal_of(house.database)  # seals everything
    moment = now()
    why = {"reveal": "true", "purpose": "inquiry 13/2026", "legal_basis": "AML Act, s. 25"}
    path = f"/v1/parties/{party.id}"
    house.caller(Role.REGULATOR).get(path, **why).raise_for_status()
    journal_of(house.database)

    later = rows_of(house, "R-27", entity=str(party.id))
    earlier = [row for row in later if (instant(row["sealed_at"]) or moment) <= moment]
    assert 0 < len(earlier) < len(later)
    for when in both(moment):
        assert rows_of(house, "R-27", entity=str(party.id), **when) == earlier


# Before the chain was read


def test_r_04_and_r_15__chain_that_was_never_read__tell_of_land_and_hits(
    fresh_house: House,
) -> None:
    with fresh_house.desk() as desk:
        owner = make.person(desk)
        make.registered(desk, make.open_apartment(desk, owner))
        listed = intakes.listed_party(desk)
        subject, party = str(owner.id), str(listed)

    [held] = rows_of(fresh_house, "R-04", party=subject)
    assert (held["kind"], held["share"]) == ("DIRECT_TITLE", "1/1")
    [hit] = rows_of(fresh_house, "R-15")
    assert (hit["party"], hit["frozen_value"]["amount"]) == (party, "0.00")
    assert read(fresh_house, "R-04", party=subject)["envelope"]["block"] is None
    problem_of(ask(fresh_house, "R-04", party=subject, as_of="block:7"), 503, "sync_not_started")


def test_r_04_and_r_15__time_before_the_first_block__are_answered(chain: Moves) -> None:
    buyer = str(chain.buyers[0].investor.party_id)
    chain.mine(minted(chain.buyers[0].wallet.address, 3))
    before: dict[str, Any] = {"as_of": "2025-06-01T00:00:00Z"}

    assert rows_of(chain.house, "R-04", party=buyer, beneficial=False) != []
    assert rows_of(chain.house, "R-04", party=buyer, **before) == []
    assert rows_of(chain.house, "R-15", **before) == []
    questions: dict[str, dict[str, Any]] = {"R-04": {"party": buyer}, "R-15": {}}
    for code, asked in questions.items():
        assert ask(chain.house, code, as_of="block:1", **asked).status_code == 404
    assert ask(chain.house, "R-05", token=chain.token_id, **before).status_code == 404
