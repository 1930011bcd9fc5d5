"""Mutations of a title that may carry a token: whoever holds the token owns by the wrapper.

While fractions are out, nobody sells the title away from under them (WRP-01). What happens
without anybody's consent — an auction, an acquisition, a decree — happens to the token too: the
asset is suspended and its token paused until the holders are paid.
"""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.asset import service as assets
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.errors import Conflict
from registry.lifecycle.service import Attempt, guard
from registry.mutation import repository, rules
from registry.mutation import service as mutations
from registry.mutation.exchange import find_counterpart
from registry.mutation.models import Mutation, TitlePart
from registry.onboarding import claims
from registry.onboarding import service as onboarding
from registry.onboarding.models import CauseKind
from registry.title import service as titles
from registry.title.models import Title, TitleState
from registry.tokenization.guards import find_alive
from registry.tokenization.liens import stop_dealings
from registry.tokenization.models import TokenizationState
from registry.tokenization.title_status import tell_chain

UNISSUED = frozenset(
    {
        TokenizationState.PROPOSED,
        TokenizationState.STRUCTURED,
        TokenizationState.APPROVED,
        TokenizationState.DEPLOYING,
        TokenizationState.DEPLOYED,
    }
)
"""Nobody has paid for a fraction yet: the title may still pass, to the wrapper above all."""


def require_no_token(session: Session, title: Title) -> None:
    """Refuse while people hold, or have ordered, fractions of the asset.

    Raises
    ------
    Conflict
        ``token_alive``.
    """
    alive = find_alive(session, title.asset_id)
    if alive is not None and alive.state not in UNISSUED:
        raise Conflict(
            "token_alive",
            f"The token {alive.symbol} of this asset is {alive.state}.",
            remedy="Redeem and burn it first; the wrapper holds the title for the token's holders.",
            rule="WRP-01",
        )


@guard("mutation", "implement")
def token_allows_it(attempt: Attempt[Mutation]) -> None:
    if _touches_the_wrapper(attempt.record):
        for title in repository.titles_of(attempt.session, attempt.record.id, TitlePart.SUBJECT):
            require_no_token(attempt.session, title)


@guard("title", "lodge_mutation")
def token_allows_the_entry(attempt: Attempt[Title]) -> None:
    mutation: Mutation | None = attempt.given.get("mutation")
    if mutation is not None and _touches_the_wrapper(mutation):
        require_no_token(attempt.session, attempt.record)


def _touches_the_wrapper(mutation: Mutation) -> bool:
    changes = mutation.kind in rules.TRANSFERS or mutation.kind in rules.DIVISIONS
    return changes and mutation.kind not in rules.FORCED


@guard("title", "cancel")
def token_is_gone(attempt: Attempt[Title]) -> None:
    if attempt.record.state == TitleState.ACTIVE:
        require_no_token(attempt.session, attempt.record)


def implement_mutation(
    session: Session, actor: Actor, mutation_id: UUID, *, appeal_filed: bool
) -> Mutation:
    """Implement a mutation; a forced one stops the asset and its token.

    After a partition or consolidation the land is that of the new assets: those of the titles
    that have ended are retired.

    Raises
    ------
    Conflict
        ``token_alive``, or as `registry.mutation.service.implement_mutation`.
    """
    mutation = mutations.implement_mutation(session, actor, mutation_id, appeal_filed=appeal_filed)
    subjects = repository.titles_of(session, mutation.id, TitlePart.SUBJECT)
    if mutation.kind in rules.DIVISIONS:
        _hand_over(session, actor, mutation, subjects)
    if mutation.kind in rules.FORCED:
        for title in (*subjects, *_title_of_other_half(session, mutation.reverses_id)):
            _stop(session, title, CauseKind.FORCED_SALE, str(mutation.id), f"{mutation.kind}")
    return mutation


