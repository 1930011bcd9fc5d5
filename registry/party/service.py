"""Use cases on parties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.rows import get_row, page_after
from registry.kernel.vault import Vault
from registry.party import rules
from registry.party.models import Party, PartyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class NewParty:
    """What a party is recorded with.

    Parameters
    ----------
    cnic
        Required of a natural person, refused of a legal one.
    """

    kind: PartyKind
    name: str
    name_ur: str | None = None
    father_or_spouse_name: str | None = None
    cnic: str | None = None
    lei: str | None = None
    cuin: str | None = None
    scac: str | None = None
    residence_country: str = "PK"


def create_party(session: Session, vault: Vault, actor: Actor, new: NewParty) -> Party:
    """Record a person.

    Raises
    ------
    Invalid
        An identifier is malformed, or missing for this kind of person.
    Conflict
        ``party_exists``: somebody is recorded under one of the identifiers.
    """
    _check_identifiers(new)
    party = Party(
        kind=new.kind,
        name=new.name,
        name_ur=new.name_ur,
        father_or_spouse_name=new.father_or_spouse_name,
        cnic_sealed=vault.seal(new.cnic) if new.cnic else None,
        cnic_fingerprint=vault.fingerprint(new.cnic) if new.cnic else None,
        lei=new.lei,
        cuin=new.cuin,
        scac=new.scac,
        residence_country=new.residence_country,
        created_by=actor.subject,
    )
    _refuse_known_identifier(session, party)
    session.add(party)
    session.flush()
    journal.record(session, actor, "party_created", "party", party.id, kind=party.kind)
    return party


def _check_identifiers(new: NewParty) -> None:
    if new.kind == PartyKind.NATURAL and new.cnic is None:
        raise Invalid("cnic_required", "A natural person is recorded with a CNIC.", field="/cnic")
    if new.kind == PartyKind.LEGAL and new.cnic is not None:
        raise Invalid("cnic_not_applicable", "A legal person has no CNIC.", field="/cnic")
    if new.kind == PartyKind.LEGAL and not (new.lei or new.cuin or new.scac):
        raise Invalid(
            "legal_identifier_required",
            "A legal person is recorded with an LEI, a CUIN or a carrier code (SCAC).",
            field="/lei",
        )
    # An empty identifier is not an absent one: it would pass for one, and be stored.
    if new.cnic is not None:
        rules.check_cnic(new.cnic)
    if new.lei is not None:
        rules.check_lei(new.lei)
    if new.cuin is not None:
        rules.check_cuin(new.cuin)
    if new.scac is not None:
        rules.check_scac(new.scac)
    rules.check_country(new.residence_country)


def _refuse_known_identifier(session: Session, party: Party) -> None:
    for name, column, value in (
        ("CNIC", col(Party.cnic_fingerprint), party.cnic_fingerprint),
        ("LEI", col(Party.lei), party.lei),
        ("CUIN", col(Party.cuin), party.cuin),
    ):
        if value is None:
            continue
        if session.exec(select(Party.id).where(column == value)).first() is not None:
            raise Conflict(
                "party_exists",
                f"Somebody is already recorded under this {name}.",
                remedy="Use the party that is recorded.",
            )


def get_party(session: Session, party_id: UUID) -> Party:
    """Return the party.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Party, party_id, kind="party")


def list_parties(
    session: Session,
    vault: Vault,
    *,
    cnic: str | None,
    lei: str | None,
    after: UUID | None,
    limit: int,
) -> Sequence[Party]:
    """List parties in the order in which they were recorded."""
    query = select(Party)
    if cnic is not None:
        fingerprint = vault.fingerprint(rules.check_cnic(cnic, field="cnic"))
        query = query.where(col(Party.cnic_fingerprint) == fingerprint)
    if lei is not None:
        query = query.where(col(Party.lei) == lei)
    return session.exec(page_after(query, col(Party.id), after=after, limit=limit)).all()


def masked_cnic(vault: Vault, party: Party) -> str | None:
    return rules.mask_cnic(vault.unseal(party.cnic_sealed)) if party.cnic_sealed else None
