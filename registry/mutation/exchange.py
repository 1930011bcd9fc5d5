"""An exchange (tabadla) of land under two titles: two mutations that pass together, or not at all.

Each half is a mutation of its own title, with its own number, instrument and witnesses. What is
given under one title is paid for under the other, so neither is implemented without the other, and
neither is reversed alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlmodel import Session, col, or_, select

from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict, Invalid
from registry.mutation import repository
from registry.mutation.entry import lodge_mutation
from registry.mutation.forms import NewMutation, OtherHalf, Side
from registry.mutation.models import Mutation, MutationKind, MutationState


def lodge_exchange(
    session: Session, actor: Actor, title_id: UUID, new: NewMutation, other: OtherHalf
) -> Mutation:
    """Enter both halves, the asked one first.

    Raises
    ------
    Invalid
        ``exchange_uneven``: who gives under one title must take under the other; or as
        `entry.lodge_mutation`.
    Conflict
        As `entry.lodge_mutation`, of either title.
    """
    if new.kind != MutationKind.EXCHANGE or other.title_id == title_id:
        raise Invalid(
            "exchange_not_applicable",
            "Only an EXCHANGE has another half, on another title.",
            field="/exchanged_for",
        )
    if not _mirrors(new.sellers, other.buyers) or not _mirrors(new.buyers, other.sellers):
        raise Invalid(
            "exchange_uneven",
            "Who gives under one title takes under the other.",
            field="/exchanged_for",
            remedy="What somebody gives for nothing is a GIFT.",
        )
    # Both at once: two who enter the halves of one exchange never wait for each other in a circle.
    repository.lock_titles(session, [title_id, other.title_id])
    first = lodge_mutation(session, actor, title_id, new)
    half = replace(
        new,
        number=other.number,
        kul_hissay=other.kul_hissay,
        sellers=other.sellers,
        buyers=other.buyers,
        witness_ids=other.witness_ids,
        exchanged_for=None,
        counterpart_id=first.id,
    )
    lodge_mutation(session, actor, other.title_id, half)
    return first


def _mirrors(one: Sequence[Side], other: Sequence[Side]) -> bool:
    return {side.party_id for side in one} == {side.party_id for side in other}


def find_counterpart(session: Session, mutation: Mutation) -> Mutation | None:
    """Return the other half of an exchange of two titles."""
    return session.exec(
        select(Mutation).where(
            or_(
                col(Mutation.id) == mutation.counterpart_id,
                col(Mutation.counterpart_id) == mutation.id,
            )
        )
    ).first()


def passing_together(session: Session, mutation: Mutation) -> list[Mutation]:
    """Lock and return everything that is implemented with `mutation`, itself included.

    Raises
    ------
    Conflict
        ``counterpart_not_attested``: the other half, or what reverses it, is not.
    """
    undone = mutation.reverses_id and repository.get_mutation(session, mutation.reverses_id)
    other = find_counterpart(session, undone or mutation)
    if other is not None and undone:
        half, other = other, repository.find_reversal(session, other.id)
        if other is None:
            raise _not_attested(f"What reverses mutation {half.number}, the other half,")
    ids = {mutation.id} if other is None else {mutation.id, other.id}
    together = [repository.get_mutation(session, each, lock=True) for each in sorted(ids)]
    for half in together:
        if half.id != mutation.id and half.state != MutationState.ATTESTED:
            raise _not_attested(f"Mutation {half.number}, the other half, is {half.state} and")
    return together


def _not_attested(what: str) -> Conflict:
    return Conflict(
        "counterpart_not_attested",
        f"{what} is not attested: an exchange passes under both titles at once.",
        remedy="Have both halves attested, then implement either.",
    )