def _title_of_other_half(session: Session, exchange_id: UUID | None) -> list[Title]:
    """Return the title under which the other half of an exchange passed, if it was one."""
    if exchange_id is None:
        return []
    other = find_counterpart(session, mutations.get_mutation(session, exchange_id))
    return [titles.get_title(session, other.title_id)] if other is not None else []


def _hand_over(session: Session, actor: Actor, mutation: Mutation, ended: list[Title]) -> None:
    for title in ended:
        reason = f"{mutation.kind} {mutation.number}"
        onboarding.retire_asset(session, actor, title.asset_id, reason=reason)
    for title in repository.titles_of(session, mutation.id, TitlePart.RESULT):
        claims.take(session, assets.get_asset(session, title.asset_id, lock=True))


def dispute_title(
    session: Session, actor: Actor, title_id: UUID, *, reference: str, reason: str
) -> Title:
    """Put a title in dispute; a token that rests on it is halted and paused, its asset suspended.

    Raises
    ------
    Invalid, Conflict
        As `registry.title.service.dispute_title`.
    """
    title = titles.dispute_title(session, actor, title_id, reference=reference, reason=reason)
    _stop(session, title, CauseKind.TITLE_CHANGED, _dispute_of(title), "the title is in dispute")
    return title


def decide_dispute(
    session: Session, actor: Actor, title_id: UUID, *, order_document_id: UUID, reason: str
) -> Title:
    """Dismiss a dispute; what it suspended can be reinstated, by people.

    Raises
    ------
    Invalid, Conflict
        As `registry.mutation.service.decide_dispute`.
    """
    title = mutations.decide_dispute(
        session, actor, title_id, order_document_id=order_document_id, reason=reason
    )
    _close_dispute(session, actor, title, "the dispute is dismissed")
    tell_chain(session, assets.get_asset(session, title.asset_id, lock=True))
    return title


def _dispute_of(title: Title) -> str:
    return f"dispute {title.id}"


def _close_dispute(session: Session, actor: Actor, title: Title, closing: str) -> None:
    onboarding.close_cause(
        session,
        actor,
        assets.get_asset(session, title.asset_id, lock=True),
        CauseKind.TITLE_CHANGED,
        reference=_dispute_of(title),
        closing=closing,
    )


def cancel_title(
    session: Session, actor: Actor, title_id: UUID, *, order_document_id: UUID | None, reason: str
) -> Title:
    """Cancel a title; a token that rested on it is paused.

    Raises
    ------
    Conflict
        ``token_alive``, or as `registry.mutation.service.cancel_title`.
    """
    title = mutations.cancel_title(
        session, actor, title_id, order_document_id=order_document_id, reason=reason
    )
    _stop(session, title, CauseKind.TITLE_CHANGED, str(title.id), "the title is cancelled")
    _close_dispute(session, actor, title, "the title is cancelled")
    return title


def reverse_mutation(
    session: Session, actor: Actor, mutation_id: UUID, *, appeal_filed: bool
) -> Mutation:
    """Undo a mutation on an appellate order; a token that rested on it is paused.

    Raises
    ------
    Conflict
        As `registry.mutation.service.reverse_mutation`.
    """
    mutation = mutations.reverse_mutation(session, actor, mutation_id, appeal_filed=appeal_filed)
    of_this = titles.get_title(session, mutation.title_id)
    for title in (of_this, *_title_of_other_half(session, mutation.id)):
        _stop(session, title, CauseKind.TITLE_CHANGED, str(mutation.id), "a mutation is reversed")
    return mutation


def _stop(session: Session, title: Title, kind: CauseKind, by: str, reason: str) -> None:
    """Suspend the asset, and halt and pause its token, where it has one."""
    if find_alive(session, title.asset_id) is None:
        return
    asset = assets.get_asset(session, title.asset_id, lock=True)
    stop_dealings(session, THE_SYSTEM, asset, kind, reference=by, reason=reason, by_court=True)
    tell_chain(session, asset)
