"""What is known of a person: sealed as one, and shown masked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from registry.kernel.errors import Invalid
from registry.kernel.masking import mask_name
from registry.kernel.vault import Vault, said_in
from registry.party import rules
from registry.party.models import NAMED_OPENLY, Party, PartyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is known of a party; all of it is personal, but for names of companies.

    Parameters
    ----------
    address
        As IVMS101 has it: `address_line`, or `street` with `building`, and what else is known.
    passport
        Number of a passport or NICOP, in the normal form of `rules.check_passport`.
    """

    name: str | None = None
    name_ur: str | None = None
    father_or_spouse_name: str | None = None
    dob: date | None = None
    place_of_birth: str | None = None
    nationality: str | None = None
    passport: str | None = None
    passport_country: str | None = None
    address: Mapping[str, Any] | None = None
    iban: str | None = None
    ntn: str | None = None


NAMES = tuple(field.name for field in fields(Details))
_PUBLIC = ("name", "name_ur")
"""Open where they name no natural person (`NAMED_OPENLY`)."""
_OF_PERSONS_ONLY = NAMES[2:8]


def checked(kind: PartyKind, said: Details) -> Details:
    """Return the details of `said` in their normal forms.

    Raises
    ------
    Invalid
        One is malformed, or ``personal_detail_not_applicable``.
    """
    if kind != PartyKind.NATURAL:
        for name in _OF_PERSONS_ONLY:
            if getattr(said, name) is not None:
                raise Invalid(
                    "personal_detail_not_applicable",
                    f"Only a natural person has a {name}.",
                    field=f"/{name}",
                )
    if said.name is None:
        raise Invalid("name_required", "Everybody has a name.", field="/name")
    known = {name: getattr(said, name) for name in NAMES}
    for name, check in _checks(said).items():
        if known[name] is not None:
            known[name] = check(known[name])
    return Details(**known)


def _checks(said: Details) -> Mapping[str, Callable[[Any], Any]]:
    return {
        "dob": rules.check_dob,
        "nationality": lambda country: rules.check_country(country, field="/nationality"),
        "passport": lambda number: rules.check_passport(number, said.passport_country),
        "address": rules.check_address,
        "iban": rules.check_iban,
        "ntn": rules.check_ntn,
    }


def keep(vault: Vault, party: Party, details: Details) -> None:
    """Keep `details` with `party`: what was sealed of another party does not open here."""
    secret = {name: getattr(details, name) for name in NAMES}
    if party.kind in NAMED_OPENLY:
        party.name, party.name_ur = secret.pop("name"), secret.pop("name_ur")
    known = {name: value for name, value in secret.items() if value is not None}
    said = json.dumps({"id": str(party.id), "known": known}, default=date.isoformat)
    party.details_sealed = vault.seal(said) if known else None
    party.passport_fingerprint = passport_fingerprint(vault, details)
    party.iban_fingerprint = iban_fingerprint(vault, details)
    party.ntn_fingerprint = ntn_fingerprint(vault, details)
    is_sealed = bool(known) or party.cnic_sealed is not None
    party.sealed_with = vault.key_id if is_sealed else None


def keep_cnic(vault: Vault, party: Party, cnic: str) -> None:
    """Keep a CNIC with `party`: sealed of another party it does not open here."""
    party.cnic_sealed = vault.seal(json.dumps({"id": str(party.id), "cnic": cnic}))
    party.cnic_fingerprint = vault.fingerprint(cnic)


def keep_anew(vault: Vault, party: Party, details: Details) -> None:
    """Keep `details`, and the CNIC with them, sealed by the vault's first key.

    Raises
    ------
    SealBroken
    """
    cnic = cnic_of(vault, party)
    if cnic is not None:
        keep_cnic(vault, party, cnic)
    keep(vault, party, details)


def cnic_of(vault: Vault, party: Party) -> str | None:
    """Open what `keep_cnic` sealed.

    Raises
    ------
    SealBroken
    """
    if party.cnic_sealed is None:
        return None
    text = vault.unseal(party.cnic_sealed)
    if not text.startswith("{"):
        return text  # from before migration 0094, until the keys are rotated
    cnic: str = said_in(text, party.id, "cnic")["cnic"]
    return cnic


def known_of(vault: Vault, party: Party) -> Details:
    """Open what `keep` sealed, and add what stands open.

    Raises
    ------
    SealBroken
    """
    public = {name: getattr(party, name) for name in _PUBLIC}
    if party.details_sealed is None:
        return Details(**public)
    said = said_in(vault.unseal(party.details_sealed), party.id, "known")
    known: dict[str, Any] = said["known"]
    if "dob" in known:
        known["dob"] = date.fromisoformat(known["dob"])
    return Details(**(public | known))


def passport_fingerprint(vault: Vault, details: Details) -> bytes | None:
    """Return the keyed hash of a passport; hyphens are a matter of printing."""
    if details.passport is None:
        return None
    number = details.passport.replace("-", "")
    return vault.fingerprint(f"passport:{details.passport_country}:{number}")


def nicop_fingerprint(vault: Vault, cnic: str) -> bytes | None:
    """Return the keyed hash under which somebody stands whose NICOP carries this CNIC."""
    return passport_fingerprint(vault, Details(passport=cnic, passport_country="PK"))


def cnic_on_nicop(details: Details) -> str | None:
    """Return the CNIC that somebody's NICOP carries."""
    if details.passport is None:
        return None
    return rules.cnic_on_nicop(details.passport, details.passport_country)


def iban_fingerprint(vault: Vault, details: Details) -> bytes | None:
    return None if details.iban is None else vault.fingerprint(f"iban:{details.iban}")


def ntn_fingerprint(vault: Vault, details: Details) -> bytes | None:
    return None if details.ntn is None else vault.fingerprint(f"ntn:{details.ntn}")


def masked_name(vault: Vault, party: Party) -> str:
    """Return the name as everybody may see it: a company's as it is, people's masked."""
    name = known_of(vault, party).name
    assert name is not None, "everybody has a name"
    return name if party.kind in NAMED_OPENLY else mask_name(name)
