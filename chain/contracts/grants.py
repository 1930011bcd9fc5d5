"""What each role of a key is allowed by the platform's contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_utils.crypto import keccak

from chain.contracts.abi import contract
from chain.node.client import bytes_of, hex_of
from chain.signing.policies import SignerRole
from registry.operation.models import Operation


@dataclass(frozen=True, slots=True)
class Grant:
    """One right of a role.

    Parameters
    ----------
    contract
        Where it is given.
    access_role
        The AccessControl role; None: the account becomes an operator of the contract.
    """

    contract: str
    access_role: str | None = None

    def data(self, account: bytes) -> bytes:
        """Give the call that grants it."""
        functions = contract(self.contract).functions
        if self.access_role is None:
            return functions["addOperator"].encode(hex_of(account))
        return functions["grantRole"].encode(keccak(text=self.access_role), hex_of(account))

    def step(self, account: bytes) -> str:
        return f"grant:{self.contract}:{hex_of(account)}"


GRANTS: dict[SignerRole, Sequence[Grant]] = {
    SignerRole.AGENT: (
        Grant("CaseAgent", "ISSUER_ROLE"),
        Grant("RegistrationDesk"),
        Grant("IdentityFactory"),
    ),
    SignerRole.SETTLEMENT: (Grant("RupeeToken"),),
}


def grant_of(operation: Operation) -> tuple[Grant, bytes] | None:
    """Give what a step grants, and to whom; None for the other steps."""
    role = operation.params.get("role")
    if role is None:
        return None
    (found,) = (
        grant
        for grant in GRANTS[SignerRole(role)]
        if grant.contract == operation.params["contract"]
    )
    return found, bytes_of(operation.params["account"])
