"""Use cases on encumbrances: lodged and asked for by a maker, decided by a checker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session

from registry.document import service as documents
from registry.document import sources
from registry.document.models import Document, DocumentState
from registry.encumbrance import guards, repository, rules
from registry.encumbrance.ending import (
    discharge_encumbrance,
    enforce_encumbrance,
    finish_enforcement,
    lapse_encumbrance,
    refuse_discharge,
    request_discharge,
    settle_encumbrance,
)
from registry.encumbrance.models import (
    Effect,
    Encumbrance,
    EncumbranceKind,
    EncumbranceTerms,
)
from registry.encumbrance.repository import (
    get_encumbrance,
    in_force,
    list_encumbrances,
    list_lapsed,
    list_terms,
    terms_at,
)
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.lifecycle.service import fire
from registry.party import service as parties
from registry.title import service as titles

__all__ = [
    "NewEncumbrance",
    "Variation",
    "discharge_encumbrance",
    "effect_now",
    "enforce_encumbrance",
    "finish_enforcement",
    "get_encumbrance",
    "in_force",
    "lapse_encumbrance",
    "list_binding",
    "list_encumbrances",
    "list_lapsed",
    "list_terms",
    "lodge_encumbrance",
    "propose_variation",
    "refuse_discharge",
    "register_encumbrance",
    "reject_encumbrance",
    "request_discharge",
    "settle_encumbrance",
    "terms_at",
    "vary_encumbrance",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """The terms of an encumbrance that can be varied.

    Parameters
    ----------
    source_document_id
        The paper that the terms rest on; it must be verified before they are in force.
    rank
        1 is paid first; security interests only.
    amount_paisa
        Secured debt.
    lender_consent
        The lender agrees to a tokenization; a verified LENDER_CONSENT must say so.
    consent_document_id
        That paper; without it, the newest one of the asset that is nobody else's.
    """

    source_document_id: UUID
    rank: int | None = None
    amount_paisa: int | None = None
    holder_id: UUID | None = None
    lender_consent: bool = False
    consent_document_id: UUID | None = None
    ends_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEncumbrance(Variation):
    """What an encumbrance is lodged with."""

    kind: EncumbranceKind
    authority: str | None = None
    case_no: str | None = None


def lodge_encumbrance(
    session: Session, actor: Actor, title_id: UUID, new: NewEncumbrance
) -> Encumbrance:
    """Record an encumbrance that waits for its checker.

    Raises
    ------
    Invalid
        ``encumbrance_incomplete``, ``rank_not_applicable``, ``consent_not_applicable``,
        ``source_of_other_asset``.
    Conflict
        ``title_ended``.
    """
    titles.lock_living_title(session, title_id)
    _check(session, title_id, new.kind, new, authority=new.authority, case_no=new.case_no)
    encumbrance = Encumbrance(
        title_id=title_id,
        effect=rules.effect_of(new.kind, lender_consent=new.lender_consent),
        maker=actor.subject,
        **asdict(new),
    )
    session.add(encumbrance)
    session.flush()
    journal.record(
        session,
        actor,
        "encumbrance_lodged",
        "encumbrance",
        encumbrance.id,
        kind=new.kind,
        title_id=str(title_id),
    )
    return encumbrance


def _check(
    session: Session,
    title_id: UUID,
    kind: EncumbranceKind,
    terms: Variation,
    *,
    authority: str | None,
    case_no: str | None,
) -> None:
    title = titles.get_title(session, title_id)
    rules.check_terms(
        kind,
        rank=terms.rank,
        amount_paisa=terms.amount_paisa,
        has_holder=terms.holder_id is not None,
        authority=authority,
        case_no=case_no,
    )
    rules.check_consent(kind, lender_consent=terms.lender_consent)
    if terms.holder_id is not None:
        parties.get_party(session, terms.holder_id)
    for name in ("source_document_id", "consent_document_id"):
        paper_id: UUID | None = getattr(terms, name)
        if paper_id is not None:
            sources.paper_of(
                session, title.asset_id, paper_id, called="source document", field=f"/{name}"
            )


def register_encumbrance(session: Session, actor: Actor, encumbrance_id: UUID) -> Encumbrance:
    """Put an encumbrance in force.

    The asset's row is locked first: a mint that is being signed at this moment either comes
    before, or sees the encumbrance.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``title_ended``, ``source_not_verified``, ``consent_missing``, ``rank_taken`` (ENC-03),
        ``transition_refused``.
    """
    encumbrance = repository.lock_encumbrance(session, encumbrance_id)
    consent = _consent_paper(session, encumbrance, encumbrance)
    given = {"source": _source(session, encumbrance), "consent": consent}
    fire(
        session,
        actor,
        guards.MACHINE,
        encumbrance,
        "register",
        given=given,
        effect=encumbrance.effect,
    )
    encumbrance.checker, encumbrance.valid_from = actor.subject, now()
    encumbrance.consent_document_id = consent.id if consent else None
    terms = _terms_of(encumbrance, _variation_of(encumbrance), seq=1, maker=encumbrance.maker)
    terms.checker, terms.valid_from = actor.subject, encumbrance.valid_from
    session.add(terms)
    session.flush()
    return encumbrance


def reject_encumbrance(
    session: Session, actor: Actor, encumbrance_id: UUID, *, reason: str
) -> Encumbrance:
    """Refuse an encumbrance that was lodged.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Invalid
        ``reason_missing``.
    Conflict
        ``transition_refused``.
    """
    encumbrance = repository.lock_encumbrance(session, encumbrance_id)
    given = {"reason": reason}
    fire(session, actor, guards.MACHINE, encumbrance, "reject", given=given, reason=reason)
    encumbrance.checker = actor.subject
    session.flush()
    return encumbrance


def propose_variation(
    session: Session, actor: Actor, encumbrance_id: UUID, variation: Variation
) -> EncumbranceTerms:
    """Propose new terms; they take the place of a proposal that waits.

    Raises
    ------
    Invalid
        As `lodge_encumbrance`.
    """
    encumbrance = repository.lock_encumbrance(session, encumbrance_id)
    _check(
        session,
        encumbrance.title_id,
        encumbrance.kind,
        variation,
        authority=encumbrance.authority,
        case_no=encumbrance.case_no,
    )
    waiting = repository.find_proposed_terms(session, encumbrance.id)
    if waiting is not None:
        waiting.superseded_at = now()
    seq = len(repository.list_terms(session, encumbrance.id)) + 1
    terms = _terms_of(encumbrance, variation, seq=seq, maker=actor.subject)
    session.add(terms)
    session.flush()
    journal.record(
        session, actor, "encumbrance_variation_proposed", "encumbrance", encumbrance.id, seq=seq
    )
    return terms


def vary_encumbrance(session: Session, actor: Actor, encumbrance_id: UUID) -> Encumbrance:
    """Put the proposed terms in force; those before them end at the same instant.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``variation_missing``, or as `register_encumbrance`.
    """
    encumbrance = repository.lock_encumbrance(session, encumbrance_id)
    terms = repository.find_proposed_terms(session, encumbrance.id)
    source = documents.get_document(session, terms.source_document_id) if terms else None
    consent = _consent_paper(session, encumbrance, terms) if terms else None
    given = {"terms": terms, "source": source, "consent": consent}
    seq = terms.seq if terms else None
    fire(session, actor, guards.MACHINE, encumbrance, "vary", given=given, seq=seq)
    assert terms is not None, "the guard lets no event pass without terms"
    at = now()
    repository.current_terms(session, encumbrance.id).valid_to = at
    session.flush()
    terms.valid_from, terms.checker = at, actor.subject
    terms.consent_document_id = consent.id if consent else None
    for name, value in asdict(_variation_of(terms)).items():
        setattr(encumbrance, name, value)
    encumbrance.effect = terms.effect
    session.flush()
    return encumbrance


def _source(session: Session, encumbrance: Encumbrance) -> Document:
    return documents.get_document(session, encumbrance.source_document_id)


def _consent_paper(
    session: Session, encumbrance: Encumbrance, terms: Encumbrance | EncumbranceTerms
) -> Document | None:
    """Return the paper of the lender's consent: the one named, or the newest that is free.

    Raises
    ------
    Conflict
        ``consent_taken``: the one named has let another debt pass.
    """
    if not terms.lender_consent:
        return None
    title = titles.get_title(session, encumbrance.title_id)
    others = [item for item in list_encumbrances(session, title.id) if item.id != encumbrance.id]
    if terms.consent_document_id is not None:
        _require_untaken(terms.consent_document_id, others)
        return documents.get_document(session, terms.consent_document_id)
    taken = {other.consent_document_id for other in others}
    papers = [
        paper
        for paper in documents.list_documents(session, title.asset_id)
        if paper.kind == rules.LENDER_CONSENT
        and paper.id not in taken
        and paper.state != DocumentState.REJECTED
    ]
    return papers[-1] if papers else None


def _require_untaken(paper_id: UUID, others: Sequence[Encumbrance]) -> None:
    """Refuse a lender's word on one debt for another one, which may be another lender's."""
    for other in others:
        # One that was only lodged, or refused, has let nothing pass.
        if other.valid_from is not None and other.consent_document_id == paper_id:
            raise Conflict(
                "consent_taken",
                f"The consent was given for the {other.kind} {other.id}.",
                remedy="File the consent of this debt's own lender, and name it.",
            )


def _variation_of(terms: Encumbrance | EncumbranceTerms) -> Variation:
    return Variation(**{name: getattr(terms, name) for name in Variation.__dataclass_fields__})


def _terms_of(
    encumbrance: Encumbrance, variation: Variation, *, seq: int, maker: str
) -> EncumbranceTerms:
    return EncumbranceTerms(
        encumbrance_id=encumbrance.id,
        seq=seq,
        effect=rules.effect_of(encumbrance.kind, lender_consent=variation.lender_consent),
        maker=maker,
        **asdict(variation),
    )


def effect_now(session: Session, encumbrance: Encumbrance) -> Effect:
    """Return what it stops today: a consent that was revoked or ran out opens nothing."""
    if encumbrance.consent_document_id is None:
        return encumbrance.effect
    paper = documents.get_document(session, encumbrance.consent_document_id)
    standing = paper.state == DocumentState.VERIFIED
    return rules.effect_of(encumbrance.kind, lender_consent=standing)


def list_binding(session: Session, title_id: UUID) -> Sequence[tuple[Encumbrance, Effect]]:
    """List what binds now, each with what it stops today."""
    return [(item, effect_now(session, item)) for item in in_force(session, title_id)]
