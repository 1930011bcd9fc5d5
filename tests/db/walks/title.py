"""The walk of a title: claimed, active, passing, in dispute, at its end."""

from __future__ import annotations

from uuid import UUID

from registry.asset.models import Asset
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.actor import Actor, Role
from registry.mutation import service as mutations
from registry.mutation.forms import NewMutation
from registry.mutation.models import Initiation, Mutation, MutationKind
from registry.onboarding import service as onboarding
from registry.party.models import Party
from registry.title import service as titles
from registry.title.models import Title
from tests import deeds
from tests import factories as make
from tests.api.town import lodge
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk
from tests.factories import ACTORS, CHECKER, COMPLIANCE, MAKER, Desk

MAKER_WHO_CHECKS = Actor(MAKER.subject, frozenset({Role.REGISTRAR_CHECKER}))
WHY = "Struck off by the court."


def asset_of(desk: Desk, title: Title) -> Asset:
    return desk.session.get_one(Asset, title.asset_id)


def proposed(desk: Desk) -> Title:
    asset = deeds.draft_farm(desk, make.owned_by(make.person(desk), make.person(desk)))
    return titles.title_of_asset(desk.session, asset.id)


def verify(desk: Desk, title: Title) -> None:
    titles.fire(desk.session, MAKER, title, "verify")


def prove_and_verify(desk: Desk, title: Title) -> None:
    make.file_required(desk, asset_of(desk, title))
    verify(desk, title)


@after(proposed)
def verified(desk: Desk, title: Title) -> Title:
    make.in_review(desk, asset_of(desk, title))
    return title


def activate(desk: Desk, title: Title, who: Actor = CHECKER) -> None:
    titles.fire(desk.session, who, title, "activate")


def refuse(desk: Desk, title: Title, reason: str) -> None:
    titles.fire(desk.session, CHECKER, title, "refuse", given={"reason": reason})


def active(desk: Desk) -> Title:
    return deeds.half_and_half(desk)[0]


def lodge_sale(desk: Desk, title: Title) -> Mutation:
    seller = deeds.now_owned(desk, title).shares[0].party_id
    sale = deeds.sale(desk.session.get_one(Party, seller), make.person(desk))
    return deeds.entered(desk, title, sale)


@after(active)
def pending(desk: Desk, title: Title) -> Title:
    lodge_sale(desk, title)
    return title


def open_mutation(desk: Desk, title: Title) -> Mutation:
    found = mutations.find_open(desk.session, title.id)
    assert found is not None
    return found


def withdraw(desk: Desk, title: Title) -> None:
    mutations.withdraw_mutation(desk.session, MAKER, open_mutation(desk, title).id)


def implement(desk: Desk, title: Title) -> None:
    deeds.implemented(desk, open_mutation(desk, title))


def dividing(desk: Desk) -> Title:
    """A title whose partition into two halves is attested."""
    one, other = make.person(desk), make.person(desk)
    title = deeds.farm(desk, make.owned_by(one, other))
    halves = [
        deeds.draft_farm(desk, make.owned_by(owner), area=(4, 0, "0")).id for owner in (one, other)
    ]
    new = NewMutation(
        kind=MutationKind.PARTITION,
        initiation=Initiation.ORAL,
        number=deeds.number(),
        witness_ids=[make.person(desk).id, make.person(desk).id],
        result_asset_ids=halves,
    )
    deeds.attested(desk, deeds.entered(desk, title, new))
    return title


def divide(desk: Desk, title: Title) -> None:
    deeds.implement(desk, open_mutation(desk, title))


def dispute(desk: Desk, title: Title, reference: str = "Suit 12/2026") -> None:
    titles.dispute_title(desk.session, COMPLIANCE, title.id, reference=reference, reason="A suit.")


def stay_and_dispute(desk: Desk, title: Title) -> None:
    mutation = deeds.verified(desk, open_mutation(desk, title))
    mutations.stay_mutation(
        desk.session, ACTORS[Role.REVENUE_OFFICER], mutation.id, reason="Suit 12/2026"
    )
    dispute(desk, title)


@after(active)
def disputed(desk: Desk, title: Title) -> Title:
    dispute(desk, title)
    return title


@after(pending)
def disputed_with_mutation(desk: Desk, title: Title) -> Title:
    stay_and_dispute(desk, title)
    return title


