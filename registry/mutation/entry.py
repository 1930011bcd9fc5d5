"""Entering a mutation: who gives what to whom, from which version of the title."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.law import law_of
from registry.asset.models import AssetState
from registry.encumbrance import service as encumbrances
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now, today
from registry.kernel.errors import Conflict, Invalid
from registry.mutation import repository, rules
from registry.mutation.forms import NewMutation
from registry.mutation.models import (
    Initiation,
    Mutation,
    MutationKind,
    MutationParty,
    MutationState,
    MutationTitle,
    Part,
    TitlePart,
)
from registry.mutation.sides import Sides, sides_of
from registry.party import service as parties
from registry.title import service as titles
from registry.title.models import Title, TitleState, TitleVersion

BASIS_OF_WORDS = "RECORD_OF_RIGHTS"
"""Only where the record of rights itself is the title does people's word pass anything."""


def lodge_mutation(session: Session, actor: Actor, title_id: UUID, new: NewMutation) -> Mutation:
    """Enter a mutation; from now on nothing else passes on its titles (MUT-01).

    Raises
    ------
    Invalid
        What the kind does not have, or lacks; SHR-02, TTL-06.
    Conflict
        ``mutation_open`` (MUT-01), ``share_exceeded`` (SHR-03), ``transition_refused``.
    """
    _check_division_titles(title_id, new)
    subjects = repository.lock_titles(session, [title_id, *new.merged_title_ids])
    title = subjects[0]
    for subject in subjects:
        require_no_open(session, subject)
    version = titles.current_version(session, title.id)
    _check_initiation(session, title, new)
    for subject in subjects:
        _check_moment(titles.current_version(session, subject.id), new)
    sides = sides_of(session, version, new)
    mutation = Mutation(
        title_id=title.id,
        version_id=version.id,
        kind=new.kind,
        initiation=new.initiation,
        number=new.number,
        entered_on=new.entered_on or today(),
        kul_hissay=sides.kul_hissay,
        predecessor_id=new.predecessor_id,
        reverses_id=new.reverses_id,
        encumbrance_id=new.encumbrance_id,
        counterpart_id=new.counterpart_id,
        effective_at=new.effective_at,
        land_value_paisa=new.land_value_paisa,
        assessed_paisa=new.assessed_paisa,
        fard_token_no=new.fard_token_no,
        fard_token_on=new.fard_token_on,
        maker=actor.subject,
    )
    _check_references(session, subjects, new)
    session.add(mutation)
    session.flush()
    _add_parties(session, mutation, version, sides, new.witness_ids)
    _add_titles(session, mutation, subjects, new.result_asset_ids)
    for subject in subjects:
        given = {"mutation": mutation}
        titles.fire(
            session, actor, subject, "lodge_mutation", given=given, mutation_id=str(mutation.id)
        )
    journal.record(
        session,
        actor,
        "mutation_entered",
        "mutation",
        mutation.id,
        kind=new.kind,
        number=new.number,
        title_id=str(title.id),
        version_id=str(version.id),
    )
    return mutation


def require_no_open(session: Session, title: Title, but: Mutation | None = None) -> None:
    """Refuse a second open mutation on the title (MUT-01)."""
    other = repository.find_open(session, title.id)
    if other is not None and (but is None or other.id != but.id):
        raise Conflict(
            "mutation_open",
            f"Mutation {other.number} of this title is {other.state} (rule MUT-01).",
            remedy="Have it implemented, rejected or withdrawn first.",
            rule="MUT-01",
        )


def _check_initiation(session: Session, title: Title, new: NewMutation) -> None:
    asset = assets.get_asset(session, title.asset_id)
    by_word = law_of(asset).regime.basis == BASIS_OF_WORDS
    if new.initiation == Initiation.ORAL and not by_word:
        raise Invalid(
            "oral_mutation_refused",
            f"Under {asset.title_regime} nothing passes by word of mouth (rule TTL-06).",
            field="/initiation",
            remedy="Enter it on the registered deed or the court's decree.",
            rule="TTL-06",
        )
    by_court = new.kind in rules.BY_COURT or new.reverses_id is not None
    if by_court and new.initiation != Initiation.COURT:
        raise Invalid(
            "initiation_not_applicable",
            f"A {new.kind} is entered on the order of a court.",
            field="/initiation",
        )


def _check_moment(version: TitleVersion, new: NewMutation) -> None:
    """Let a legal instant be known, past, and after the right from which it takes."""
    if new.effective_at is None or new.reverses_id is not None:
        return
    if new.initiation == Initiation.ORAL or new.kind == MutationKind.FARD_BADR:
        raise Invalid(
            "effective_at_not_applicable",
            "An oral mutation takes effect by its attestation, a correction from the first day.",
            field="/effective_at",
        )
    if new.effective_at > now():
        raise Invalid(
            "effective_in_future", "A deed or decree is of the past.", field="/effective_at"
        )
    if new.effective_at <= version.valid_from:
        raise Conflict(
            "mutation_predates_title",
            f"The right in force began at {version.valid_from.isoformat()}, after this deed.",
            remedy="Correct or reverse the later right first.",
        )


