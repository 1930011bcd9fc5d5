"""Records in every state that a test begins with, made by the services as the API makes them.

Each function flushes and leaves the COMMIT to its caller. Only what the chain would write is
written directly. Tokens, offerings and orders stand in `tests.sales`.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from registry.asset.law import law_of
from registry.asset.models import Asset, AssetClass
from registry.document import service as documents
from registry.document.intake import NewDocument
from registry.document.models import Document
from registry.document.store import DocumentStore
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import Investor, Wallet
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from registry.kernel.vault import Vault
from registry.onboarding import approvals
from registry.onboarding import service as onboarding
from registry.onboarding.service import Dossier
from registry.party import service as parties
from registry.party.models import Party, PartyKind
from registry.party.service import NewParty
from registry.rulebook.models import RuleRun
from registry.title.rules import Ownership, Share, check_ownership
from registry.valuation import panel
from registry.valuation import service as valuations
from registry.valuation.models import Valuation, ValuationState
from registry.valuation.panel import PanelValuer
from tests import kyc

VALUE_PAISA = 42_000_000_00

numbers = itertools.count(1)
_starts = {AssetClass.LAND_APARTMENT: "LHR-APT", AssetClass.COMMODITY_WAREHOUSED: "COM-WHT"}


@dataclass(frozen=True, slots=True)
class Desk:
    """Where work is done: one transaction, one vault, one store.

    Parameters
    ----------
    shelf
        What stands in the database already, by the units of its token, for whoever asks first.
    """

    session: Session
    vault: Vault
    store: DocumentStore
    shelf: dict[tuple[int, ...], Callable[[], Any]] = field(default_factory=dict, compare=False)


# Actors


def actor(*roles: Role, subject: str | None = None) -> Actor:
    """Return somebody with `roles`; two calls without `subject` are two people."""
    return Actor(subject or f"person-{next(numbers)}", frozenset(roles))


ACTORS = {role: actor(role, subject=f"the-{role}") for role in Role}
"""One person for each role, every one of them somebody else."""

MAKER = ACTORS[Role.REGISTRAR_MAKER]
CHECKER = ACTORS[Role.REGISTRAR_CHECKER]
SECOND_CHECKER = actor(Role.REGISTRAR_CHECKER, subject="the-second-registrar_checker")
SECOND_VALUATION_CHECKER = actor(Role.VALUATION_CHECKER, subject="the-second-valuation_checker")
COMPLIANCE = ACTORS[Role.COMPLIANCE]
VERIFIER = ACTORS[Role.DOCUMENT_VERIFIER]


def panel_valuer() -> PanelValuer:
    """Give whoever values in the tests a place on the panel, in one more database."""
    return PanelValuer(
        valuer=ACTORS[Role.VALUER].subject,
        licence_no="PBA-1",
        begins_on=date(2000, 1, 1),
        proposed_by=COMPLIANCE.subject,
        confirmed_by=CHECKER.subject,
    )


def tell_acts(session: Session) -> None:
    """Give an act to whatever the tests recorded without one: the panel of `panel_valuer`."""
    session.connection().execute(
        text(
            "INSERT INTO journal_entry"
            " (id, recorded_at, actor, act, subject_kind, subject_id, facts, recording_id)"
            " SELECT uuidv7(), now(), 'system', 'migrated', 'journal', 'journal', '{}', id"
            " FROM recording WHERE id NOT IN"
            " (SELECT recording_id FROM journal_entry WHERE recording_id IS NOT NULL)"
        )
    )


def put_on_panel(desk: Desk, valuer: Actor) -> PanelValuer:
    entry = panel.propose_valuer(
        desk.session, COMPLIANCE, valuer=valuer.subject, licence_no="PBA-2", begins_on=today()
    )
    return panel.confirm_valuer(desk.session, CHECKER, entry.id)


# Parties


def person(desk: Desk, **changes: Any) -> Party:
    number = next(numbers)
    new = NewParty(kind=PartyKind.NATURAL, name=f"Person {number}", cnic=f"35202-{number:07}-1")
    return parties.create_party(desk.session, desk.vault, MAKER, replace(new, **changes))


def company(desk: Desk, **changes: Any) -> Party:
    number = next(numbers)
    new = NewParty(kind=PartyKind.LEGAL, name=f"Company {number}", cuin=f"{number:07}")
    return parties.create_party(desk.session, desk.vault, MAKER, replace(new, **changes))


def owned_by(*owners: Party) -> Ownership:
    """Give each of `owners` one part."""
    return check_ownership(len(owners), [Share(owner.id, 1) for owner in owners])


# Dossiers


def apartment_dossier(ownership: Ownership, **changes: Any) -> Dossier:
    dossier = Dossier(
        title_regime="REGISTERED_DEED_URBAN",
        location={"province": "PK-PB", "district": "Lahore", "place": "Gulberg III"},
        details={
            "parent_area_kms": [4, 0, 0],
            "marla_kind": "MARLA_225",
            "undivided_share": [37, 2000],
            "covered_area_sqft": "1480.00",
        },
        underlying_keys=[f"APT|PK-PB|LAHORE|GULBERG-III|DEMO-HEIGHTS-{next(numbers)}|7-B"],
        ownership=ownership,
    )
    return replace(dossier, **changes)


def wheat_dossier(ownership: Ownership, **changes: Any) -> Dossier:
    dossier = Dossier(
        title_regime="EWR",
        location={"province": "PK-PB", "district": "Sheikhupura", "place": "Muridke"},
        details={
            "hs": "100199",
            "name": "Wheat",
            "crop_year": "2026",
            "qty_kg": "2500000",
            "packages": {"code": "BG", "count": 50000, "kg_each": "50"},
            "quality": {"moisture_pct": "10.2", "foreign_matter_pct": "0.6"},
            "expiry": str(today() + timedelta(days=90)),
            "insured_pkr": "42000000.00",
        },
        underlying_keys=[f"EWR|DEMOCMC|2026-{next(numbers):06}"],
        ownership=ownership,
    )
    return replace(dossier, **changes)


def open_dossier(desk: Desk, asset_class: AssetClass, dossier: Dossier) -> Asset:
    code = f"{_starts.get(asset_class, 'TST-AST')}-{next(numbers) % 10_000:04}"
    return onboarding.open_dossier(
        desk.session, MAKER, code=code, asset_class=asset_class, dossier=dossier
    )


def open_apartment(desk: Desk, *owners: Party, **changes: Any) -> Asset:
    ownership = owned_by(*(owners or [person(desk)]))
    return open_dossier(desk, AssetClass.LAND_APARTMENT, apartment_dossier(ownership, **changes))


def open_wheat(desk: Desk, *owners: Party, **changes: Any) -> Asset:
    ownership = owned_by(*(owners or [person(desk)]))
    return open_dossier(desk, AssetClass.COMMODITY_WAREHOUSED, wheat_dossier(ownership, **changes))


def pdf() -> bytes:
    """Return the bytes of a paper that nobody has filed yet."""
    return b"%PDF-1.7\n" + secrets.token_bytes(16)


def file_document(
    desk: Desk, asset: Asset, kind: str, *, verified: bool = True, **changes: Any
) -> Document:
    new = NewDocument(kind=kind, file_name=f"{kind.lower()}.pdf", content=BytesIO(pdf()))
    document = documents.upload_document(
        desk.session, desk.vault, desk.store, MAKER, asset, replace(new, **changes)
    )
    return verify(desk, document) if verified else document


def verify(desk: Desk, document: Document) -> Document:
    return documents.verify_document(
        desk.session, VERIFIER, document.id, source_registry="Sub-Registrar", reference="1/2026"
    )


def file_required(desk: Desk, asset: Asset, *, besides: Iterable[str] = ()) -> None:
    """File and verify every paper that the asset's title regime requires."""
    for kind in sorted(law_of(asset).papers | set(besides)):
        file_document(desk, asset, kind)


