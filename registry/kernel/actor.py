"""Who is acting: a person or system with the roles that their token grants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

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


OVERSIGHT = frozenset({Role.COMPLIANCE, Role.REGULATOR, Role.AUDITOR})
"""Who may read of people that are not themselves, whose reading is noted."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One principal, as the access token names it.

    Parameters
    ----------
    subject : str
        Stable name of the person or system; maker and checker are told apart by it.
    roles : frozenset[str]
        What the principal may do.
    session_id : UUID | None
        Of who signed in by a passkey.
    signed_in_at : datetime | None
        When the issuer of the token saw the person, where it tells (``auth_time``).
    """

    subject: str
    roles: frozenset[str]
    session_id: UUID | None = None
    signed_in_at: datetime | None = None

    @property
    def person(self) -> str:
        """Whose acts these are: of a system, the person who made its key (APR-01)."""
        return person_of(self.subject)

    @property
    def is_system(self) -> bool:
        """Tell whether an API key speaks, and no person."""
        return self.subject.startswith(KEY_MARK)

    def has(self, *roles: Role) -> bool:
        return not self.roles.isdisjoint(roles)

    def is_person_of(self, *subjects: str | None) -> bool:
        """Tell whether any of `subjects` is the same person, or acts by that person's key."""
        return any(subject and person_of(subject) == self.person for subject in subjects)


KEY_MARK = "key:"
"""How the subject of a system begins; no token of a person may name such a one."""


def system_subject(name: str, person: str) -> str:
    """Name a registrar's system: its own name, which holds no ``@``, and who made its key."""
    return f"{KEY_MARK}{name}@{person}"


def person_of(subject: str) -> str:
    """Return the person behind a principal; `acting_person` says the same in the database."""
    return subject.partition("@")[2] if subject.startswith(KEY_MARK) else subject


THE_SYSTEM = Actor(subject="system", roles=frozenset({SYSTEM}))
"""Fires the events that no person fires."""
