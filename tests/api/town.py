"""People and things in every state that a request may meet, and how to refuse one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx
from sqlmodel import Session

from registry.asset.models import Asset
from registry.document.models import Document
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Encumbrance, EncumbranceKind
from registry.encumbrance.service import NewEncumbrance
from registry.investor.models import Investor
from registry.kernel.actor import Actor, Role
from registry.kyc.models import KycReview
from registry.offering.models import Offering, Order
from registry.onboarding import service as onboarding
from registry.party.models import Party
from registry.title import service as titles
from registry.tokenization.liens import put_encumbrance_in_force
from registry.tokenization.models import Tokenization
from registry.valuation.models import Valuation
from tests import factories as make
from tests import kyc, sales
from tests.api.house import House, problem_of
from tests.factories import Buyer, Desk
from tests.sales import Wrapped

UNKNOWN = UUID(int=0)


@dataclass(frozen=True)
class Town:
    """What stands in the register before the refused requests begin."""

    house: House
    owner: Party
    draft: Asset
    draft_title: UUID
    paper: Document
    review: Asset
    review_hash: str
    valuation: Valuation
    free: Wrapped
    mortgaged: Wrapped
    structured: Tokenization
    approved: Tokenization
    deployed: Tokenization
    live_issuer: Buyer
    sale: Offering
    order: Order
    paid: Order
    buyer: Buyer
    rival: Buyer
    newcomer: Actor
    newcomer_investor: Investor
    newcomer_review: KycReview
    lien: Encumbrance


def title_of(session: Session, asset: Asset) -> UUID:
    return titles.title_of_asset(session, asset.id).id


def lodge(desk: Desk, asset: Asset, kind: EncumbranceKind) -> Encumbrance:
    """Lodge an encumbrance on a verified paper; a checker has not looked at it yet."""
    terms: dict[str, Any] = {"authority": "Lahore High Court", "case_no": "W.P. 1/2026"}
    if kind == EncumbranceKind.MORTGAGE:
        terms = {"rank": 1, "amount_paisa": 100_00, "holder_id": make.company(desk).id}
    source = make.file_document(desk, asset, "SOURCE")
    new = NewEncumbrance(kind=kind, source_document_id=source.id, **terms)
    return encumbrances.lodge_encumbrance(
        desk.session, make.MAKER, title_of(desk.session, asset), new
    )


def encumber(desk: Desk, asset: Asset, kind: EncumbranceKind) -> Encumbrance:
    lien = lodge(desk, asset, kind)
    return put_encumbrance_in_force(desk.session, make.CHECKER, lien.id)


def build_town(house: House) -> Town:
    with house.desk() as desk:
        return _build(house, desk)


def _build(house: House, desk: Desk) -> Town:
    owner = make.person(desk)
    draft = make.open_apartment(desk, owner)
    review = make.in_review(desk, make.open_apartment(desk, owner))
    mortgaged = sales.wrapped_apartment(desk)
    encumber(desk, mortgaged.asset, EncumbranceKind.MORTGAGE)
    selling = sales.wrapped_apartment(desk)
    sale = sales.offering(desk, selling)
    buyer, rival = make.buyer(desk), make.buyer(desk)
    newcomer, investor = make.enrolled(desk)
    return Town(
        house=house,
        owner=owner,
        draft=draft,
        draft_title=title_of(desk.session, draft),
        paper=make.file_document(desk, draft, "OTHER_PAPER", verified=False),
        review=review,
        review_hash=onboarding.dossier_hash(desk.session, review).hex(),
        valuation=make.value(desk, draft),
        free=sales.wrapped_apartment(desk),
        mortgaged=mortgaged,
        structured=sales.structured(desk, sales.wrapped_apartment(desk)),
        approved=sales.approved(desk, sales.wrapped_apartment(desk)),
        deployed=sales.deployed(desk, sales.wrapped_apartment(desk)),
        live_issuer=selling.issuer,
        sale=sale,
        order=sales.order(desk, sale, buyer, units=10),
        paid=sales.pay(desk, sales.order(desk, sale, buyer, units=20)),
        buyer=buyer,
        rival=rival,
        newcomer=newcomer,
        newcomer_investor=investor,
        newcomer_review=kyc.recommended(desk, newcomer, investor),
        lien=lodge(desk, draft, EncumbranceKind.STAY_ORDER),
    )


Who = Role | Callable[[Town], Actor]
Body = dict[str, Any] | Callable[[Town], dict[str, Any]] | None


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A request that must be refused, and must change nothing.

    Parameters
    ----------
    path
        Of the town's things: ``/v1/assets/{t.draft.id}/submit``.
    """

    who: Who
    path: str
    body: Body = None
    status: int
    code: str
    pointer: str | None = None
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()

    def send(self, town: Town) -> httpx.Response:
        caller = town.house.caller(self.who if isinstance(self.who, Role) else self.who(town))
        body = self.body(town) if callable(self.body) else self.body
        path = self.path.format(t=town, unknown=UNKNOWN)
        if body is None:
            return caller.ask(self.method, path, headers=dict(self.headers))
        # In ASCII, as any client may write it: half a character can be written no other way.
        headers = {"Content-Type": "application/json"} | dict(self.headers)
        return caller.ask(self.method, path, content=json.dumps(body), headers=headers)

    def check(self, town: Town) -> Any:
        """Send it with and without an Idempotency-Key; return the problem."""
        with town.house.unchanged():
            problem = problem_of(self.send(town), self.status, self.code)
            keyed = replace(self, headers=(*self.headers, ("Idempotency-Key", "k")))
            assert keyed.send(town).json() == problem
        if self.pointer is not None:
            assert problem["field"] == self.pointer
        return problem
