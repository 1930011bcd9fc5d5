"""The people of the demo: everyone does their own part, and nobody two."""

from __future__ import annotations

from dataclasses import dataclass

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from registry.kernel.actor import Role


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a role."""

    subject: str
    role: Role

    @property
    def wallet(self) -> LocalAccount:
        """A wallet of the demo's own making: its key is public, never use it elsewhere."""
        account: LocalAccount = Account.from_key(keccak(text=f"milkiyat demo: {self.subject}"))
        return account


@dataclass(frozen=True, slots=True)
class Buyer:
    """An investor, and how much of each sale they want, in thousandths."""

    person: Person
    name: str
    cnic: str
    thousandths: int


MAKER = Person("REG-MAKER-1", Role.REGISTRAR_MAKER)
CHECKER = Person("REG-CHECK-1", Role.REGISTRAR_CHECKER)
SECOND_CHECKER = Person("REG-CHECK-2", Role.REGISTRAR_CHECKER)
VERIFIER = Person("DOC-VERIFY-1", Role.DOCUMENT_VERIFIER)
COUNSEL = Person("LEGAL-1", Role.LEGAL_COUNSEL)
VALUER = Person("VAL-1", Role.VALUER)
VALUATION_CHECKER = Person("VAL-CHECK-1", Role.VALUATION_CHECKER)
ASSAYER = Person("ASSAYER-1", Role.ASSAYER)
COMPLIANCE = Person("COMPL-1", Role.COMPLIANCE)
SECOND_COMPLIANCE = Person("COMPL-2", Role.COMPLIANCE)
REGULATOR = Person("REGULATOR-1", Role.REGULATOR)

APPROVERS = {
    person.role: person
    for person in (VERIFIER, COUNSEL, VALUATION_CHECKER, ASSAYER, COMPLIANCE, CHECKER)
}

BUYERS = tuple(
    Buyer(Person(f"INVESTOR-{number}", Role.INVESTOR), name, cnic, thousandths)
    for number, (name, cnic, thousandths) in enumerate(
        (
            ("Demo Investor Ayesha", "35201-1000001-2", 250),
            ("Demo Investor Bilal", "42101-1000002-3", 100),
            ("Demo Investor Chaudhry", "61101-1000003-5", 50),
            ("Demo Investor Dua", "17301-1000004-4", 5),
        ),
        1,
    )
)


def issuer_for(party: str) -> Person:
    """Return who acts for a company of the seed."""
    return Person(f"ISSUER-{party}", Role.ISSUER)
