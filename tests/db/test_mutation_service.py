"""Mutations on a real register: shares that pass, versions that meet, people that differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from sqlmodel import col, select

from registry.journal.models import JournalEntry
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now, today
from registry.kernel.errors import Forbidden
from registry.lifecycle import reasons
from registry.mutation import service as mutations
from registry.mutation.forms import Estate, NewMutation, Side
from registry.mutation.heirs import Heir, Relation
from registry.mutation.models import Initiation, Mutation, MutationKind, MutationState
from registry.title import service as titles
from registry.title.models import Title, TitleState
from tests import deeds
from tests import factories as make
from tests.deeds import fractions_of, refusal
from tests.factories import CHECKER, MAKER, Desk

pytestmark = pytest.mark.db

A_MOMENT = timedelta(microseconds=1)
HALF = Fraction(1, 2)


# What is left to whom


def test_implement__sale_of_a_part__opens_a_version_where_the_old_one_ends(desk: Desk) -> None:
    title, seller, other = deeds.half_and_half(desk)
    buyer = make.person(desk)
    first = titles.current_version(desk.session, title.id)

    mutation = deeds.passed(desk, title, deeds.sale(seller, buyer, Fraction(1, 6)))

    believed, closed, opened = titles.list_versions(desk.session, title.id)[-3:]
    assert believed == first
    assert believed.superseded_at == closed.recorded_at == opened.recorded_at
    assert closed.valid_from == first.valid_from
    assert closed.valid_to == opened.valid_from == mutation.attested_at
    assert (opened.mutation_id, opened.maker, opened.checker) == (
        mutation.id,
        MAKER.subject,
        CHECKER.subject,
    )
    assert closed.mutation_id is None
    assert fractions_of(deeds.now_owned(desk, title), seller, other, buyer) == [
        Fraction(1, 3),
        HALF,
        Fraction(1, 6),
    ]
    assert (title.state, mutation.state) == (TitleState.ACTIVE, MutationState.IMPLEMENTED)


def test_implement__three_sevenths_of_a_row__is_the_vector(desk: Desk) -> None:
    a, b, c, d = (make.person(desk) for _ in range(4))
    title = deeds.farm(desk, deeds.owned(a=(a, 7), b=(b, 1), c=(c, 8)))

    deeds.passed(desk, title, deeds.sale(a, d, Fraction(3, 16)))

    after = deeds.now_owned(desk, title)
    assert after.kul_hissay == 16
    assert [after.fraction_of(party.id) * 16 for party in (a, b, c, d)] == [4, 1, 8, 3]


def test_implement__inheritance_by_table__gives_eighths(desk: Desk) -> None:
    family = [make.person(desk) for _ in range(6)]
    relations = [Relation.WIDOW, *[Relation.SON] * 2, *[Relation.DAUGHTER] * 3]
    deceased = make.person(desk)
    title = deeds.farm(desk, make.owned_by(deceased))
    heirs = tuple(Heir(party.id, role) for party, role in zip(family, relations, strict=True))

    mutation = deeds.passed(
        desk,
        title,
        NewMutation(
            kind=MutationKind.INHERITANCE,
            initiation=Initiation.ORAL,
            number=deeds.number(),
            estate=Estate(deceased.id, today(), heirs),
            witness_ids=[make.person(desk).id, make.person(desk).id],
        ),
    )

    after = deeds.now_owned(desk, title)
    assert after.kul_hissay == 8
    assert [after.fraction_of(heir.id) * 8 for heir in family] == [1, 2, 2, 1, 1, 1]
    assert titles.current_version(desk.session, title.id).basis == "RECORD_OF_RIGHTS"
    assert mutation.kul_hissay == 8


def test_implement__exchange__swaps_what_both_give(desk: Desk) -> None:
    title, one, other = deeds.half_and_half(desk)
    swap = deeds.sale(one, other, kind=MutationKind.EXCHANGE, kul_hissay=8)
    new = replace(
        swap,
        sellers=[Side(one.id, 2), Side(other.id, 1)],
        buyers=[Side(one.id, 1), Side(other.id, 2)],
    )

    deeds.passed(desk, title, new)

    assert fractions_of(deeds.now_owned(desk, title), one, other) == [
        Fraction(3, 8),
        Fraction(5, 8),
    ]


def test_implement__fard_badr__rewrites_the_first_day_and_no_right(desk: Desk) -> None:
    title, one, other = deeds.half_and_half(desk)
    first = titles.current_version(desk.session, title.id)
    new = NewMutation(
        kind=MutationKind.FARD_BADR,
        initiation=Initiation.REGISTERED_DEED,
        number=deeds.number(),
        kul_hissay=16,
    )

    deeds.passed(desk, title, new)

    corrected = titles.current_version(desk.session, title.id)
    assert (corrected.kul_hissay, corrected.valid_from) == (16, first.valid_from)
    assert fractions_of(deeds.now_owned(desk, title), one, other) == [HALF, HALF]
    assert (
        titles.version_at(
            desk.session, title.id, as_of=first.valid_from, known_at=first.recorded_at
        )
        == first
    )


def test_implement__fard_badr_that_changes_a_share__is_refused(desk: Desk) -> None:
    title, *_ = deeds.half_and_half(desk)
    new = NewMutation(
        kind=MutationKind.FARD_BADR,
        initiation=Initiation.REGISTERED_DEED,
        number=deeds.number(),
        kul_hissay=3,
    )
    mutation = deeds.attested(desk, deeds.entered(desk, title, new))

    assert refusal(lambda: deeds.implement(desk, mutation)) == (
        "shares_not_expressible",
        "SHR-02",
    )


# Two times


def test_implement__deed_of_the_past__is_valid_from_then_and_known_from_now(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    buyer = make.person(desk)
    first = titles.current_version(desk.session, title.id)
    deed = first.valid_from + A_MOMENT
    before_we_knew = now()

    deeds.passed(desk, title, deeds.sale(seller, buyer, HALF, effective_at=deed))

    def share(as_of: Any, known_at: Any) -> Fraction:
        version = titles.version_at(desk.session, title.id, as_of=as_of, known_at=known_at)
        return titles.ownership_of(desk.session, version).fraction_of(buyer.id)

    assert share(deed, now()) == HALF
    assert share(first.valid_from, now()) == 0
    assert share(deed, before_we_knew) == 0
    assert share(now() + timedelta(days=9), before_we_knew) == 0
    assert deed > first.valid_from


def test_lodge__deed_before_the_right_in_force__is_refused(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    began = titles.current_version(desk.session, title.id).valid_from
    new = deeds.sale(seller, make.person(desk), effective_at=began)

    assert refusal(lambda: deeds.entered(desk, title, new))[0] == "mutation_predates_title"


def test_lodge__deed_of_tomorrow__is_refused(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    new = deeds.sale(seller, make.person(desk), effective_at=now() + timedelta(days=1))

    assert refusal(lambda: deeds.entered(desk, title, new))[0] == "effective_in_future"


# Four people


@pytest.mark.parametrize("step", ["verify", "attest", "implement"])
def test_workflow__one_person_in_two_parts__is_refused(desk: Desk, step: str) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    everything = frozenset(Role)
    earlier = {
        "verify": [MAKER],
        "attest": [MAKER, deeds.FIELD_VERIFIER],
        "implement": [MAKER, deeds.FIELD_VERIFIER, deeds.REVENUE_OFFICER],
    }[step]
    prepare = {
        "verify": deeds.completed,
        "attest": deeds.verified,
        "implement": deeds.attested,
    }[step]
    prepare(desk, mutation)
    for person in earlier:
        who = Actor(person.subject, everything)
        act = {
            "verify": lambda who=who: mutations.verify_mutation(desk.session, who, mutation.id),
            "attest": lambda who=who: mutations.attest_mutation(
                desk.session, who, mutation.id, order_text="Attested."
            ),
            "implement": lambda who=who: mutations.implement_mutation(
                desk.session, who, mutation.id, appeal_filed=False
            ),
        }[step]
        assert refusal(act) == ("checker_is_maker", "APR-01")


# Reversal


def test_reverse__last_mutation__restores_the_right_from_the_same_instant(desk: Desk) -> None:
    title, seller, other = deeds.half_and_half(desk)
    buyer = make.person(desk)
    undone = deeds.passed(desk, title, deeds.sale(seller, buyer, HALF))
    sold = titles.current_version(desk.session, title.id)
    order = deeds.attested(desk, deeds.entered(desk, title, deeds.compensating(undone)))

    mutations.reverse_mutation(desk.session, CHECKER, undone.id, appeal_filed=True)

    restored = titles.current_version(desk.session, title.id)
    assert (undone.state, order.state) == (MutationState.REVERSED, MutationState.IMPLEMENTED)
    assert restored.valid_from == sold.valid_from
    assert restored.mutation_id == order.id
    assert fractions_of(deeds.now_owned(desk, title), seller, other, buyer) == [HALF, HALF, 0]
    assert (
        titles.version_at(desk.session, title.id, as_of=sold.valid_from, known_at=sold.recorded_at)
        == sold
    )


def reversed_by_order(desk: Desk, title: Title, undone: Mutation) -> Mutation:
    order = deeds.attested(desk, deeds.entered(desk, title, deeds.compensating(undone)))
    mutations.reverse_mutation(desk.session, CHECKER, undone.id, appeal_filed=True)
    return order


def test_reverse__the_reversal_itself__gives_back_what_was_sold(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    buyer = make.person(desk)
    sold = deeds.passed(desk, title, deeds.sale(seller, buyer, HALF))
    order = reversed_by_order(desk, title, sold)
    assert fractions_of(deeds.now_owned(desk, title), seller, buyer) == [HALF, 0]

    reversed_by_order(desk, title, order)

    assert fractions_of(deeds.now_owned(desk, title), seller, buyer) == [0, HALF]
    assert (sold.state, order.state) == (MutationState.REVERSED, MutationState.REVERSED)


def test_reverse__fard_badr__writes_the_shares_as_before(desk: Desk) -> None:
    title, *_ = deeds.half_and_half(desk)
    rewriting = NewMutation(
        kind=MutationKind.FARD_BADR,
        initiation=Initiation.REGISTERED_DEED,
        number=deeds.number(),
        kul_hissay=16,
    )
    rewritten = deeds.passed(desk, title, rewriting)

    reversed_by_order(desk, title, rewritten)

    assert deeds.now_owned(desk, title).kul_hissay == 2


def test_lodge__reversal_of_what_others_rest_on__is_refused(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    buyer, last = make.person(desk), make.person(desk)
    first = deeds.passed(desk, title, deeds.sale(seller, buyer, HALF))
    deeds.passed(desk, title, deeds.sale(buyer, last, HALF))

    assert (
        refusal(lambda: deeds.entered(desk, title, deeds.compensating(first)))[0]
        == "mutation_not_the_last"
    )


def test_withdraw__by_another_maker__waits_a_month(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    other = make.actor(Role.REGISTRAR_MAKER, subject="the-second-registrar_maker")
    assert refusal(lambda: mutations.withdraw_mutation(desk.session, other, mutation.id))[0] == (
        "not_the_maker"
    )

    mutation.recorded_at -= timedelta(days=30)
    desk.session.add(mutation)
    # What an officer has sent back a moment ago is being worked on.
    mutations.complete_mutation(desk.session, MAKER, mutation.id, deeds.instrument(desk, mutation))
    mutations.return_mutation(desk.session, deeds.FIELD_VERIFIER, mutation.id, reason="A witness.")
    with pytest.raises(Forbidden, match="not_the_maker"):
        mutations.withdraw_mutation(desk.session, other, mutation.id)
    month_later = now() + timedelta(days=30)
    monkeypatch.setattr(reasons, "now", lambda: month_later)
    mutations.withdraw_mutation(desk.session, other, mutation.id)
    assert mutation.state == MutationState.WITHDRAWN
    deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))


def test_lodge__reversal_of_an_open_mutation__is_refused(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    mutations.withdraw_mutation(desk.session, MAKER, mutation.id)

    assert (
        refusal(lambda: deeds.entered(desk, title, deeds.compensating(mutation)))[0]
        == "mutation_not_reversible"
    )


def test_journal__whole_mutation__names_every_step(desk: Desk) -> None:
    title, seller, _ = deeds.half_and_half(desk)
    mutation: Mutation = deeds.passed(desk, title, deeds.sale(seller, make.person(desk)))

    entries = desk.session.exec(
        select(JournalEntry.act)
        .where(col(JournalEntry.subject_id) == str(mutation.id))
        .order_by(col(JournalEntry.id))
    ).all()

    assert list(entries) == [
        "mutation_entered",
        "mutation_complete_dossier",
        "mutation_field_verify",
        "mutation_attest",
        "mutation_implement",
    ]
