"""What must hold before a mutation goes on; of its titles, see `title_guards`.

Maker, field verifier, revenue officer and registrar's checker are four people, whatever roles
each of them holds besides (`registry-domain` 1.6).
"""

from __future__ import annotations

from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.models import AssetState
from registry.document import sources
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Effect, EncumbranceState
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.lifecycle.reasons import (
    require_maker_of_late,
    require_other_person,
    require_reason,
)
from registry.lifecycle.service import Attempt, guard
from registry.mutation import repository, rules
from registry.mutation.instruments import require_instrument
from registry.mutation.models import (
    Initiation,
    Mutation,
    MutationKind,
    MutationState,
    Part,
    TitlePart,
)
from registry.title import service as titles
from registry.title.models import Title, TitleState
from registry.title.owners import require_holds_no_land

WITNESSES_OF_AN_ORAL_MUTATION = 2
_STOPS = (Effect.BLOCK_ALL, Effect.BLOCK_TRANSFER)
_ON_THE_WAY = (
    AssetState.DRAFT,
    AssetState.SUBMITTED,
    AssetState.REQUISITIONED,
    AssetState.IN_REVIEW,
)
_ENDED = (
    EncumbranceState.REJECTED,
    EncumbranceState.DISCHARGED,
    EncumbranceState.ENFORCED,
    EncumbranceState.LAPSED,
)


@guard("mutation", "complete_dossier")
def only_its_maker(attempt: Attempt[Mutation]) -> None:
    if attempt.actor.subject != attempt.record.maker:
        raise Forbidden("not_the_maker", "Only the maker of a mutation completes it.")


@guard("mutation", "withdraw")
def its_maker_or_one_for_who_is_gone(attempt: Attempt[Mutation]) -> None:
    mutation = attempt.record
    since = repository.returned_at(attempt.session, mutation) or mutation.recorded_at
    require_maker_of_late(attempt, mutation.maker, since)


@guard("mutation", "complete_dossier")
def dossier_is_complete(attempt: Attempt[Mutation]) -> None:
    """Ask for all that the officers will look at: parties, shares, instrument, witnesses, fees."""
    session, mutation = attempt.session, attempt.record
    missing = [name for name in _instrument_of(mutation) if not getattr(mutation, name)]
    witnesses = repository.parties_of(session, mutation.id, Part.WITNESS)
    if mutation.initiation == Initiation.ORAL and len(witnesses) < WITNESSES_OF_AN_ORAL_MUTATION:
        missing.append("two witnesses")
    if missing:
        raise Conflict(
            "mutation_incomplete",
            f"A {mutation.kind} entered as {mutation.initiation} lacks: {', '.join(missing)}.",
            remedy="Send what is missing; witnesses are named when the mutation is entered.",
        )
    require_source(session, mutation)
    require_current_shares(session, mutation)


def _instrument_of(mutation: Mutation) -> tuple[str, ...]:
    always = ("fee_receipt_no", "notice_on", "source_document_id")
    return (
        always
        + {
            Initiation.ORAL: ("rapat_no", "rapat_on"),
            Initiation.REGISTERED_DEED: ("deed_no",),
            Initiation.COURT: ("court", "misl_no", "decree_on"),
        }[mutation.initiation]
    )


def require_source(session: Session, mutation: Mutation) -> None:
    """Let a right rest on a verified paper of the title's asset only."""
    assert mutation.source_document_id is not None
    source = sources.paper_of(
        session,
        titles.get_title(session, mutation.title_id).asset_id,
        mutation.source_document_id,
        called="source document",
        field="/source_document_id",
    )
    sources.require_verified(source)
    require_instrument(session, mutation, source)


def require_current_shares(session: Session, mutation: Mutation) -> None:
    """Ask that the sellers' rows are those of the version that the mutation was entered from.

    Raises
    ------
    Conflict
        ``share_row_changed``, ``share_exceeded`` (SHR-03).
    """
    current = titles.current_version(session, mutation.title_id)
    held = {share.party_id: share.hissa for share in titles.ownership_of(session, current).shares}
    sellers = repository.parties_of(session, mutation.id, Part.SELLER)
    if current.id != mutation.version_id or any(
        held.get(seller.party_id) != seller.held_hissa for seller in sellers
    ):
        raise Conflict(
            "share_row_changed",
            "The title has another version than the one this mutation was entered from.",
            remedy="Withdraw it and enter it anew from the current version.",
            rule="SHR-03",
        )
    if sellers:
        rules.transfer(
            titles.ownership_of(session, current), repository.transfer_of(session, mutation)
        )


@guard("mutation", "field_verify", "return")
def field_verifier_is_another(attempt: Attempt[Mutation]) -> None:
    require_other_person(attempt, attempt.record.maker)


@guard("mutation", "attest", "reject", "mark_pending", "resume", "review")
def officer_is_another(attempt: Attempt[Mutation]) -> None:
    require_other_person(attempt, attempt.record.maker, attempt.record.field_verifier)


@guard("mutation", "implement", "reverse")
def checker_is_another(attempt: Attempt[Mutation]) -> None:
    mutation = attempt.record
    require_other_person(attempt, mutation.maker, mutation.field_verifier, mutation.revenue_officer)


