"""An exchange of land under two titles: both halves pass, or none (tabadla)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import pytest
from sqlmodel import Session

from registry.asset import service as assets
from registry.document.store import DocumentStore
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.vault import Vault
from registry.mutation import service as mutations
from registry.mutation.exchange import find_counterpart
from registry.mutation.forms import NewMutation, OtherHalf, Side
from registry.mutation.models import Mutation, MutationKind, MutationState
from registry.party.models import Party
from registry.title.models import Title, TitleState
from tests import deeds, liens
from tests import factories as make
from tests.db.races import together
from tests.factories import CHECKER, MAKER, Desk

pytestmark = pytest.mark.db

THIRD = Fraction(1, 3)


@dataclass(frozen=True)
class Swap:
    """One who owns a farm gives a third of it for the whole half of another farm."""

    here: Title
    there: Title
    one: Party
    other: Party

    def new(self, **changes: Any) -> NewMutation:
        there = OtherHalf(
            title_id=self.there.id,
            number=deeds.number(),
            kul_hissay=2,
            sellers=[Side(self.other.id, 1)],
            buyers=[Side(self.one.id, 1)],
        )
        new = deeds.sale(self.one, self.other, THIRD, kind=MutationKind.EXCHANGE)
        return replace(new, exchanged_for=replace(there, **changes))

    def owned(self, desk: Desk) -> list[list[Fraction]]:
        return [
            deeds.fractions_of(deeds.now_owned(desk, title), self.one, self.other)
            for title in (self.here, self.there)
        ]


BEFORE = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1, 2)]]
AFTER = [[1 - THIRD, THIRD], [Fraction(1, 2), Fraction(0)]]


def swap(desk: Desk) -> Swap:
    one = make.person(desk)
    here = deeds.farm(desk, make.owned_by(one))
    there, other, _ = deeds.half_and_half(desk)
    return Swap(here, there, one, other)


def halves(desk: Desk, deal: Swap) -> tuple[Mutation, Mutation]:
    first = mutations.lodge_mutation(desk.session, MAKER, deal.here.id, deal.new())
    second = find_counterpart(desk.session, first)
    assert second is not None
    return first, second


@pytest.mark.parametrize("asked", [0, 1])
def test_implement__either_half__writes_both(desk: Desk, asked: int) -> None:
    deal = swap(desk)
    both = [deeds.attested(desk, half) for half in halves(desk, deal)]
    assert deal.owned(desk) == BEFORE

    deeds.implement(desk, both[asked])

    assert deal.owned(desk) == AFTER
    assert [half.state for half in both] == [MutationState.IMPLEMENTED] * 2
    assert both[0].implemented_at == both[1].implemented_at
    assert [deal.here.state, deal.there.state] == [TitleState.ACTIVE] * 2


def test_lodge__exchange__opens_a_mutation_on_both_titles(desk: Desk) -> None:
    deal = swap(desk)
    first, second = halves(desk, deal)

    assert (first.title_id, second.title_id) == (deal.here.id, deal.there.id)
    assert find_counterpart(desk.session, second) is first
    for title in (deal.here, deal.there):
        with pytest.raises(Conflict, match="mutation_open"):
            deeds.entered(desk, title, deeds.sale(deal.one, deal.other))


def test_implement__other_half_not_attested__writes_nothing(desk: Desk) -> None:
    deal = swap(desk)
    first, second = halves(desk, deal)
    deeds.attested(desk, first)
    deeds.verified(desk, second)

    for half, code in ((first, "counterpart_not_attested"), (second, "transition_refused")):
        with pytest.raises(Conflict, match=code), desk.session.begin_nested():
            deeds.implement(desk, half)
    assert deal.owned(desk) == BEFORE


def test_implement__other_half_rejected__never_passes(desk: Desk) -> None:
    deal = swap(desk)
    first, second = halves(desk, deal)
    deeds.attested(desk, first)
    deeds.verified(desk, second)
    mutations.reject_mutation(
        desk.session, deeds.REVENUE_OFFICER, second.id, order_text="Not agreed."
    )

    with pytest.raises(Conflict, match="counterpart_not_attested"):
        deeds.implement(desk, first)


def test_implement__lien_on_the_other_title__writes_nothing(desk: Desk) -> None:
    deal = swap(desk)
    both = [deeds.attested(desk, half) for half in halves(desk, deal)]
    asset = assets.get_asset(desk.session, deal.there.asset_id)
    liens.active(desk, asset, kind=EncumbranceKind.STAY_ORDER)

    with pytest.raises(Conflict, match="transfer_blocked"), desk.session.begin_nested():
        deeds.implement(desk, both[0])
    desk.session.expire_all()
    assert deal.owned(desk) == BEFORE


def test_reverse__one_half_alone__is_refused_and_both_together_undo_both(desk: Desk) -> None:
    deal = swap(desk)
    first, second = (deeds.attested(desk, half) for half in halves(desk, deal))
    deeds.implement(desk, first)
    undoing = deeds.attested(desk, deeds.entered(desk, deal.here, deeds.compensating(first)))

    with pytest.raises(Conflict, match="counterpart_not_attested"):
        deeds.implement(desk, undoing)
    deeds.attested(desk, deeds.entered(desk, deal.there, deeds.compensating(second)))
    mutations.reverse_mutation(desk.session, CHECKER, second.id, appeal_filed=False)

    assert deal.owned(desk) == BEFORE
    assert [first.state, second.state] == [MutationState.REVERSED] * 2


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (lambda _deal, third: {"sellers": [Side(third.id, 1)]}, "exchange_uneven"),
        (lambda _deal, third: {"buyers": [Side(third.id, 1)]}, "exchange_uneven"),
        (lambda _deal, _third: {"sellers": []}, "exchange_uneven"),
        (lambda deal, _third: {"title_id": deal.here.id}, "exchange_not_applicable"),
        (lambda deal, _third: {"sellers": [Side(deal.other.id, 2)]}, "transfer_unbalanced"),
        (lambda _deal, _third: {"kul_hissay": 0}, "share_not_positive"),
    ],
)
def test_lodge__other_half_wrong__enters_neither(
    desk: Desk, wrong: Callable[[Swap, Party], dict[str, Any]], code: str
) -> None:
    deal = swap(desk)
    new = deal.new(**wrong(deal, make.person(desk)))

    with pytest.raises(Invalid, match=code), desk.session.begin_nested():
        mutations.lodge_mutation(desk.session, MAKER, deal.here.id, new)
    assert not mutations.list_mutations(desk.session, deal.here.id)


def test_lodge__sale_with_another_half__is_refused(desk: Desk) -> None:
    deal = swap(desk)
    new = replace(deal.new(), kind=MutationKind.SALE)

    with pytest.raises(Invalid, match="exchange_not_applicable"):
        mutations.lodge_mutation(desk.session, MAKER, deal.here.id, new)


def test_implement__both_halves_at_one_moment__pass_once(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        deal = swap(desk)
        both = [deeds.attested(desk, half) for half in halves(desk, deal)]

    def implement(half: Mutation) -> Callable[[Session], object]:
        return lambda session: mutations.implement_mutation(
            session, CHECKER, half.id, appeal_filed=False
        )

    outcomes = together(fresh_database, [implement(half) for half in both])

    refused = [getattr(outcome, "code", None) for outcome in outcomes]
    assert sorted(str(code) for code in refused) == ["None", "counterpart_not_attested"]
    with fresh_database.transaction() as session:
        assert deal.owned(Desk(session, vault, store)) == AFTER
