"""Use cases on parties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, or_, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict, Invalid, StaleVersion
from registry.kernel.masking import mask_cnic
from registry.kernel.rows import get_row, page_after
from registry.kernel.vault import Vault
from registry.party import details as personal
from registry.party import rules
from registry.party.details import Details
from registry.party.group import PERSONS, Member, checked_members
from registry.party.models import Party, PartyKind
from registry.party.ubo import BeneficialOwner, declared


@dataclass(frozen=True, slots=True, kw_only=True)
class NewParty(Details):
    """What a party is recorded with.

    Parameters
    ----------
    cnic
        A natural person has one, or a passport; nobody else has any.
    members
        Of a group, two or more.
    asset_id
        Of an asset as a party.
    """

    kind: PartyKind
    name: str
    cnic: str | None = None
    lei: str | None = None
    cuin: str | None = None
    scac: str | None = None
    residence_country: str = "PK"
    ubo: Sequence[BeneficialOwner] = ()
    members: Sequence[Member] = ()
    asset_id: UUID | None = None


def create_party(session: Session, vault: Vault, actor: Actor, new: NewParty) -> Party:
    """Record a person or a group; an asset as a party by `registry.title.owners`.

    Raises
    ------
    Invalid
        An identifier is malformed, or missing for this kind of party, or as `checked_members`.
    Conflict
        ``party_exists``: somebody is recorded under one of the identifiers, or, of companies that
        no other identifier tells apart, under the SCAC or the tax number.
    """
    _check_identifiers(new)
    _check_stand_in(new)
    party = Party(
        kind=new.kind,
        lei=new.lei,
        cuin=new.cuin,
        scac=new.scac,
        residence_country=new.residence_country,
        members=checked_members(session, new.kind, new.members),
        asset_id=new.asset_id,
        created_by=actor.subject,
    )
    party.ubo = declared(session, party, new.ubo)
    if new.cnic is not None:
        personal.keep_cnic(vault, party, new.cnic)
    known = personal.checked(new.kind, new)
    personal.keep(vault, party, known)
    _refuse_known(session, party, _same_for_good(vault, party, new.cnic))
    _refuse_known(session, party, _same_by_details(vault, party, known))
    session.add(party)
    session.flush()
    journal.record(session, actor, "party_created", "party", party.id, kind=party.kind)
    return party


def amend_party(  # noqa: PLR0917
    session: Session,
    vault: Vault,
    actor: Actor,
    party_id: UUID,
    version: int,
    changes: Mapping[str, Any],
) -> Party:
    """Correct what is known of a person; who they are, by CNIC, LEI or CUIN, stays.

    Parameters
    ----------
    changes
        By the names of `Details`, or `residence_country` or `ubo`; None forgets what was known.

    Raises
    ------
    Invalid
    StaleVersion
        The caller edits an older version.
    Conflict
        ``party_exists``: somebody else is recorded under the passport or the tax number.
    """
    party = get_row(session, Party, party_id, kind="party", lock=True)
    if party.version != version:
        raise StaleVersion("party", str(version), str(party.version))
    changes, before = dict(changes), personal.known_of(vault, party)
    told = _told_of(party, before)
    country = changes.pop("residence_country", party.residence_country)
    party.residence_country = rules.check_country(country or "")
    if "ubo" in changes:
        party.ubo = declared(session, party, changes.pop("ubo") or ())
    known = replace(before, **changes)
    if party.kind == PartyKind.NATURAL and party.cnic_sealed is None and known.passport is None:
        raise Invalid("cnic_required", "Without a CNIC the passport stays.", field="/passport")
    known = personal.checked(party.kind, known)
    personal.keep_anew(vault, party, known)
    if any(getattr(known, name) != getattr(before, name) for name in _IDENTIFYING):
        with session.no_autoflush:
            _refuse_known(session, party, _same_by_details(vault, party, known))
    session.flush()
    # What is said again as it stood is no correction: no paper that prints it is out of date.
    fields = sorted(name for name, said in _told_of(party, known).items() if said != told[name])
    journal.record(session, actor, "party_amended", "party", party.id, fields=fields)
    return party


def _told_of(party: Party, known: Details) -> Mapping[str, Any]:
    """Give what `amend_party` may change, by the names under which it is asked for."""
    details = {name: getattr(known, name) for name in personal.NAMES}
    return details | {"residence_country": party.residence_country, "ubo": party.ubo}


def _check_identifiers(new: NewParty) -> None:
    if new.kind == PartyKind.NATURAL and new.cnic is None and new.passport is None:
        raise Invalid(
            "cnic_required",
            "A natural person is recorded with a CNIC, or a passport where there is none.",
            field="/cnic",
        )
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


def _check_stand_in(new: NewParty) -> None:
    """Let a party that stands for others name them, and carry nobody's number."""
    if (new.kind == PartyKind.ASSET_AS_PARTY) != (new.asset_id is not None):
        raise Invalid(
            "asset_reference_wrong",
            "An ASSET_AS_PARTY names its asset, and nobody else does.",
            field="/asset_id",
        )
    if new.kind in PERSONS:
        return
    for name in ("cnic", "lei", "cuin", "scac"):
        if getattr(new, name) is not None:
            raise Invalid(
                "identifier_not_applicable",
                f"Only a person has a {name}; a {new.kind} is known by whom it stands for.",
                field=f"/{name}",
            )