guard("mutation", "return", "mark_pending")(require_reason)


@guard("mutation", "attest", "reject", "review")
def order_is_written(attempt: Attempt[Mutation]) -> None:
    if not str(attempt.given.get("order_text") or "").strip():
        raise Invalid(
            "order_text_required", "The officer's order is in writing.", field="/order_text"
        )


@guard("mutation", "attest")
def notice_was_given(attempt: Attempt[Mutation]) -> None:
    notice_on = attempt.record.notice_on
    if notice_on is None or notice_on > today():
        raise Conflict(
            "notice_not_given",
            f"The notice is dated {notice_on}: nothing is attested before it.",
            remedy="Attest on the day of the notice or later.",
        )


@guard("mutation", "resume")
def stay_is_vacated(attempt: Attempt[Mutation]) -> None:
    for title in repository.titles_of(attempt.session, attempt.record.id, TitlePart.SUBJECT):
        if title.state == TitleState.DISPUTED:
            raise Conflict("title_disputed", "The title is in dispute; have that decided first.")
        require_no_restriction(attempt.session, title)


def require_no_restriction(session: Session, title: Title) -> None:
    """Refuse while something in force forbids a transfer."""
    blocking = [item for item in encumbrances.in_force(session, title.id) if item.effect in _STOPS]
    if blocking:
        everything = any(item.effect == Effect.BLOCK_ALL for item in blocking)
        raise Conflict(
            "transfer_blocked",
            f"In force on the title: {', '.join(sorted(item.kind for item in blocking))}.",
            remedy="Have it vacated, discharged or cleared first.",
            rule="ENC-02" if everything else None,
        )


def require_no_burden(session: Session, title: Title) -> None:
    """Refuse to end a title while anything is lodged or in force on it: it would be forgotten."""
    living = [
        item.kind
        for item in encumbrances.list_encumbrances(session, title.id)
        if item.state not in _ENDED
    ]
    if living:
        raise Conflict(
            "encumbrances_not_closed",
            f"Still open on the title: {', '.join(sorted(living))}.",
            remedy="Have every one discharged, rejected or lapsed first.",
        )


@guard("mutation", "implement")
def everything_is_as_attested(attempt: Attempt[Mutation]) -> None:
    session, mutation = attempt.session, attempt.record
    if mutation.predecessor_id is not None:
        before = repository.get_mutation(session, mutation.predecessor_id)
        if before.state != MutationState.IMPLEMENTED:
            raise Conflict(
                "predecessor_not_implemented",
                f"Mutation {before.number}, before this one, is {before.state} (rule MUT-02).",
                remedy="Implement the predecessor first.",
                rule="MUT-02",
            )
    if not isinstance(attempt.given.get("appeal_filed"), bool):
        raise Invalid(
            "appeal_flag_required",
            "State whether an appeal against the attestation was filed.",
            field="/appeal_filed",
        )
    require_source(session, mutation)
    require_current_shares(session, mutation)
    for title in repository.titles_of(session, mutation.id, TitlePart.SUBJECT):
        require_no_restriction(session, title)
        if mutation.kind in rules.DIVISIONS:
            require_no_burden(session, title)
            require_holds_no_land(session, title.asset_id)
    _require_living_results(session, mutation)
    _require_burden(session, mutation)


def _require_living_results(session: Session, mutation: Mutation) -> None:
    """Refuse a new title on an asset whose dossier has ended, or is another title's already."""
    for title in repository.titles_of(session, mutation.id, TitlePart.RESULT):
        asset = assets.get_asset(session, title.asset_id)
        if asset.state not in _ON_THE_WAY:
            raise Conflict(
                "division_result_not_draft",
                f"{asset.code} is {asset.state}; what comes out of a division is a draft.",
                remedy="Have the mutation reviewed and rejected, and enter it with a new dossier.",
            )


def _require_burden(session: Session, mutation: Mutation) -> None:
    """Ask that the burden whose beginning or end is recorded has begun, or has ended."""
    if mutation.encumbrance_id is None:
        return
    burden = encumbrances.get_encumbrance(session, mutation.encumbrance_id)
    ended = burden.state == EncumbranceState.DISCHARGED
    in_force = burden.id in {item.id for item in encumbrances.in_force(session, burden.title_id)}
    if not (ended if mutation.kind == MutationKind.REDEMPTION else in_force):
        raise Conflict(
            "encumbrance_not_settled",
            f"The {burden.kind} is {burden.state}: a {mutation.kind} records what has happened.",
            remedy="Register or discharge the encumbrance first.",
        )


@guard("mutation", "reverse")
def order_was_implemented(attempt: Attempt[Mutation]) -> None:
    compensating: Mutation | None = attempt.given.get("compensating")
    if (
        compensating is None
        or compensating.reverses_id != attempt.record.id
        or compensating.state != MutationState.IMPLEMENTED
    ):
        raise Conflict(
            "reversal_not_attested",
            "No mutation under an appellate order that reverses this one is attested.",
            remedy="Enter a COURT_DECREE with `reverses_id` on the title and have it attested.",
        )
