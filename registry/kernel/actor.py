"""Who is acting: a person or system with the roles that their token grants."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from registry.kernel.machine import SYSTEM


class Role(StrEnum):
    """The roles of `http-api`: what each may do stands in the state machines and in `api`."""

    REGISTRAR_MAKER = "registrar_maker"
    REGISTRAR_CHECKER = "registrar_checker"
    DOCUMENT_VERIFIER = "document_verifier"
    LEGAL_COUNSEL = "legal_counsel"
    VALUER = "valuer"
    VALUATION_CHECKER = "valuation_checker"
    ASSAYER = "assayer"
    FIELD_VERIFIER = "field_verifier"
    REVENUE_OFFICER = "revenue_officer"
    WAREHOUSE_OPERATOR = "warehouse_operator"
    SHIPPER = "shipper"
    CARRIER = "carrier"
    COMPLIANCE = "compliance"
    TREASURY = "treasury"
    OPERATIONS = "operations"
    ISSUER = "issuer"
    INVESTOR = "investor"
    REGULATOR = "regulator"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Actor:
    """One principal, as the access token names it.

    Parameters
    ----------
    subject : str
        Stable name of the person or system; maker and checker are told apart by it.
    roles : frozenset[str]
        What the principal may do.
    """

    subject: str
    roles: frozenset[str]

    def has(self, *roles: Role) -> bool:
        return not self.roles.isdisjoint(roles)


THE_SYSTEM = Actor(subject="system", roles=frozenset({SYSTEM}))
"""Fires the events that no person fires."""
