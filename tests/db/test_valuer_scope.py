"""What a valuer of the panel may value, where, on which days, and for whom never."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from registry.asset.models import Asset, AssetClass
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.ownership import service as _ownership  # noqa: F401  (its guard of valuations)
from registry.party.models import Party
from registry.valuation import panel
from registry.valuation import service as valuations
from registry.valuation.models import Valuation, ValuationState
from registry.valuation.panel import PanelValuer
from tests import factories as make
from tests import ledger
from tests.dossiers import open_sample
from tests.factories import ACTORS, CHECKER, COMPLIANCE, Desk
from tests.owning import company_of, group_of, land_of

pytestmark = pytest.mark.db

DAY = timedelta(days=1)


@pytest.fixture
def valuer() -> Actor:
    return make.actor(Role.VALUER)


def on_panel(desk: Desk, valuer: Actor, **changes: Any) -> PanelValuer:
    said: dict[str, Any] = {"valuer": valuer.subject, "licence_no": "PBA-7", "begins_on": today()}
    entry = panel.propose_valuer(desk.session, COMPLIANCE, **(said | changes))
    return panel.confirm_valuer(desk.session, CHECKER, entry.id)


def opinion(desk: Desk, valuer: Actor, asset: Asset, **changes: Any) -> Valuation:
    said: dict[str, Any] = {
        "amount_paisa": 100,
        "basis_date": today() - 3 * DAY,
        "method": "MARKET_COMPARABLE",
    }
    return valuations.submit_valuation(
        desk.session, valuer, asset.id, report_sha256=bytes(32), **(said | changes)
    )


def accept(desk: Desk, valuation: Valuation) -> Valuation:
    return valuations.accept_valuation(desk.session, ACTORS[Role.VALUATION_CHECKER], valuation.id)


# Classes and regions

FLAT, WHEAT, CARGO = (
    AssetClass.LAND_APARTMENT,
    AssetClass.COMMODITY_WAREHOUSED,
    AssetClass.SHIPPING_EBL,
)
WITHIN = [
    (FLAT, None, None),
    (FLAT, [FLAT], None),
    (FLAT, [WHEAT, FLAT], ["PK-SD", "PK-PB"]),
    (FLAT, None, ["PK"]),
    # a cargo has no region: it is where its port of loading is
    (CARGO, [CARGO], ["PK"]),
]
BEYOND = [
    (FLAT, [WHEAT], None),
    (FLAT, None, ["PK-SD"]),
    (FLAT, [WHEAT], ["PK-PB"]),
    (FLAT, [FLAT], ["AE", "PK-SD"]),
    (CARGO, None, ["PK-BA"]),
    (CARGO, None, ["AE"]),
]


@pytest.mark.parametrize(("of", "classes", "regions"), WITHIN)
def test_accept__within_the_scope__stands(
    desk: Desk,
    valuer: Actor,
    of: AssetClass,
    classes: Sequence[AssetClass] | None,
    regions: Sequence[str] | None,
) -> None:
    on_panel(desk, valuer, asset_classes=classes, regions=regions)

    valuation = accept(desk, opinion(desk, valuer, open_sample(desk, of)))

    assert valuation.state == ValuationState.ACCEPTED


@pytest.mark.parametrize(("of", "classes", "regions"), BEYOND)
def test_accept__beyond_the_scope__is_refused(
    desk: Desk,
    valuer: Actor,
    of: AssetClass,
    classes: Sequence[AssetClass] | None,
    regions: Sequence[str] | None,
) -> None:
    on_panel(desk, valuer, asset_classes=classes, regions=regions)
    valuation = opinion(desk, valuer, open_sample(desk, of))

    with pytest.raises(Conflict, match="valuer_out_of_scope"):
        accept(desk, valuation)
    assert valuation.state == ValuationState.SUBMITTED


def test_accept__class_of_one_entry_and_region_of_another__is_refused(
    desk: Desk, valuer: Actor
) -> None:
    on_panel(desk, valuer, asset_classes=[FLAT], regions=["PK-SD"])
    on_panel(desk, valuer, asset_classes=[WHEAT], regions=["PK-PB"])
    valuation = opinion(desk, valuer, make.open_apartment(desk))
    with pytest.raises(Conflict, match="valuer_out_of_scope"):
        accept(desk, valuation)

    on_panel(desk, valuer, asset_classes=[FLAT], regions=["PK-PB"])
    assert accept(desk, valuation).state == ValuationState.ACCEPTED


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"asset_classes": []}, "panel_scope_wrong"),
        ({"regions": []}, "panel_scope_wrong"),
        ({"regions": ["PK-PB", "PK-ZZ"]}, "region_unknown"),
        ({"regions": ["ZZ"]}, "region_unknown"),
        ({"regions": ["pk"]}, "region_unknown"),
        ({"regions": ["Punjab"]}, "region_unknown"),
    ],
)
def test_propose__impossible_scope__is_refused(
    desk: Desk, valuer: Actor, limit: dict[str, Any], code: str
) -> None:
    with pytest.raises(Invalid, match=code):
        on_panel(desk, valuer, **limit)


@pytest.mark.parametrize("limit", ["asset_classes", "regions"])
def test_database__scope_of_nothing__is_refused(desk: Desk, valuer: Actor, limit: str) -> None:
    entry = on_panel(desk, valuer)

    with (
        pytest.raises(IntegrityError, match=f"ck_panel_valuer_{limit}"),
        desk.session.begin_nested(),
    ):
        desk.session.connection().execute(
            text(f"UPDATE panel_valuer SET {limit} = '[]' WHERE id = :id"), {"id": entry.id}
        )


# The day of the opinion, and that of its acceptance


def given_yesterday(desk: Desk, valuer: Actor) -> Valuation:
    valuation = opinion(desk, valuer, make.open_apartment(desk))
    valuation.recorded_at -= DAY
    desk.session.flush()
    return valuation


@pytest.mark.parametrize(
    ("begins", "ends"),
    # joined after the opinion; left before its acceptance
    [(today(), None), (today() - 30 * DAY, today() - DAY)],
)
def test_accept__on_the_panel_on_one_of_the_two_days_only__is_refused(
    desk: Desk, valuer: Actor, begins: Any, ends: Any
) -> None:
    on_panel(desk, valuer, begins_on=begins, ends_on=ends)
    valuation = given_yesterday(desk, valuer)

    with pytest.raises(Conflict, match="valuer_not_on_panel"):
        accept(desk, valuation)


@pytest.mark.parametrize(("then", "now"), [([FLAT], [WHEAT]), ([WHEAT], [FLAT])])
def test_accept__within_the_scope_of_one_of_the_two_days_only__is_refused(
    desk: Desk, valuer: Actor, then: list[AssetClass], now: list[AssetClass]
) -> None:
    on_panel(desk, valuer, begins_on=today() - 30 * DAY, ends_on=today() - DAY, asset_classes=then)
    on_panel(desk, valuer, asset_classes=now)
    valuation = given_yesterday(desk, valuer)

    with pytest.raises(Conflict, match="valuer_out_of_scope"):
        accept(desk, valuation)


def test_accept__on_the_panel_by_two_entries_in_turn__stands(desk: Desk, valuer: Actor) -> None:
    on_panel(desk, valuer, begins_on=today() - 30 * DAY, ends_on=today() - DAY)
    on_panel(desk, valuer, asset_classes=[FLAT])

    assert accept(desk, given_yesterday(desk, valuer)).state == ValuationState.ACCEPTED


# Connected to an owner


Pair = Callable[[Desk, Party], tuple[Party, Party]]
CONNECTED: dict[str, Pair] = {
    "the owner": lambda _, me: (me, me),
    "member of the group that owns": lambda desk, me: (
        me,
        group_of(desk, me, make.person(desk)),
    ),
    "beneficial owner of the owner": lambda desk, me: (me, company_of(desk, me)),
    "beneficial owner of a member": lambda desk, me: (
        me,
        group_of(desk, company_of(desk, me), make.person(desk)),
    ),
    "company of the owner": lambda desk, me: (company_of(desk, me), me),
    "company of the same person": lambda desk, me: (
        company_of(desk, me, make.person(desk)),
        company_of(desk, make.person(desk), me),
    ),
    "owner of the land that owns": lambda desk, me: (me, land_of(desk, me)),
    "behind the owner of the land that owns": lambda desk, me: (
        me,
        land_of(desk, company_of(desk, me)),
    ),
}


@pytest.mark.parametrize("pair", CONNECTED.values(), ids=CONNECTED)
def test_accept__valuer_connected_to_the_owner__is_forbidden(
    desk: Desk, valuer: Actor, pair: Pair
) -> None:
    me, owner = pair(desk, make.person(desk))
    on_panel(desk, valuer, party_id=me.id)
    asset = make.open_apartment(desk, make.person(desk), owner)
    valuation = opinion(desk, valuer, asset)

    with pytest.raises(Forbidden, match="valuer_connected"):
        accept(desk, valuation)
    assert valuation.state == ValuationState.SUBMITTED


def test_accept__valuer_whose_former_entry_says_who_they_are__is_forbidden(
    desk: Desk, valuer: Actor
) -> None:
    me = make.person(desk)
    on_panel(desk, valuer, party_id=me.id, begins_on=today() - 30 * DAY, ends_on=today() - 20 * DAY)
    on_panel(desk, valuer)

    with pytest.raises(Forbidden, match="valuer_connected"):
        accept(desk, opinion(desk, valuer, make.open_apartment(desk, me)))


def test_accept__valuer_who_acts_for_a_company_behind_which_the_owner_is__is_forbidden(
    desk: Desk,
) -> None:
    owner = make.person(desk)
    firm = company_of(desk, owner)
    valuer = make.actor(Role.VALUER, subject=make.issuer(desk, firm).actor.subject)
    make.put_on_panel(desk, valuer)

    with pytest.raises(Forbidden, match="valuer_connected"):
        accept(desk, opinion(desk, valuer, make.open_apartment(desk, owner)))


HOLDING: dict[str, Callable[[Desk, Party], tuple[Party, Party]]] = {
    "the holder": lambda _, holder: (holder, holder),
    "company of the holder": lambda desk, holder: (company_of(desk, holder), holder),
    "behind the company that holds": lambda desk, _: behind_company(desk),
    "company of who is behind the holder": lambda desk, _: beside_company(desk),
}


def behind_company(desk: Desk) -> tuple[Party, Party]:
    me = make.person(desk)
    return me, company_of(desk, me)


def beside_company(desk: Desk) -> tuple[Party, Party]:
    somebody, firm = behind_company(desk)
    return company_of(desk, make.person(desk), somebody), firm


@pytest.mark.parametrize("pair", HOLDING.values(), ids=HOLDING)
def test_accept__valuer_connected_to_a_holder_of_the_token__is_forbidden_while_they_hold(
    desk: Desk, valuer: Actor, pair: Pair
) -> None:
    chain = ledger.live(desk, 60, 40)
    stranger, buyer = chain.holders
    me, holder = pair(desk, desk.session.get_one(Party, buyer.investor.party_id))
    buyer.investor.party_id = holder.id
    desk.session.flush()
    on_panel(desk, valuer, party_id=me.id)
    said = {"amount_paisa": make.VALUE_PAISA, "basis_date": today()}
    valuation = opinion(desk, valuer, chain.wrapped.asset, **said)

    with pytest.raises(Forbidden, match=r"valuer_connected.*token"):
        accept(desk, valuation)
    assert valuation.state == ValuationState.SUBMITTED
    chain.move(buyer.wallet.address, stranger.wallet.address, 40)
    assert accept(desk, valuation).state == ValuationState.ACCEPTED


def test_accept__valuer_who_holds_the_token_of_something_else__stands(
    desk: Desk, valuer: Actor
) -> None:
    chain = ledger.live(desk, 60, 40)
    on_panel(desk, valuer, party_id=chain.holders[0].investor.party_id)

    other = opinion(desk, valuer, make.open_apartment(desk))

    assert accept(desk, other).state == ValuationState.ACCEPTED


def test_accept__recorded_valuer_who_has_nothing_to_do_with_it__stands(
    desk: Desk, valuer: Actor
) -> None:
    me = make.person(desk)
    group_of(desk, me, make.person(desk))
    on_panel(desk, valuer, party_id=company_of(desk, me).id)
    asset = make.open_apartment(desk, group_of(desk, make.person(desk), make.person(desk)))

    assert accept(desk, opinion(desk, valuer, asset)).state == ValuationState.ACCEPTED


def test_propose__party_that_nobody_recorded__is_not_found(desk: Desk, valuer: Actor) -> None:
    with pytest.raises(NotFound):
        on_panel(desk, valuer, party_id=UUID(int=7))
