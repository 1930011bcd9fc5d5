"""The walk of a mutation: four people, and everything that stops one of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from registry.asset.models import Asset
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from registry.mutation import service as mutations
from registry.mutation.models import Mutation
from registry.title import service as titles
from registry.tokenization.liens import put_encumbrance_in_force
from tests import deeds
from tests import factories as make
from tests.api.town import lodge
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk
from tests.factories import CHECKER, MAKER, Desk

A_MAKER = make.actor(Role.REGISTRAR_MAKER)
MAKER_IN_THE_FIELD = Actor(MAKER.subject, frozenset({Role.FIELD_VERIFIER}))
ORDER = "Ordered in open assembly."


def entered(desk: Desk) -> Mutation:
    title, seller, _ = deeds.half_and_half(desk)
    return deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))


@after(entered)
def completed(desk: Desk, mutation: Mutation) -> Mutation:
    return deeds.completed(desk, mutation)


@after(entered)
def verified(desk: Desk, mutation: Mutation) -> Mutation:
    return deeds.verified(desk, mutation)


@after(entered)
def attested(desk: Desk, mutation: Mutation) -> Mutation:
    return deeds.attested(desk, mutation)


@after(entered)
def implemented(desk: Desk, mutation: Mutation) -> Mutation:
    return deeds.implemented(desk, mutation)


@after(verified)
def stayed(desk: Desk, mutation: Mutation) -> Mutation:
    return mutations.stay_mutation(
        desk.session, deeds.REVENUE_OFFICER, mutation.id, reason="A stay was announced."
    )


@after(entered)
def noticed_tomorrow(desk: Desk, mutation: Mutation) -> Mutation:
    paper = deeds.instrument(desk, mutation, notice_on=today() + timedelta(days=1))
    mutations.complete_mutation(desk.session, MAKER, mutation.id, paper)
    return mutations.verify_mutation(desk.session, deeds.FIELD_VERIFIER, mutation.id)


def attest_after_the_notice(desk: Desk, mutation: Mutation) -> None:
    mutation.notice_on = today()
    deeds.attest(desk, mutation)


@after(stayed)
def under_caveat(desk: Desk, mutation: Mutation) -> Mutation:
    title = titles.get_title(desk.session, mutation.title_id)
    lien = lodge(desk, desk.session.get_one(Asset, title.asset_id), EncumbranceKind.CAVEAT)
    put_encumbrance_in_force(desk.session, CHECKER, lien.id)
    return mutation


def resume(desk: Desk, mutation: Mutation) -> None:
    mutations.resume_mutation(desk.session, deeds.REVENUE_OFFICER, mutation.id)


def clear_and_resume(desk: Desk, mutation: Mutation) -> None:
    for lien in encumbrances.in_force(desk.session, mutation.title_id):
        lien.state = type(lien.state).LAPSED
    desk.session.flush()
    resume(desk, mutation)


def reject(desk: Desk, mutation: Mutation, order: str = ORDER) -> None:
    mutations.reject_mutation(desk.session, deeds.REVENUE_OFFICER, mutation.id, order_text=order)


def reverse(desk: Desk, mutation: Mutation) -> None:
    mutations.reverse_mutation(desk.session, CHECKER, mutation.id, appeal_filed=True)


def order_and_reverse(desk: Desk, mutation: Mutation) -> None:
    title = titles.get_title(desk.session, mutation.title_id)
    deeds.attested(desk, deeds.entered(desk, title, deeds.compensating(mutation)))
    reverse(desk, mutation)


def act(name: str, who: Actor, **more: Any) -> Any:
    """Give a scenario's act: the use case of this name, by this person."""
    use_case = getattr(mutations, name)
    return lambda desk, mutation: use_case(desk.session, who, mutation.id, **more)


WALK = Walk(
    machine="mutation",
    record=entered,
    scenarios=(
        Scenario(
            source="ENTERED",
            event="complete_dossier",
            prepare=entered,
            denied=lambda desk, mutation: mutations.complete_mutation(
                desk.session, MAKER, mutation.id, deeds.instrument(desk, mutation, deed_no=None)
            ),
            code="mutation_incomplete",
            play=deeds.completed,
        ),
        Scenario(
            source="ENTERED",
            event="withdraw",
            prepare=entered,
            denied=act("withdraw_mutation", A_MAKER),
            code="not_the_maker",
            play=act("withdraw_mutation", MAKER),
        ),
        Scenario(
            source="FIELD_VERIFICATION",
            event="field_verify",
            prepare=completed,
            denied=act("verify_mutation", MAKER_IN_THE_FIELD),
            code="checker_is_maker",
            play=act("verify_mutation", deeds.FIELD_VERIFIER),
        ),
        Scenario(
            source="FIELD_VERIFICATION",
            event="return",
            prepare=completed,
            denied=act("return_mutation", deeds.FIELD_VERIFIER, reason=" "),
            code="reason_missing",
            play=act("return_mutation", deeds.FIELD_VERIFIER, reason="Another khasra."),
        ),
        Scenario(
            source="AWAITING_ATTESTATION",
            event="attest",
            prepare=noticed_tomorrow,
            denied=deeds.attest,
            code="notice_not_given",
            play=attest_after_the_notice,
        ),
        Scenario(
            source="AWAITING_ATTESTATION",
            event="reject",
            prepare=verified,
            denied=lambda desk, mutation: reject(desk, mutation, ""),
            code="order_text_required",
            play=reject,
        ),
        Scenario(
            source="AWAITING_ATTESTATION",
            event="mark_pending",
            prepare=verified,
            denied=act("stay_mutation", deeds.REVENUE_OFFICER, reason=""),
            code="reason_missing",
            play=act("stay_mutation", deeds.REVENUE_OFFICER, reason="W.P. 12/2026"),
        ),
        Scenario(
            source="STAYED",
            event="resume",
            prepare=under_caveat,
            denied=resume,
            code="transfer_blocked",
            play=clear_and_resume,
        ),
        Scenario(
            source="STAYED",
            event="reject",
            prepare=stayed,
            denied=lambda desk, mutation: reject(desk, mutation, "\t"),
            code="order_text_required",
            play=reject,
        ),
        Scenario(
            source="ATTESTED",
            event="implement",
            prepare=attested,
            denied=act("implement_mutation", CHECKER, appeal_filed=None),
            code="appeal_flag_required",
            play=act("implement_mutation", CHECKER, appeal_filed=False),
        ),
        Scenario(
            source="ATTESTED",
            event="review",
            prepare=attested,
            denied=act("review_mutation", deeds.REVENUE_OFFICER, order_text=""),
            code="order_text_required",
            play=act("review_mutation", deeds.REVENUE_OFFICER, order_text=ORDER),
        ),
        Scenario(
            source="IMPLEMENTED",
            event="reverse",
            prepare=implemented,
            denied=reverse,
            code="reversal_not_attested",
            play=order_and_reverse,
        ),
    ),
)