_IDENTIFYING = ("passport", "passport_country", "ntn")
"""Of what is amended. Two who stand for one person from before stay correctable otherwise."""

Same = Iterator[tuple[str, ColumnElement[bool]]]
"""Conditions under which somebody else is the same party, and by what."""


def _same_for_good(vault: Vault, party: Party, cnic: str | None) -> Same:
    """Compare what a party is recorded under, and never changes."""
    if cnic is not None:
        yield "CNIC", col(Party.cnic_fingerprint) == party.cnic_fingerprint
        nicop = personal.nicop_fingerprint(vault, cnic)
        yield "CNIC, by a NICOP", col(Party.passport_fingerprint) == nicop
    if party.lei is not None:
        yield "LEI", col(Party.lei) == party.lei
    if party.cuin is not None:
        yield "CUIN", col(Party.cuin) == party.cuin
    if party.scac is not None:
        # Several companies sail under one carrier's code: an LEI or a CUIN tells them apart.
        same = col(Party.scac) == party.scac
        if party.lei is not None or party.cuin is not None:
            same &= col(Party.lei).is_(None) & col(Party.cuin).is_(None)
        yield "SCAC", same
    if party.asset_id is not None:
        yield "asset", col(Party.asset_id) == party.asset_id


def _same_by_details(vault: Vault, party: Party, known: Details) -> Same:
    """Compare what may be amended."""
    if known.passport is not None:
        yield "passport", col(Party.passport_fingerprint) == party.passport_fingerprint
    cnic = personal.cnic_on_nicop(known)
    if cnic is not None:
        yield "NICOP, by its CNIC", col(Party.cnic_fingerprint) == vault.fingerprint(cnic)
    if known.ntn is not None and party.kind == PartyKind.LEGAL:
        # Of two with an LEI each, or a CUIN each, one tax number is wrong: they are not one.
        same = (col(Party.ntn_fingerprint) == party.ntn_fingerprint) & (
            col(Party.kind) == PartyKind.LEGAL
        )
        if party.lei is not None:
            same &= col(Party.lei).is_(None)
        if party.cuin is not None:
            same &= col(Party.cuin).is_(None)
        yield "tax number", same


def _refuse_known(session: Session, party: Party, same: Same) -> None:
    for name, condition in same:
        others = select(Party.id).where(condition, col(Party.id) != party.id)
        if session.exec(others).first() is not None:
            raise Conflict(
                "party_exists",
                f"Somebody is already recorded under this {name}.",
                remedy="Use the party that is recorded; if it is you, ask the office for it.",
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
    cnic: str | None = None,
    lei: str | None = None,
    passport: tuple[str, str | None] | None = None,
    iban: str | None = None,
    ntn: str | None = None,
    after: UUID | None,
    limit: int,
) -> Sequence[Party]:
    """List parties in the order in which they were recorded.

    Parameters
    ----------
    cnic
        Also finds whose NICOP carries it.
    passport
        Its number and country; a NICOP also finds whose CNIC it carries.

    Raises
    ------
    Invalid
        An identifier is malformed.
    """
    query = select(Party)
    if cnic is not None:
        rules.check_cnic(cnic, field="cnic")
        query = query.where(
            or_(
                col(Party.cnic_fingerprint) == vault.fingerprint(cnic),
                col(Party.passport_fingerprint) == personal.nicop_fingerprint(vault, cnic),
            )
        )
    if lei is not None:
        query = query.where(col(Party.lei) == lei)
    if passport is not None:
        sought = Details(passport=rules.check_passport(*passport), passport_country=passport[1])
        found = personal.passport_fingerprint(vault, sought)
        under = col(Party.passport_fingerprint) == found
        carried = personal.cnic_on_nicop(sought)
        if carried is not None:
            under |= col(Party.cnic_fingerprint) == vault.fingerprint(carried)
        query = query.where(under)
    if iban is not None:
        found = personal.iban_fingerprint(vault, Details(iban=rules.check_iban(iban)))
        query = query.where(col(Party.iban_fingerprint) == found)
    if ntn is not None:
        found = personal.ntn_fingerprint(vault, Details(ntn=rules.check_ntn(ntn)))
        query = query.where(col(Party.ntn_fingerprint) == found)
    return session.exec(page_after(query, col(Party.id), after=after, limit=limit)).all()


def masked_cnic(vault: Vault, party: Party) -> str | None:
    cnic = personal.cnic_of(vault, party)
    return mask_cnic(cnic) if cnic else None
