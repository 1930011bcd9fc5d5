"""The walk of an encumbrance."""

from __future__ import annotations

from datetime import timedelta

from registry.document.models import Document
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Encumbrance, EncumbranceKind
from registry.encumbrance.service import Variation
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.tokenization import liens as lien_steps
from tests import liens
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk
from tests.factories import CHECKER, COMPLIANCE, MAKER, Desk, actor, open_apartment, verify

BOTH = actor(Role.REGISTRAR_MAKER, Role.REGISTRAR_CHECKER, Role.COMPLIANCE, subject=MAKER.subject)


def lodged(desk: Desk) -> Encumbrance:
    return liens.lodged(desk, open_apartment(desk))


def unproven(desk: Desk) -> Encumbrance:
    return liens.lodged(desk, open_apartment(desk), verified=False)


def active(desk: Desk) -> Encumbrance:
    return liens.active(desk, open_apartment(desk))


def over(desk: Desk) -> Encumbrance:
    ended = today() - timedelta(days=1)
    return liens.active(desk, open_apartment(desk), EncumbranceKind.CAVEAT, ends_on=ended)


@after(active)
def pending(desk: Desk, record: Encumbrance) -> Encumbrance:
    return liens.ask_discharge(desk, record)


@after(active)
def in_enforcement(desk: Desk, record: Encumbrance) -> Encumbrance:
    return liens.enforced_upon(desk, record)


def register(desk: Desk, record: Encumbrance) -> None:
    lien_steps.put_encumbrance_in_force(desk.session, CHECKER, record.id)


def verify_and_register(desk: Desk, record: Encumbrance) -> None:
    verify(desk, desk.session.get_one(Document, record.source_document_id))
    register(desk, record)


def propose_and_vary(desk: Desk, record: Encumbrance) -> None:
    source = liens.paper(desk, record, "DEED_OF_VARIATION")
    terms = Variation(
        source_document_id=source.id,
        rank=record.rank,
        amount_paisa=1,
        holder_id=record.holder_id,
    )
    encumbrances.propose_variation(desk.session, MAKER, record.id, terms)
    encumbrances.vary_encumbrance(desk.session, CHECKER, record.id)


WALK = Walk(
    machine="encumbrance",
    record=lodged,
    scenarios=(
        Scenario(
            source="LODGED",
            event="register",
            prepare=unproven,
            denied=register,
            code="source_not_verified",
            play=verify_and_register,
        ),
        Scenario(
            source="LODGED",
            event="reject",
            prepare=lodged,
            denied=lambda desk, record: encumbrances.reject_encumbrance(
                desk.session, CHECKER, record.id, reason=" "
            ),
            code="reason_missing",
            play=lambda desk, record: encumbrances.reject_encumbrance(
                desk.session, CHECKER, record.id, reason="Not this title"
            ),
        ),
        Scenario(
            source="ACTIVE",
            event="vary",
            prepare=active,
            denied=lambda desk, record: encumbrances.vary_encumbrance(
                desk.session, CHECKER, record.id
            ),
            code="variation_missing",
            play=propose_and_vary,
        ),
        Scenario(
            source="ACTIVE",
            event="discharge_request",
            prepare=active,
            denied=lambda desk, record: encumbrances.request_discharge(
                desk.session,
                MAKER,
                record.id,
                document_id=liens.paper(desk, record, "REDEMPTION_DEED", verified=False).id,
            ),
            code="source_not_verified",
            play=liens.ask_discharge,
        ),
        Scenario(
            source="DISCHARGE_PENDING",
            event="discharge",
            prepare=pending,
            denied=lambda desk, record: lien_steps.grant_discharge(
                desk.session, CHECKER, record.id, confirmation=" "
            ),
            code="holder_not_confirmed",
            play=liens.grant_discharge,
        ),
        Scenario(
            source="DISCHARGE_PENDING",
            event="discharge_refuse",
            prepare=pending,
            denied=lambda desk, record: encumbrances.refuse_discharge(
                desk.session, BOTH, record.id, reason="The debt stands"
            ),
            code="checker_is_maker",
            play=lambda desk, record: encumbrances.refuse_discharge(
                desk.session, CHECKER, record.id, reason="The debt stands"
            ),
        ),
        Scenario(
            source="ACTIVE",
            event="lapse",
            prepare=over,
            denied=lambda desk, record: encumbrances.lapse_encumbrance(
                desk.session,
                liens.active(
                    desk,
                    liens.asset_of(desk, record),
                    EncumbranceKind.CAVEAT,
                    ends_on=today(),
                ).id,
            ),
            code="not_lapsed",
            play=lambda desk, record: encumbrances.lapse_encumbrance(desk.session, record.id),
        ),
        Scenario(
            source="ACTIVE",
            event="enforce",
            prepare=active,
            denied=lambda desk, record: encumbrances.enforce_encumbrance(
                desk.session,
                COMPLIANCE,
                record.id,
                document_id=liens.paper(desk, record, "LETTER").id,
            ),
            code="source_of_other_kind",
            play=liens.enforced_upon,
        ),
        Scenario(
            source="ENFORCEMENT",
            event="settle",
            prepare=in_enforcement,
            denied=lambda desk, record: encumbrances.settle_encumbrance(
                desk.session, CHECKER, record.id, confirmation=""
            ),
            code="payment_not_confirmed",
            play=lambda desk, record: encumbrances.settle_encumbrance(
                desk.session, CHECKER, record.id, confirmation=liens.CONFIRMED
            ),
        ),
        Scenario(
            source="ENFORCEMENT",
            event="enforced",
            prepare=in_enforcement,
            denied=lambda desk, record: lien_steps.finish_enforcement(
                desk.session,
                CHECKER,
                record.id,
                document_id=liens.paper(desk, record, "SALE_CERTIFICATE", verified=False).id,
            ),
            code="source_not_verified",
            play=lambda desk, record: lien_steps.finish_enforcement(
                desk.session,
                CHECKER,
                record.id,
                document_id=liens.paper(desk, record, "SALE_CERTIFICATE").id,
            ),
        ),
    ),
)
