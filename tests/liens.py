"""Encumbrances in every state that a test begins with: a part of `tests.factories`."""

from __future__ import annotations

from typing import Any

from registry.asset.models import Asset
from registry.document.models import Document
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Encumbrance, EncumbranceKind
from registry.encumbrance.rules import discharge_papers
from registry.encumbrance.service import NewEncumbrance
from registry.title import service as titles
from registry.tokenization import liens
from tests.factories import CHECKER, COMPLIANCE, MAKER, Desk, company, file_document

SECURED_PAISA = 18_000_000_00
CONFIRMED = "The bank's letter of today, signed by its branch manager"


def lodged(
    desk: Desk,
    asset: Asset,
    kind: EncumbranceKind = EncumbranceKind.MORTGAGE,
    *,
    verified: bool = True,
    **changes: Any,
) -> Encumbrance:
    """Lodge an encumbrance with everything that its kind must state."""
    source = file_document(desk, asset, "SOURCE", verified=verified)
    terms: dict[str, Any] = {"kind": kind, "source_document_id": source.id}
    if kind == EncumbranceKind.MORTGAGE:
        terms |= {"rank": 1, "amount_paisa": SECURED_PAISA, "holder_id": company(desk).id}
    if kind == EncumbranceKind.STAY_ORDER:
        terms |= {"authority": "Lahore High Court", "case_no": "W.P. 1/2026"}
    title = titles.title_of_asset(desk.session, asset.id)
    return encumbrances.lodge_encumbrance(
        desk.session, MAKER, title.id, NewEncumbrance(**terms | changes)
    )


def active(
    desk: Desk, asset: Asset, kind: EncumbranceKind = EncumbranceKind.MORTGAGE, **changes: Any
) -> Encumbrance:
    return put_in_force(desk, lodged(desk, asset, kind, **changes))


def put_in_force(desk: Desk, encumbrance: Encumbrance) -> Encumbrance:
    return liens.put_encumbrance_in_force(desk.session, CHECKER, encumbrance.id)


def asset_of(desk: Desk, encumbrance: Encumbrance) -> Asset:
    title = titles.get_title(desk.session, encumbrance.title_id)
    return desk.session.get_one(Asset, title.asset_id)


def paper(desk: Desk, encumbrance: Encumbrance, kind: str, *, verified: bool = True) -> Document:
    return file_document(desk, asset_of(desk, encumbrance), kind, verified=verified)


def ask_discharge(desk: Desk, encumbrance: Encumbrance) -> Encumbrance:
    kind = min(discharge_papers(encumbrance.kind))
    return encumbrances.request_discharge(
        desk.session, MAKER, encumbrance.id, document_id=paper(desk, encumbrance, kind).id
    )


def grant_discharge(desk: Desk, encumbrance: Encumbrance) -> Encumbrance:
    return liens.grant_discharge(desk.session, CHECKER, encumbrance.id, confirmation=CONFIRMED)


def discharged(desk: Desk, encumbrance: Encumbrance) -> Encumbrance:
    return grant_discharge(desk, ask_discharge(desk, encumbrance))


def enforced_upon(desk: Desk, encumbrance: Encumbrance) -> Encumbrance:
    """Begin to enforce it."""
    notice = paper(desk, encumbrance, "NOTICE_OF_SALE")
    return encumbrances.enforce_encumbrance(
        desk.session, COMPLIANCE, encumbrance.id, document_id=notice.id
    )