def order(desk: Desk, title: Title, *, of: Title | None = None) -> UUID:
    return make.file_document(desk, asset_of(desk, of or title), "COURT_DECREE").id


def dismiss(desk: Desk, title: Title, document_id: UUID) -> None:
    mutations.decide_dispute(
        desk.session, CHECKER, title.id, order_document_id=document_id, reason=WHY
    )


def cancel(desk: Desk, title: Title, document_id: UUID | None = None) -> None:
    mutations.cancel_title(
        desk.session, CHECKER, title.id, order_document_id=document_id, reason=WHY
    )


@after(active)
def burdened(desk: Desk, title: Title) -> Title:
    lodge(desk, asset_of(desk, title), EncumbranceKind.CAVEAT)
    return title


def clear_and_cancel(desk: Desk, title: Title) -> None:
    for lien in encumbrances.list_encumbrances(desk.session, title.id):
        lien.state = type(lien.state).REJECTED
    desk.session.flush()
    cancel(desk, title)


WALK = Walk(
    machine="title",
    record=proposed,
    scenarios=(
        Scenario(
            source="PROPOSED",
            event="verify",
            prepare=proposed,
            denied=verify,
            code="title_not_proven",
            play=prove_and_verify,
        ),
        Scenario(
            source="PROPOSED",
            event="refuse",
            prepare=proposed,
            denied=lambda desk, title: refuse(desk, title, ""),
            code="reason_missing",
            play=lambda desk, title: refuse(desk, title, WHY),
        ),
        Scenario(
            source="VERIFIED",
            event="activate",
            prepare=verified,
            denied=lambda desk, title: activate(desk, title, MAKER_WHO_CHECKS),
            code="checker_is_maker",
            play=lambda desk, title: make.approve_all(desk, asset_of(desk, title)),
        ),
        Scenario(
            source="VERIFIED",
            event="refuse",
            prepare=verified,
            denied=lambda desk, title: refuse(desk, title, " "),
            code="reason_missing",
            play=lambda desk, title: onboarding.reject_dossier(
                desk.session, CHECKER, title.asset_id, reason=WHY
            ),
        ),
        Scenario(
            source="ACTIVE",
            event="lodge_mutation",
            prepare=active,
            play=lodge_sale,
            kept="a title with an open mutation is not ACTIVE; a second one meets the state",
        ),
        Scenario(
            source="MUTATION_PENDING",
            event="mutation_rejected",
            prepare=pending,
            play=withdraw,
            kept="fired by the rejection and the withdrawal themselves, in the same transaction",
        ),
        Scenario(
            source="MUTATION_PENDING",
            event="mutation_implemented",
            prepare=pending,
            play=implement,
            kept="fired by the implementation, which has just written both versions",
        ),
        Scenario(
            source="MUTATION_PENDING",
            event="mutation_splits",
            prepare=dividing,
            play=divide,
            kept="fired by the implementation, which has just activated the new titles",
        ),
        Scenario(
            source="ACTIVE",
            event="dispute",
            prepare=active,
            denied=lambda desk, title: dispute(desk, title, " "),
            code="dispute_reference_required",
            play=dispute,
        ),
        Scenario(
            source="MUTATION_PENDING",
            event="dispute",
            prepare=pending,
            denied=dispute,
            code="mutation_not_stayed",
            play=stay_and_dispute,
        ),
        Scenario(
            source="DISPUTED",
            event="dispute_dismissed",
            prepare=disputed,
            denied=lambda desk, title: dismiss(desk, title, order(desk, title, of=active(desk))),
            code="source_of_other_asset",
            play=lambda desk, title: dismiss(desk, title, order(desk, title)),
        ),
        Scenario(
            source="DISPUTED",
            event="dispute_dismissed_mutation_open",
            prepare=disputed_with_mutation,
            denied=lambda desk, title: dismiss(desk, title, order(desk, title, of=active(desk))),
            code="source_of_other_asset",
            play=lambda desk, title: dismiss(desk, title, order(desk, title)),
        ),
        Scenario(
            source="DISPUTED",
            event="cancel",
            prepare=disputed,
            denied=cancel,
            code="order_required",
            play=lambda desk, title: cancel(desk, title, order(desk, title)),
        ),
        Scenario(
            source="ACTIVE",
            event="cancel",
            prepare=burdened,
            denied=cancel,
            code="encumbrances_not_closed",
            play=clear_and_cancel,
        ),
    ),
)
