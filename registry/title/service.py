"""Use cases on titles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import GONE_STATES
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.kernel.rows import get_row
from registry.lifecycle import service as lifecycle
from registry.title import guards
from registry.title.models import ENDED, Title, TitleState
from registry.title.rules import Ownership
from registry.title.versions import (
    NewRight,
    add_version,
    assets_with_right,
    current_version,
    list_versions,
    ownership_of,
    replace_version,
    right_of,
    version_at,
)


def propose_title(
    session: Session, actor: Actor, asset_id: UUID, *, basis: str, ownership: Ownership
) -> Title:
    """Record the title that a dossier claims."""
    title = Title(asset_id=asset_id)
    session.add(title)
    session.flush()
    at = now()
    right = NewRight(valid_from=at, basis=basis, ownership=ownership, maker=actor.subject)
    add_version(session, title, right, recorded_at=at, is_first=True)
    return title


def restate_title(
    session: Session, actor: Actor, title: Title, *, basis: str, ownership: Ownership
) -> None:
    """Correct what a dossier claims, from its first day; the former claim stays readable.

    A title that is more than a claim changes by a mutation only. Stating it once more as it is
    changes nothing.

    Raises
    ------
    Conflict
        ``title_not_proposed``.
    """
    current = current_version(session, title.id)
    as_before = right_of(session, current)
    right = replace(as_before, basis=basis, ownership=ownership, maker=actor.subject)
    if title.state not in (TitleState.PROPOSED, TitleState.VERIFIED):
        if (as_before.basis, _parts(as_before)) != (basis, _parts(right)):
            raise Conflict(
                "title_not_proposed",
                f"The title is {title.state}: its owners change by a mutation, not by an edit.",
                remedy="Enter a mutation on the title.",
            )
        return
    replace_version(session, title, right)


def _parts(right: NewRight) -> dict[UUID, Any]:
    return {
        share.party_id: right.ownership.fraction_of(share.party_id)
        for share in right.ownership.shares
    }


def fire(
    session: Session,
    actor: Actor,
    title: Title,
    event: str,
    *,
    given: Mapping[str, Any] | None = None,
    **facts: Any,
) -> None:
    """Fire `event` on the title and journal it.

    Raises
    ------
    Conflict
        ``transition_refused``, or what a guard says.
    Forbidden
        ``transition_forbidden``, or what a guard says.
    """
    lifecycle.fire(session, actor, "title", title, event, given=given, **facts)


def dispute_title(
    session: Session, actor: Actor, title_id: UUID, *, reference: str, reason: str
) -> Title:
    """Record that the title is in dispute: nobody deals in it until that is decided.

    Parameters
    ----------
    reference
        The order or the suit.

    Raises
    ------
    Conflict
        ``transition_refused``, ``mutation_not_stayed``.
    """
    # The asset first: it is not retired, and its token not opened, at this moment.
    assets.get_asset(session, get_title(session, title_id).asset_id, lock=True)
    title = get_title(session, title_id, lock=True)
    given = {"reference": reference}
    fire(session, actor, title, "dispute", given=given, reference=reference, reason=reason)
    return title


def get_title(session: Session, title_id: UUID, *, lock: bool = False) -> Title:
    """Return the title.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Title, title_id, kind="title", lock=lock)


def lock_living_title(session: Session, title_id: UUID) -> Title:
    """Lock a title on which something is to lie, its asset first, as everybody does.

    Raises
    ------
    Conflict
        ``title_ended``: nothing binds a title that has ended, or of an asset that is gone.
    """
    asset_id = get_title(session, title_id).asset_id
    asset = assets.get_asset(session, asset_id, lock=True)
    title = get_title(session, title_id, lock=True)
    if title.state in ENDED or asset.state in GONE_STATES:
        raise Conflict(
            "title_ended",
            f"The title is {title.state} and {asset.code} is {asset.state}.",
            remedy="Lodge it on the title that the land, or the thing, has now.",
        )
    return title


def title_of_asset(session: Session, asset_id: UUID) -> Title:
    """Return the title of an asset; every asset is recorded with one."""
    return session.exec(select(Title).where(col(Title.asset_id) == asset_id)).one()


__all__ = [
    "assets_with_right",
    "current_version",
    "dispute_title",
    "fire",
    "get_title",
    "guards",
    "list_versions",
    "lock_living_title",
    "ownership_of",
    "propose_title",
    "restate_title",
    "title_of_asset",
    "version_at",
]
