"""What must hold before a title changes its state; the table says who may change it.

What depends on mutations and encumbrances stands with them (`registry.mutation.guards`).
"""

from __future__ import annotations

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.law import law_of
from registry.document import service as documents
from registry.document import sources
from registry.kernel.errors import Conflict, Invalid
from registry.lifecycle.reasons import require_other_person, require_reason
from registry.lifecycle.service import Attempt, guard
from registry.title.models import Title, TitleShare, TitleState, TitleVersion


@guard("title", "verify")
def evidence_is_there(attempt: Attempt[Title]) -> None:
    """Ask for verified evidence, shares that make the whole, and a thing that nobody else claims.

    The evidence is a paper that proves title under the regime; the new title of a partition or
    consolidation rests on the source of that mutation (`given["source_document_id"]`), and lies
    where the titles lay from which it comes (`given["parents"]`, ids of their assets).
    """
    session, title = attempt.session, attempt.record
    source = attempt.given.get("source_document_id")
    if source is not None:
        sources.require_verified(documents.get_document(session, source))
    else:
        _require_proof(session, title)
    require_whole(session, title)
    parents = frozenset(attempt.given.get("parents", ()))
    if set(assets.rival_claims(session, title.asset_id).values()) - parents:
        raise Conflict(
            "key_taken", "Another asset claims what this title is of (rule KEY-01).", rule="KEY-01"
        )


def _require_proof(session: Session, title: Title) -> None:
    asset = assets.get_asset(session, title.asset_id)
    proof = law_of(asset).regime.title_proof
    if proof.isdisjoint(documents.verified_kinds(session, asset.id)):
        raise Conflict(
            "title_not_proven",
            f"Not verified: {' or '.join(sorted(proof))} (rule TTL-05).",
            rule="TTL-05",
        )


def require_whole(session: Session, title: Title) -> TitleVersion:
    """Return the one version in force, whose shares make the whole (TTL-01, SHR-01)."""
    versions = session.exec(
        select(TitleVersion).where(
            col(TitleVersion.title_id) == title.id,
            col(TitleVersion.superseded_at).is_(None),
            col(TitleVersion.valid_to).is_(None),
        )
    ).all()
    if len(versions) != 1:
        raise Conflict(
            "primary_right_missing",
            f"The title has {len(versions)} versions in force (rule TTL-01).",
            rule="TTL-01",
        )
    [version] = versions
    parts = session.exec(
        select(func.sum(TitleShare.hissa)).where(col(TitleShare.version_id) == version.id)
    ).one()
    if parts != version.kul_hissay:
        raise Conflict(
            "shares_do_not_sum",
            f"The shares sum to {parts or 0} of {version.kul_hissay} parts (rule SHR-01).",
            rule="SHR-01",
        )
    return version


@guard("title", "activate")
def somebody_else_agrees(attempt: Attempt[Title]) -> None:
    version = require_whole(attempt.session, attempt.record)
    require_other_person(attempt, version.maker)


guard("title", "refuse")(require_reason)


@guard("title", "mutation_implemented")
def versions_meet(attempt: Attempt[Title]) -> None:
    """Ask that the former right ends at the instant at which the new one begins."""
    opened: TitleVersion = attempt.given["opened"]
    closed: TitleVersion | None = attempt.given["closed"]
    current = require_whole(attempt.session, attempt.record)
    assert current.id == opened.id, "the version in force is the one that the mutation opened"
    assert closed is None or closed.valid_to == opened.valid_from, "a moment without a right"


@guard("title", "dispute")
def dispute_has_a_reference(attempt: Attempt[Title]) -> None:
    if not str(attempt.given.get("reference") or "").strip():
        raise Invalid(
            "dispute_reference_required",
            "A dispute names the order or the suit.",
            field="/case_no",
        )


@guard("title", "dispute_dismissed", "dispute_dismissed_mutation_open")
def final_order_is_verified(attempt: Attempt[Title]) -> None:
    require_order(attempt, DECISIONS | ENDS_OF_SUITS)


@guard("title", "cancel")
def final_decree_is_verified(attempt: Attempt[Title]) -> None:
    if attempt.record.state == TitleState.DISPUTED:
        require_order(attempt, DECISIONS)


ENDS_OF_SUITS = frozenset({"VACATING_ORDER", "WITHDRAWAL_DEED"})
"""Kinds by which a dispute ends although no court has decided it: what it rested on is gone."""
DECISIONS = frozenset({"COURT_DECREE", "COURT_ORDER", "FINAL_ORDER"})
"""Kinds of papers by which a court ends a suit."""


def require_order(attempt: Attempt[Title], kinds: frozenset[str]) -> None:
    """Let a decision on a title rest on a paper of these kinds that somebody else has verified.

    Raises
    ------
    Invalid
        ``order_required``, ``source_of_other_kind``, ``source_of_other_asset``.
    Conflict
        ``source_not_verified``.
    Forbidden
        ``checker_is_maker``.
    """
    document_id = attempt.given.get("order_document_id")
    if document_id is None:
        raise Invalid(
            "order_required",
            "The final order or decree is missing.",
            field="/order_document_id",
            remedy="File it under the asset, have it verified, and send its id.",
        )
    paper = sources.paper_of(
        attempt.session,
        attempt.record.asset_id,
        document_id,
        called="order",
        field="/order_document_id",
    )
    if paper.kind not in kinds:
        raise Invalid(
            "source_of_other_kind",
            f"A {paper.kind} decides no suit.",
            field="/order_document_id",
            remedy=f"Send one of {', '.join(sorted(kinds))}.",
        )
    sources.require_verified(paper)
    require_other_person(attempt, paper.uploaded_by, paper.verified_by)
