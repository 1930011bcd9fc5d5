"""Parties that stand for others: groups of people, and land that owns land (LADM)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from registry.asset.models import Asset
from registry.document.store import DocumentStore
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.kernel.vault import Vault
from registry.mutation import service as mutations
from registry.mutation.models import Mutation
from registry.onboarding import service as onboarding
from registry.party import service as parties
from registry.party.details import masked_name
from registry.party.group import Member, members_of, parts_of
from registry.party.models import Party, PartyKind
from registry.party.service import NewParty
from registry.title import owners
from registry.title import service as titles
from registry.wrapper import service as wrappers
from registry.wrapper.models import RegisterOfRecord, WrapperType
from tests import deeds
from tests import factories as make
from tests.db.races import together
from tests.factories import CHECKER, MAKER, Desk

pytestmark = pytest.mark.db


def group(desk: Desk, *members: Member, **changes: Any) -> Party:
    new: dict[str, Any] = {
        "kind": PartyKind.GROUP,
        "name": "Heirs of Karim Bux",
        "members": members,
    } | changes
    return owners.record_party(desk.session, desk.vault, MAKER, NewParty(**new))


def heirs(desk: Desk, *parts: int) -> tuple[Member, ...]:
    return tuple(Member(make.person(desk).id, part) for part in parts)


def owner_of(desk: Desk, asset: Asset, **changes: Any) -> Party:
    """Record whoever owns `asset`, for the time being, as a party."""
    new: dict[str, Any] = {
        "kind": PartyKind.ASSET_AS_PARTY,
        "name": "The plot in front",
        "asset_id": asset.id,
    }
    return owners.record_party(desk.session, desk.vault, MAKER, NewParty(**(new | changes)))


def owned_by(desk: Desk, asset: Asset) -> set[UUID]:
    ownership = deeds.now_owned(desk, titles.title_of_asset(desk.session, asset.id))
    return {share.party_id for share in ownership.shares}


def sold(desk: Desk, asset: Asset, buyer: Party) -> None:
    deeds.implemented(desk, sale_of(desk, asset, buyer))


def sale_of(desk: Desk, asset: Asset, buyer: Party) -> Mutation:
    title = titles.title_of_asset(desk.session, asset.id)
    [share] = deeds.now_owned(desk, title).shares
    seller = desk.session.get_one(Party, share.party_id)
    return deeds.entered(desk, title, deeds.sale(seller, buyer))


def registered_flat(desk: Desk, *held_by: Party) -> Asset:
    return make.registered(desk, make.open_apartment(desk, *held_by))


# Groups


def test_group__widow_and_children__hold_exact_parts(desk: Desk) -> None:
    members = heirs(desk, 1, 2, 2, 1, 1, 1)

    party = group(desk, *members)

    assert members_of(party) == members
    assert list(parts_of(party).values()) == [Fraction(n, 8) for n in (1, 2, 2, 1, 1, 1)]
    assert sum(parts_of(party).values()) == 1
    person = desk.session.get_one(Party, members[0].party_id)
    assert parts_of(person) == {person.id: Fraction(1)}


def test_group__its_name__is_sealed_and_masked_like_a_person(desk: Desk) -> None:
    party = group(desk, *heirs(desk, 1, 1))

    assert party.name is None
    assert "Karim" not in masked_name(desk.vault, party)


def test_group__owns_a_share__like_any_party(desk: Desk) -> None:
    party = group(desk, *heirs(desk, 1, 3))

    asset = registered_flat(desk, party)

    assert (
        deeds.now_owned(desk, titles.title_of_asset(desk.session, asset.id)).fraction_of(party.id)
        == 1
    )


@pytest.mark.parametrize(
    ("parts", "changes", "code"),
    [
        ((), {}, "members_required"),
        ((1,), {}, "members_required"),
        ((1, 0), {}, "share_not_positive"),
        ((1, -1), {}, "share_not_positive"),
        ((2**62, 1), {}, "share_not_positive"),
        ((1, 1), {"cnic": "35202-1234567-1"}, "identifier_not_applicable"),
        ((1, 1), {"lei": "506700GE1G29325QX363"}, "identifier_not_applicable"),
        ((1, 1), {"asset_id": uuid4()}, "asset_reference_wrong"),
        ((1, 1), {"father_or_spouse_name": "Bux"}, "personal_detail_not_applicable"),
        ((1, 1), {"kind": PartyKind.LEGAL, "cuin": "1234567"}, "members_not_applicable"),
    ],
)
def test_group__malformed__is_refused(
    desk: Desk, parts: tuple[int, ...], changes: dict[str, Any], code: str
) -> None:
    if changes.get("asset_id"):
        changes = {"asset_id": registered_flat(desk).id}
    with pytest.raises(Invalid, match=code):
        group(desk, *heirs(desk, *parts), **changes)


def test_group__member_twice_or_unknown_or_a_group__is_refused(desk: Desk) -> None:
    one, other = heirs(desk, 1, 1)
    inner = group(desk, one, other)

    for members, code in (
        ((one, other, one), "member_repeated"),
        ((one, Member(uuid4(), 1)), "member_unknown"),
        ((one, Member(inner.id, 1)), "member_unknown"),
    ):
        with pytest.raises(Invalid, match=code):
            group(desk, *members)


def test_group__its_members__never_change(desk: Desk) -> None:
    party = group(desk, *heirs(desk, 1, 1))

    with pytest.raises(IntegrityError, match="AUD-01"), desk.session.begin_nested():
        desk.session.connection().execute(
            text("UPDATE party SET members = '[]' WHERE id = :id"), {"id": party.id}
        )
    amended = parties.amend_party(
        desk.session, desk.vault, MAKER, party.id, party.version, {"name": "Heirs of Bux"}
    )
    assert len(members_of(amended)) == 2


@pytest.mark.parametrize("kind", [PartyKind.NATURAL, PartyKind.GROUP, PartyKind.ASSET_AS_PARTY])
def test_wrapper__no_company__is_refused(desk: Desk, kind: PartyKind) -> None:
    asset = registered_flat(desk)
    party = {
        PartyKind.NATURAL: lambda: make.person(desk),
        PartyKind.GROUP: lambda: group(desk, *heirs(desk, 1, 1)),
        PartyKind.ASSET_AS_PARTY: lambda: owner_of(desk, asset),
    }[kind]()

    with pytest.raises(Invalid, match="wrapper_not_a_company"):
        wrappers.name_wrapper(
            desk.session,
            MAKER,
            asset.id,
            party_id=party.id,
            wrapper_type=WrapperType.SPV_SHARES,
            register_of_record=RegisterOfRecord.COMPANY_REGISTER,
        )


# Land that owns land


def test_asset_as_party__registered_land__owns_the_strip(desk: Desk) -> None:
    plot = registered_flat(desk)
    party = owner_of(desk, plot)

    strip = registered_flat(desk, party)

    assert (
        deeds.now_owned(desk, titles.title_of_asset(desk.session, strip.id)).fraction_of(party.id)
        == 1
    )
    assert (party.asset_id, party.name) == (plot.id, "The plot in front")


def test_asset_as_party__twice__is_one_party(desk: Desk) -> None:
    plot = registered_flat(desk)
    owner_of(desk, plot)

    with pytest.raises(Conflict, match="party_exists"):
        owner_of(desk, plot)


def test_asset_as_party__draft_or_goods_or_nothing__is_refused(desk: Desk) -> None:
    with pytest.raises(Conflict, match="title_not_active"):
        owner_of(desk, make.open_apartment(desk))
    with pytest.raises(Invalid, match="asset_reference_wrong"):
        owner_of(desk, make.open_wheat(desk))
    with pytest.raises(NotFound):
        owner_of(desk, make.open_apartment(desk), asset_id=uuid4())
    with pytest.raises(Invalid, match="asset_reference_wrong"):
        owner_of(desk, make.open_apartment(desk), asset_id=None)


def test_asset_as_party__of_the_asset_itself__is_refused(desk: Desk) -> None:
    plot = registered_flat(desk)
    itself = owner_of(desk, plot)

    with pytest.raises(Invalid, match="owner_is_the_asset"):
        sold(desk, plot, itself)


def test_asset_as_party__in_a_circle_of_three__is_refused(desk: Desk) -> None:
    first = registered_flat(desk)
    second = registered_flat(desk, owner_of(desk, first))
    third = registered_flat(desk, owner_of(desk, second))

    with pytest.raises(Invalid, match="owner_is_the_asset"):
        sold(desk, first, owner_of(desk, third))


def test_asset_as_party__while_it_holds_land__does_not_end(desk: Desk) -> None:
    plot = registered_flat(desk)
    registered_flat(desk, owner_of(desk, plot))

    with pytest.raises(Conflict, match="holds_other_land"):
        onboarding.retire_asset(desk.session, CHECKER, plot.id, reason="washed away")


def test_asset_as_party__title_while_it_holds_land__is_not_cancelled(desk: Desk) -> None:
    plot = registered_flat(desk)
    registered_flat(desk, owner_of(desk, plot))
    title = titles.title_of_asset(desk.session, plot.id)

    with pytest.raises(Conflict, match="holds_other_land"):
        mutations.cancel_title(
            desk.session, CHECKER, title.id, order_document_id=None, reason="washed away"
        )


def test_asset_as_party__two_close_a_circle_at_one_moment__one_is_refused(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        plots = registered_flat(desk), registered_flat(desk)
        parties_of = [owner_of(desk, plot) for plot in plots]
        attested = [
            deeds.attested(desk, entered)
            for entered in (
                sale_of(desk, plots[0], parties_of[1]),
                sale_of(desk, plots[1], parties_of[0]),
            )
        ]
    numbers = [mutation.id for mutation in attested]

    def implement(number: UUID) -> Callable[[Session], object]:
        return lambda session: mutations.implement_mutation(
            session, CHECKER, number, appeal_filed=False
        )

    outcomes = together(fresh_database, [implement(number) for number in numbers])

    refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert [getattr(outcome, "code", outcome) for outcome in refused] == ["owner_is_the_asset"]
