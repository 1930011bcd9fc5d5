"""Writing a mutation into the titles: new versions, or new titles in place of old ones."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.classes import check_details, class_of
from registry.asset.law import law_of
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.errors import Conflict
from registry.lifecycle import service as lifecycle
from registry.mutation import repository, rules
from registry.mutation.division import Holding, check_division
from registry.mutation.entry import BASIS_OF_WORDS
from registry.mutation.models import Initiation, Mutation, MutationKind, TitlePart
from registry.title import service as titles
from registry.title import versions
from registry.title.models import Title, TitleState, TitleVersion
from registry.title.rules import MAX_KUL_HISSAY, Ownership


def write_rights(session: Session, actor: Actor, mutation: Mutation) -> None:
    """Write what an implemented mutation says; its guards have let it pass."""
    if mutation.kind in rules.DIVISIONS:
        _divide(session, actor, mutation)
        return
    title = titles.get_title(session, mutation.title_id)
    right = _right_after(session, actor, mutation, title)
    closed, opened = versions.replace_version(session, title, right)
    titles.fire(
        session,
        THE_SYSTEM,
        title,
        "mutation_implemented",
        given={"closed": closed, "opened": opened},
        mutation_id=str(mutation.id),
        version_id=str(opened.id),
    )
    if mutation.reverses_id is not None:
        undone = repository.get_mutation(session, mutation.reverses_id, lock=True)
        given = {"compensating": mutation}
        by = str(mutation.id)
        lifecycle.fire(session, actor, "mutation", undone, "reverse", given=given, reversed_by=by)


def _right_after(
    session: Session, actor: Actor, mutation: Mutation, title: Title
) -> versions.NewRight:
    """Return who owns from when on, after the mutation."""
    current = titles.current_version(session, title.id)
    before = titles.ownership_of(session, current)
    valid_from, basis = mutation.effective_at, _basis(session, mutation, title)
    assert valid_from is not None
    if mutation.reverses_id is not None:
        former = _version_before(session, current)
        after, basis, valid_from = (
            titles.ownership_of(session, former),
            former.basis,
            current.valid_from,
        )
    elif mutation.kind in rules.TRANSFERS:
        after = rules.transfer(before, repository.transfer_of(session, mutation))
    else:
        after, basis = before, current.basis
        if mutation.kind == MutationKind.FARD_BADR:
            after, valid_from = _rewritten(before, mutation.kul_hissay), current.valid_from
    return versions.NewRight(
        valid_from=valid_from,
        basis=basis,
        ownership=after,
        maker=mutation.maker,
        checker=actor.subject,
        mutation_id=mutation.id,
    )


def _basis(session: Session, mutation: Mutation, title: Title) -> str:
    """Return what the new right rests on (LADM's administrative source)."""
    asset = assets.get_asset(session, title.asset_id)
    usual = law_of(asset).regime.basis
    if mutation.initiation == Initiation.COURT:
        return "COURT_DECREE"
    if mutation.initiation == Initiation.ORAL:
        return BASIS_OF_WORDS
    return "REGISTERED_DEED" if usual == BASIS_OF_WORDS else usual


def _version_before(session: Session, current: TitleVersion) -> TitleVersion:
    """Return what we believed until we recorded the right in force."""
    return session.exec(
        select(TitleVersion).where(
            col(TitleVersion.title_id) == current.title_id,
            col(TitleVersion.superseded_at) == current.recorded_at,
        )
    ).one()


def _rewritten(ownership: Ownership, kul_hissay: int) -> Ownership:
    """Write the same shares over another whole: a correction of the writing, not of a right."""
    parts = rules.parts_of(ownership)
    if any(kul_hissay % part.denominator for part in parts.values()):
        raise Conflict(
            "shares_not_expressible",
            f"The shares cannot be written in {kul_hissay} parts without changing them.",
            remedy="A fard badr changes no share: choose a multiple of every denominator.",
            rule="SHR-02",
        )
    assert kul_hissay <= MAX_KUL_HISSAY
    return rules.ownership_over(parts, kul_hissay)


# Partition and consolidation


def verify_results(session: Session, actor: Actor, mutation: Mutation) -> None:
    """Check the division, and verify the titles that will come out of it."""
    _check_division(session, mutation)
    subjects = repository.titles_of(session, mutation.id, TitlePart.SUBJECT)
    given = {
        "source_document_id": mutation.source_document_id,
        "parents": [title.asset_id for title in subjects],
    }
    for title in repository.titles_of(session, mutation.id, TitlePart.RESULT):
        if title.state == TitleState.PROPOSED:
            titles.fire(session, actor, title, "verify", given=given, mutation_id=str(mutation.id))


def _check_division(session: Session, mutation: Mutation) -> None:
    before, after = (
        [_holding(session, title) for title in repository.titles_of(session, mutation.id, part)]
        for part in (TitlePart.SUBJECT, TitlePart.RESULT)
    )
    check_division(mutation.kind, before, after, decreed=mutation.initiation == Initiation.COURT)


def _holding(session: Session, title: Title) -> Holding:
    asset = assets.get_asset(session, title.asset_id)
    details = check_details(class_of(asset.asset_class), asset.details)
    area = details.land_area()
    if area is None or details.part_of_parent() is not None:
        raise Conflict(
            "division_not_of_land",
            f"{asset.code} is not land that can be divided or put together.",
        )
    version = titles.current_version(session, title.id)
    return Holding(area, titles.ownership_of(session, version))


def _divide(session: Session, actor: Actor, mutation: Mutation) -> None:
    """Let the old titles end and the new ones begin at one instant."""
    at = mutation.effective_at
    assert at is not None
    _check_division(session, mutation)
    subjects = repository.titles_of(session, mutation.id, TitlePart.SUBJECT)
    results = repository.titles_of(session, mutation.id, TitlePart.RESULT)
    by = str(mutation.id)
    for title in subjects:
        versions.end_version(session, title, at)
        assets.release_claims(session, title.asset_id)
    for title in results:
        _begin(session, actor, mutation, title)
        titles.fire(session, actor, title, "activate", mutation_id=by)
    for title in subjects:
        given = {"mutation": mutation}
        titles.fire(session, THE_SYSTEM, title, "mutation_splits", given=given, mutation_id=by)


def _begin(session: Session, actor: Actor, mutation: Mutation, title: Title) -> None:
    """Let the right that a draft claimed begin, and take its keys."""
    claimed = versions.right_of(session, titles.current_version(session, title.id))
    assert mutation.effective_at is not None
    versions.restart(
        session,
        title,
        versions.NewRight(
            valid_from=mutation.effective_at,
            basis=claimed.basis,
            ownership=claimed.ownership,
            maker=mutation.maker,
            checker=actor.subject,
            mutation_id=mutation.id,
        ),
    )
    assets.make_claims_live(session, title.asset_id)
    _require_keys(session, title.asset_id)


def _require_keys(session: Session, asset_id: UUID) -> None:
    taken = assets.rival_claims(session, asset_id)
    if taken:
        raise Conflict(
            "key_taken", f"Claimed elsewhere: {', '.join(sorted(taken))}.", rule="KEY-01"
        )
