"""Whether an event of an encumbrance may be fired now."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import Session

from registry.document.models import Document, DocumentState
from registry.encumbrance import repository, rules
from registry.encumbrance.models import Encumbrance, EncumbranceTerms
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Invalid
from registry.lifecycle.reasons import require_other_person, require_reason
from registry.lifecycle.service import Attempt, guard
from registry.title import service as titles

MACHINE = "encumbrance"


def require_paper(paper: Document, kinds: Collection[str] | None = None) -> None:
    """Refuse a paper that nobody has verified, or that is of another kind.

    Raises
    ------
    Invalid
        ``source_of_other_kind``.
    Conflict
        ``source_not_verified``: it is not, or has run out.
    """
    if kinds is not None and paper.kind not in kinds:
        raise Invalid(
            "source_of_other_kind",
            f"This needs one of {', '.join(sorted(kinds))}, not a {paper.kind}.",
            field="/document_id",
        )
    run_out = paper.valid_until is not None and paper.valid_until < today()
    if paper.state != DocumentState.VERIFIED or run_out:
        raise Conflict(
            "source_not_verified",
            f"The {paper.kind} is {'out of date' if run_out else paper.state}; "
            "no right rests on such a paper.",
            remedy="Have the document verifier confirm it with its registry.",
        )


@guard(MACHINE, "register", "reject")
def _checker_did_not_lodge_it(attempt: Attempt[Encumbrance]) -> None:
    require_other_person(attempt, attempt.record.maker)


@guard(MACHINE, "discharge", "discharge_refuse", "settle", "enforced")
def _checker_did_not_ask_for_it(attempt: Attempt[Encumbrance]) -> None:
    require_other_person(attempt, attempt.record.asked_by)


@guard(MACHINE, "reject")
def _rejection_has_a_reason(attempt: Attempt[Encumbrance]) -> None:
    require_reason(attempt)


@guard(MACHINE, "register")
def _title_is_there(attempt: Attempt[Encumbrance]) -> None:
    titles.lock_living_title(attempt.session, attempt.record.title_id)


@guard(MACHINE, "register")
def _papers_are_verified_and_rank_is_free(attempt: Attempt[Encumbrance]) -> None:
    require_paper(attempt.given["source"])
    _consent_is_verified(attempt.given["consent"], asked=attempt.record.lender_consent)
    _rank_is_free(attempt.session, attempt.record, attempt.record.rank)


@guard(MACHINE, "vary")
def _variation_is_somebody_elses_and_fits(attempt: Attempt[Encumbrance]) -> None:
    terms: EncumbranceTerms | None = attempt.given["terms"]
    if terms is None:
        raise Conflict(
            "variation_missing",
            "No variation of this encumbrance waits.",
            remedy="Have a maker propose new terms first.",
        )
    require_other_person(attempt, terms.maker)
    require_paper(attempt.given["source"])
    _consent_is_verified(attempt.given["consent"], asked=terms.lender_consent)
    _rank_is_free(attempt.session, attempt.record, terms.rank)


def _consent_is_verified(paper: Document | None, *, asked: bool) -> None:
    if not asked:
        return
    if paper is None:
        raise Conflict(
            "consent_missing",
            "No paper of the lender's consent is filed for this debt.",
            remedy=f"File a {rules.LENDER_CONSENT} of the asset and have it verified.",
        )
    require_paper(paper, {rules.LENDER_CONSENT})


def _rank_is_free(session: Session, encumbrance: Encumbrance, rank: int | None) -> None:
    taken = {
        other.rank
        for other in repository.in_force(session, encumbrance.title_id)
        if other.id != encumbrance.id and other.kind in rules.SECURITY_INTERESTS
    }
    if rank is not None and rank in taken:
        raise Conflict(
            "rank_taken", f"Rank {rank} on this title is taken (rule ENC-03).", rule="ENC-03"
        )


@guard(MACHINE, "discharge_request")
def _release_is_verified(attempt: Attempt[Encumbrance]) -> None:
    require_paper(attempt.given["paper"], rules.discharge_papers(attempt.record.kind))


@guard(MACHINE, "discharge")
def _holder_has_confirmed(attempt: Attempt[Encumbrance]) -> None:
    if not str(attempt.given.get("confirmation") or "").strip():
        raise Conflict(
            "holder_not_confirmed",
            "The holder, or the authority, has not confirmed the discharge.",
            remedy="Send how it was confirmed: letter, date, who signed.",
        )


@guard(MACHINE, "lapse")
def _last_day_is_over(attempt: Attempt[Encumbrance]) -> None:
    record = attempt.record
    if not rules.has_lapsed(record.kind, record.ends_on, today()):
        raise Conflict(
            "not_lapsed",
            f"A {record.kind} that ends on {record.ends_on or 'no day'} has not lapsed.",
        )


@guard(MACHINE, "enforce")
def _notice_is_given(attempt: Attempt[Encumbrance]) -> None:
    if attempt.record.kind not in rules.SECURITY_INTERESTS:
        raise Conflict("not_enforceable", f"A {attempt.record.kind} secures nothing to enforce.")
    require_paper(attempt.given["paper"], rules.NOTICES)


@guard(MACHINE, "settle")
def _debt_is_paid(attempt: Attempt[Encumbrance]) -> None:
    if not str(attempt.given.get("confirmation") or "").strip():
        raise Conflict(
            "payment_not_confirmed",
            "The holder has not confirmed that the debt is paid.",
            remedy="Send how it was confirmed: receipt, date, who signed.",
        )


@guard(MACHINE, "enforced")
def _sale_is_certified(attempt: Attempt[Encumbrance]) -> None:
    require_paper(attempt.given["paper"], rules.SALE_CERTIFICATES)
