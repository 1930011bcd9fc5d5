"""The end of the KYC claim about an investor's identity, before its own day or on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.node.client import bytes_of, hex_of
from chain.operations.effect import Call, Chain, PlainEffect
from chain.operations.wallets import raise_any, wallets_of, without_kyc
from registry.kernel.errors import Conflict, RegistryError
from registry.operation.models import Operation


class RevokeClaim(PlainEffect):
    """Calls `ClaimIssuer.revoke`, as its owner: no claim issued until then counts any more."""

    def check(self, session: Session, operation: Operation) -> None:
        """Refuse it where the KYC stands again: it would end the claim of the renewal."""
        raise_any(self.refusals(session, [operation]))

    def refusals(
        self, session: Session, operations: Sequence[Operation]
    ) -> Mapping[UUID, RegistryError]:
        barred = without_kyc(session, operations)
        return {
            operation.id: Conflict("kyc_in_force", "The KYC of the holder is in force again.")
            for operation in operations
            if operation.id not in barred
        }

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        [wallet] = wallets_of(session, [operation])
        assert wallet.identity is not None, "a revocation is planned of an identity that stands"
        revoke = contract("ClaimIssuer").functions["revoke"]
        return Call(
            to=bytes_of(platform_address(session, chain.chain_id, "ClaimIssuer")),
            data=revoke.encode(hex_of(wallet.identity), operation.params["topic"]),
        )