def _check_references(session: Session, subjects: Sequence[Title], new: NewMutation) -> None:
    title = subjects[0]
    if new.predecessor_id is not None:
        repository.get_mutation(session, new.predecessor_id)
    if (new.kind in rules.OF_A_BURDEN) != (new.encumbrance_id is not None):
        raise Invalid(
            "encumbrance_reference_wrong",
            "A mortgage, redemption or lease names its encumbrance; no other kind has one.",
            field="/encumbrance_id",
        )
    if new.encumbrance_id is not None:
        burden = encumbrances.get_encumbrance(session, new.encumbrance_id)
        if burden.title_id != title.id:
            raise Invalid(
                "encumbrance_reference_wrong",
                "The encumbrance is one of another title.",
                field="/encumbrance_id",
            )
    if new.reverses_id is not None:
        _check_reversal(session, title, new, new.reverses_id)


def _check_reversal(session: Session, title: Title, new: NewMutation, reversed_id: UUID) -> None:
    """Let an order undo only what was done to this title, and nothing before the last."""
    undone = repository.get_mutation(session, reversed_id)
    if new.kind != MutationKind.COURT_DECREE or undone.title_id != title.id:
        raise Invalid(
            "reversal_not_applicable",
            "A COURT_DECREE on the same title reverses a mutation.",
            field="/reverses_id",
        )
    if undone.state != MutationState.IMPLEMENTED or undone.kind in rules.DIVISIONS:
        raise Conflict(
            "mutation_not_reversible",
            f"Mutation {undone.number} is {undone.state}, a {undone.kind}.",
            remedy="Only an implemented mutation is reversed; a division by another division.",
        )
    if titles.current_version(session, title.id).mutation_id != undone.id:
        raise Conflict(
            "mutation_not_the_last",
            "Other rights rest on this mutation already.",
            remedy="Reverse the later mutations first, the last one before the others.",
        )


def _check_division_titles(title_id: UUID, new: NewMutation) -> None:
    merged, results = len(set(new.merged_title_ids)), len(set(new.result_asset_ids))
    expected = {
        MutationKind.PARTITION: merged == 0 and results > 1,
        MutationKind.CONSOLIDATION: merged > 0 and results == 1,
    }.get(new.kind, merged == 0 and results == 0)
    repeated = merged != len(new.merged_title_ids) or results != len(new.result_asset_ids)
    if not expected or repeated or title_id in new.merged_title_ids:
        raise Invalid(
            "division_titles_wrong",
            "A partition makes two or more titles of one, a consolidation one of two or more.",
            field="/result_asset_ids",
        )


def _add_parties(
    session: Session,
    mutation: Mutation,
    version: TitleVersion,
    sides: Sides,
    witness_ids: Sequence[UUID],
) -> None:
    held = {share.party_id: share.hissa for share in titles.ownership_of(session, version).shares}
    for part, members in ((Part.SELLER, sides.sellers), (Part.BUYER, sides.buyers)):
        for side in members:
            session.add(
                MutationParty(
                    mutation_id=mutation.id,
                    part=part,
                    party_id=side.party_id,
                    hissa=side.hissa,
                    held_hissa=held[side.party_id] if part == Part.SELLER else None,
                    died_on=side.died_on,
                    relation=side.relation,
                )
            )
    sellers_and_buyers = {side.party_id for side in (*sides.sellers, *sides.buyers)}
    for party_id in witness_ids:
        parties.get_party(session, party_id)
        if party_id in sellers_and_buyers or list(witness_ids).count(party_id) > 1:
            raise Invalid(
                "witness_not_applicable",
                "A witness is named once, and neither gives nor takes.",
                field="/witness_ids",
            )
        session.add(MutationParty(mutation_id=mutation.id, part=Part.WITNESS, party_id=party_id))
    session.flush()


def _add_titles(
    session: Session,
    mutation: Mutation,
    subjects: Sequence[Title],
    result_asset_ids: Sequence[UUID],
) -> None:
    results = []
    for asset_id in result_asset_ids:
        asset = assets.get_asset(session, asset_id, lock=True)
        result = titles.title_of_asset(session, asset_id)
        claimed = result.state in (TitleState.PROPOSED, TitleState.VERIFIED)
        if asset.state != AssetState.DRAFT or not claimed:
            raise Conflict(
                "division_result_not_draft",
                f"{asset.code} is {asset.state}; what comes out of a division is a draft.",
            )
        if asset.maker != mutation.maker:
            raise Conflict(
                "division_result_not_yours", f"The dossier of {asset.code} is somebody else's."
            )
        require_no_open(session, result)
        results.append(result)
    linked = [(subject, TitlePart.SUBJECT) for subject in subjects]
    linked += [(result, TitlePart.RESULT) for result in results]
    session.add_all(
        MutationTitle(mutation_id=mutation.id, title_id=linked_title.id, part=part)
        for linked_title, part in linked
    )
    session.flush()
