"""Use cases on wrappers."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict, Invalid
from registry.party import service as parties
from registry.party.models import PartyKind
from registry.wrapper.models import RegisterOfRecord, Wrapper, WrapperType


def name_wrapper(
    session: Session,
    actor: Actor,
    asset_id: UUID,
    *,
    party_id: UUID,
    wrapper_type: WrapperType,
    register_of_record: RegisterOfRecord,
) -> Wrapper:
    """Name the vehicle that holds an asset for its token holders.

    Raises
    ------
    Invalid
        ``wrapper_not_a_company``.
    Conflict
        ``wrapper_named``: the asset has one.
    """
    assets.get_asset(session, asset_id, lock=True)
    if find_wrapper(session, asset_id) is not None:
        raise Conflict("wrapper_named", "A wrapper is already named for this asset.")
    if parties.get_party(session, party_id).kind != PartyKind.LEGAL:
        raise Invalid(
            "wrapper_not_a_company",
            "A wrapper is a legal person: it holds the asset for all token holders.",
            field="/party_id",
            rule="WRP-01",
        )
    wrapper = Wrapper(
        asset_id=asset_id,
        party_id=party_id,
        type=wrapper_type,
        register_of_record=register_of_record,
        named_by=actor.subject,
    )
    session.add(wrapper)
    session.flush()
    journal.record(
        session,
        actor,
        "wrapper_named",
        "asset",
        asset_id,
        party_id=str(party_id),
        type=wrapper_type,
    )
    return wrapper


def find_wrapper(session: Session, asset_id: UUID) -> Wrapper | None:
    return session.exec(select(Wrapper).where(col(Wrapper.asset_id) == asset_id)).first()
