"""What an investor says of themselves: sealed as one, and shown in part."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from registry.kernel.vault import Vault, said_in
from registry.kyc.models import KycReview


class FundsSource(StrEnum):
    """Where the money of the investments comes from."""

    SALARY = "SALARY"
    BUSINESS = "BUSINESS"
    AGRICULTURE = "AGRICULTURE"
    INVESTMENTS = "INVESTMENTS"
    PROPERTY_SALE = "PROPERTY_SALE"
    INHERITANCE = "INHERITANCE"
    REMITTANCE = "REMITTANCE"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The facts that customer due diligence asks of an investor.

    Parameters
    ----------
    occupation
        Of a company, its business.
    yearly_investment_paisa
        Expected, in all.
    tax_filer
        Whether they stand on the active taxpayers' list; their NTN is the party's.
    source_of_wealth
        How what they own came about; needed for enhanced diligence.

    Source: FATF Recommendation 10; SECP (AML and CFT) Regulations 2018.
    """

    occupation: str
    source_of_funds: FundsSource
    yearly_investment_paisa: int
    investment_purpose: str
    tax_filer: bool
    source_of_wealth: str | None = None


def keep(
    vault: Vault, review: KycReview, profile: Profile, *, pep_position: str | None = None
) -> None:
    """Keep what is said with `review`: what was sealed of another review does not open here."""
    said = {"id": str(review.id), "profile": asdict(profile), "pep_position": pep_position}
    review.sealed, review.sealed_with = vault.seal(json.dumps(said)), vault.key_id


def profile_of(vault: Vault, review: KycReview) -> Profile | None:
    """Return the profile; None where the decision is older than reviews.

    Raises
    ------
    SealBroken
    """
    said = _opened(vault, review)
    if said is None:
        return None
    known = said["profile"]
    return Profile(**known | {"source_of_funds": FundsSource(known["source_of_funds"])})


def pep_position_of(vault: Vault, review: KycReview) -> str | None:
    said = _opened(vault, review)
    return said["pep_position"] if said else None


def reseal(vault: Vault, review: KycReview) -> None:
    """Seal what was said under the first key.

    Raises
    ------
    SealBroken
    """
    said = _opened(vault, review)
    review.sealed, review.sealed_with = vault.seal(json.dumps(said)), vault.key_id


def _opened(vault: Vault, review: KycReview) -> dict[str, Any] | None:
    if review.sealed is None:
        return None
    return said_in(vault.unseal(review.sealed), review.id, "profile", "pep_position")