def value(
    desk: Desk,
    asset: Asset,
    amount_paisa: int = VALUE_PAISA,
    *,
    basis_date: date | None = None,
) -> Valuation:
    """Have the asset valued, and the valuation accepted."""
    return accept_value(desk, submit_value(desk, asset, amount_paisa, basis_date=basis_date))


def submit_value(
    desk: Desk,
    asset: Asset,
    amount_paisa: int = VALUE_PAISA,
    *,
    basis_date: date | None = None,
) -> Valuation:
    return valuations.submit_valuation(
        desk.session,
        ACTORS[Role.VALUER],
        asset.id,
        amount_paisa=amount_paisa,
        basis_date=basis_date or today(),
        method="MARKET_COMPARABLE",
        report_sha256=hashlib.sha256(secrets.token_bytes(8)).digest(),
    )


def accept_value(desk: Desk, valuation: Valuation) -> Valuation:
    """Accept an opinion, by two people where it changes the value much."""
    for checker in (ACTORS[Role.VALUATION_CHECKER], SECOND_VALUATION_CHECKER):
        if valuation.state != ValuationState.ACCEPTED:
            valuations.accept_valuation(desk.session, checker, valuation.id)
    return valuation


def submit(desk: Desk, asset: Asset) -> RuleRun:
    return onboarding.submit_dossier(desk.session, MAKER, asset.id)


