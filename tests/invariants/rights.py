"""Fixtures that break one rule of titles, shares, mutations, encumbrances or papers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from io import BytesIO

from sqlalchemy import text

from registry.document import service as documents
from registry.document.intake import NewDocument
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.mutation import service as mutations
from registry.mutation.forms import Side
from registry.mutation.models import Initiation
from registry.title import service as titles
from registry.title.rules import Share, check_ownership
from registry.tokenization import service as tokenizations
from tests import deeds, liens, sales
from tests import factories as make
from tests.db import rows
from tests.db.test_mutation_invariants import IMPLEMENTED, link, mutation
from tests.factories import MAKER, Desk
from tests.invariants.fired import violates

QUARTER = Fraction(1, 4)


# Shares and versions


@violates("SHR-01")
def shares_below_the_whole(desk: Desk) -> object:
    owner = make.person(desk)
    return check_ownership(8, [Share(owner.id, 7)])


@violates("SHR-01")
def shares_above_the_whole_past_the_service(desk: Desk) -> None:
    rows.version(desk.session, rows.title(desk.session), kul_hissay=8, shares=[5, 4])


@violates("SHR-02")
def transfer_that_creates_a_share(desk: Desk) -> object:
    title, seller, _ = deeds.half_and_half(desk)
    buyer = make.person(desk)
    sale = replace(
        deeds.sale(seller, buyer, QUARTER), sellers=[Side(seller.id, 1)], buyers=[Side(buyer.id, 2)]
    )
    return deeds.entered(desk, title, sale)


@violates("SHR-03")
def seller_gives_more_than_their_row(desk: Desk) -> object:
    title, seller, _ = deeds.half_and_half(desk)
    return deeds.entered(desk, title, deeds.sale(seller, make.person(desk), Fraction(3, 4)))


@violates("VER-01")
def versions_that_overlap(desk: Desk) -> None:
    title_id = rows.title(desk.session)
    rows.version(desk.session, title_id, shares=[1])
    rows.version(desk.session, title_id, shares=[1], valid_from="2026-02-01T00:00:00Z")


@violates("TTL-01")
def active_title_without_a_right(desk: Desk) -> None:
    rows.title(desk.session, state="ACTIVE")


@violates("TTL-05")
def allotment_letter_and_no_transfer_deed(desk: Desk) -> object:
    asset = make.open_apartment(desk, title_regime="LDA_ALLOTMENT")
    make.file_required(desk, asset, besides=["ALLOTMENT_LETTER", "MUTATION_ORDER"])
    return make.submit(desk, asset)


@violates("TTL-06")
def word_of_mouth_in_a_city(desk: Desk) -> object:
    asset = make.registered(desk, make.open_apartment(desk, seller := make.person(desk)))
    title = titles.title_of_asset(desk.session, asset.id)
    sale = deeds.sale(seller, make.person(desk), QUARTER, initiation=Initiation.ORAL)
    return deeds.entered(desk, title, sale)


# Mutations


@violates("MUT-01")
def second_open_mutation(desk: Desk) -> object:
    title, seller, other = deeds.half_and_half(desk)
    deeds.entered(desk, title, deeds.sale(seller, make.person(desk), QUARTER))
    return deeds.entered(desk, title, deeds.sale(other, make.person(desk), QUARTER))


@violates("MUT-01")
def second_open_mutation_past_the_service(desk: Desk) -> None:
    title_id = rows.title(desk.session)
    for number in ("1", "2"):
        link(desk.session, mutation(desk.session, title_id, number=number), title_id)


@violates("MUT-02")
def predecessor_that_waits(desk: Desk) -> object:
    title, seller, _ = deeds.half_and_half(desk)
    first = deeds.entered(desk, title, deeds.sale(seller, make.person(desk), QUARTER))
    mutations.withdraw_mutation(desk.session, MAKER, first.id)
    second = deeds.sale(seller, make.person(desk), QUARTER, predecessor_id=first.id)
    return deeds.passed(desk, title, second)


@violates("MUT-03")
def implemented_mutation_that_changes(desk: Desk) -> None:
    mutation_id = mutation(desk.session)
    rows.execute(desk.session, IMPLEMENTED, id=mutation_id)
    rows.execute(desk.session, "UPDATE mutation SET number = 'x' WHERE id = :id", id=mutation_id)


# Encumbrances


@violates("ENC-01")
def mortgage_without_consent(desk: Desk) -> object:
    wrapped = sales.wrapped_apartment(desk)
    liens.active(desk, wrapped.asset)
    return tokenizations.run_gate(desk.session, MAKER, wrapped.asset.id)


@violates("ENC-02")
def stay_order_in_force(desk: Desk) -> object:
    wrapped = sales.wrapped_apartment(desk)
    liens.active(desk, wrapped.asset, EncumbranceKind.STAY_ORDER)
    return tokenizations.run_gate(desk.session, MAKER, wrapped.asset.id)


@violates("ENC-03")
def two_mortgages_of_one_rank(desk: Desk) -> None:
    asset = make.registered(desk, make.open_apartment(desk))
    liens.active(desk, asset)
    liens.active(desk, asset)


@violates("ENC-03")
def two_mortgages_of_one_rank_past_the_service(desk: Desk) -> None:
    asset = make.registered(desk, make.open_apartment(desk))
    first = liens.active(desk, asset)
    second = liens.lodged(desk, asset, rank=2)
    desk.session.execute(
        text("UPDATE encumbrance SET state = 'ACTIVE', rank = :rank WHERE id = :id"),
        {"rank": first.rank, "id": second.id},
    )


@violates("ENC-04")
def debt_above_half_of_the_value(desk: Desk) -> object:
    wrapped = sales.wrapped_apartment(desk)
    lender = make.company(desk)
    consent = make.file_document(desk, wrapped.asset, "LENDER_CONSENT")
    liens.active(
        desk,
        wrapped.asset,
        holder_id=lender.id,
        amount_paisa=make.VALUE_PAISA // 2 + 1,
        lender_consent=True,
        consent_document_id=consent.id,
    )
    return tokenizations.run_gate(desk.session, MAKER, wrapped.asset.id)


# Papers, approvals, journal


@violates("DOC-01")
def same_bytes_under_two_assets(desk: Desk) -> None:
    content = make.pdf()
    for _ in range(2):
        make.file_document(desk, make.open_apartment(desk), "NEC", content=BytesIO(content))


@violates("DOC-02")
def paper_dated_tomorrow(desk: Desk) -> object:
    new = NewDocument(
        kind="NEC",
        file_name="nec.pdf",
        content=BytesIO(make.pdf()),
        issued_on=today() + timedelta(days=1),
    )
    asset = make.open_apartment(desk)
    return documents.upload_document(desk.session, desk.vault, desk.store, MAKER, asset, new)


@violates("APR-01")
def maker_who_approves(desk: Desk) -> object:
    asset = make.in_review(desk, make.open_apartment(desk))
    both = make.actor(Role.COMPLIANCE, Role.REGISTRAR_MAKER, subject=MAKER.subject)
    return make.approve(desk, asset, Role.COMPLIANCE, both)


@violates("APR-01")
def maker_who_approves_past_the_service(desk: Desk) -> None:
    rows.approval(desk.session, rows.asset(desk.session), person="the-maker")


@violates("APR-01")
def person_who_approves_twice(desk: Desk) -> object:
    asset = make.in_review(desk, make.open_apartment(desk))
    both = make.actor(Role.COMPLIANCE, Role.LEGAL_COUNSEL)
    make.approve(desk, asset, Role.COMPLIANCE, both)
    return make.approve(desk, asset, Role.LEGAL_COUNSEL, both)


@violates("AUD-01")
def journal_that_is_rewritten(desk: Desk) -> None:
    make.person(desk)
    rows.execute(desk.session, "UPDATE journal_entry SET actor = 'nobody'")