def approve(desk: Desk, asset: Asset, role: Role, who: Actor | None = None) -> Asset:
    return onboarding.approve_dossier(
        desk.session,
        who or ACTORS[role],
        asset.id,
        role=role,
        seen_hash=onboarding.dossier_hash(desk.session, asset),
    )


def approve_all(desk: Desk, asset: Asset, *, but_the_last: bool = False) -> Asset:
    """Give every approval that is still missing, the registrar's checkers' at the end."""
    digest = onboarding.dossier_hash(desk.session, asset)
    given = approvals.live_approvals(desk.session, asset.id, digest)
    missing = onboarding.required_approvals(desk.session, asset) - Counter(
        Role(approval.role) for approval in given
    )
    checkers = [CHECKER, SECOND_CHECKER][: missing.pop(Role.REGISTRAR_CHECKER, 0)]
    for role in missing:
        approve(desk, asset, role)
    for checker in checkers[:-1] if but_the_last else checkers:
        approve(desk, asset, Role.REGISTRAR_CHECKER, checker)
    return asset


def in_review(desk: Desk, asset: Asset, amount_paisa: int = VALUE_PAISA) -> Asset:
    """Bring a draft under review: papers verified, value accepted, checks passed."""
    file_required(desk, asset)
    value(desk, asset, amount_paisa)
    submit(desk, asset)
    return asset


def registered(desk: Desk, asset: Asset, amount_paisa: int = VALUE_PAISA) -> Asset:
    """Bring a draft into the register."""
    return approve_all(desk, in_review(desk, asset, amount_paisa))


# Investors


@dataclass(frozen=True, slots=True)
class Buyer:
    """A principal that may hold tokens, and the wallet for them."""

    actor: Actor
    investor: Investor
    wallet: Wallet


def enrolled(desk: Desk) -> tuple[Actor, Investor]:
    """Enrol a person whose KYC nobody has looked at."""
    who = actor(Role.INVESTOR)
    number = next(numbers)
    new = NewParty(kind=PartyKind.NATURAL, name=f"Buyer {number}", cnic=f"61101-{number:07}-2")
    return who, investors.enrol_person(desk.session, desk.vault, who, new)


def proven_wallet(
    desk: Desk, who: Actor, investor_id: UUID, *, address: bytes | None = None
) -> Wallet:
    address = address or secrets.token_bytes(20)
    wallets.challenge_wallet(desk.session, who, investor_id, address=address, message="Sign this.")
    challenge = wallets.open_challenge(desk.session, who, investor_id, address)
    return wallets.accept_proof(desk.session, who, challenge)


def pass_kyc(desk: Desk, who: Actor, investor: Investor) -> Buyer:
    """Prove a wallet, pass KYC, and put the identity there as the chain would."""
    wallet = proven_wallet(desk, who, investor.id)
    kyc.passed(desk, who, investor)
    wallet.identity = secrets.token_bytes(20)
    desk.session.flush()
    return Buyer(who, investor, wallet)


def buyer(desk: Desk) -> Buyer:
    return pass_kyc(desk, *enrolled(desk))


def issuer(desk: Desk, party: Party) -> Buyer:
    """Enrol somebody for a company, and have its KYC pass."""
    who = actor(Role.ISSUER)
    return pass_kyc(desk, who, investors.enrol_for_company(desk.session, who, party.id))
