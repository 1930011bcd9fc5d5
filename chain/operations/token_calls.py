"""Calls on one token through its agents: register a holder, mint, pause, unpause.

The CaseAgent is the only agent of a token, the RegistrationDesk the only one of its identity
registry (ADR 0022, 0024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.node.client import bytes_of, hex_of
from chain.operations.agent import AGENT, agent_call
from chain.operations.effect import Call, Chain, PlainEffect
from chain.operations.wallets import not_deliverable, raise_any, wallets_of, without_kyc
from chain.signing.policies import SignerRole
from registry.kernel.errors import Conflict, RegistryError
from registry.offering import minting
from registry.offering import service as offerings
from registry.operation.models import Operation
from registry.reopening import service as reopening
from registry.tokenization import service as tokenizations
from registry.tokenization.gate import require_open_gate
from registry.tokenization.models import ENDED, Tokenization, TokenizationState


class RegisterIdentity(PlainEffect):
    """Calls `RegistrationDesk.register`, the one agent of the suite's identity registry.

    The desk gives the registry the identity that our factory knows the wallet by. Registered by
    hand, a contract that names itself as claim issuer would pass `isVerified`.
    """

    role = SignerRole.AGENT
    records_mined = False

    def check(self, session: Session, operation: Operation) -> None:
        raise_any(self.refusals(session, [operation]))

    def refusals(
        self, session: Session, operations: Sequence[Operation]
    ) -> Mapping[UUID, RegistryError]:
        return without_kyc(session, operations)

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        return self.fold(session, chain, [operation])

    def batch_key(self, operation: Operation) -> str:
        return str(operation.params["tokenization_id"])

    def fold(self, session: Session, chain: Chain, operations: Sequence[Operation]) -> Call:
        found = wallets_of(session, operations)
        assert all(wallet.identity for wallet in found), "a wallet without identity cannot order"
        wallets = [hex_of(wallet.address) for wallet in found]
        countries = [operation.params["country"] for operation in operations]
        registry = hex_of(_suite_address(session, operations[0], "identity_registry"))
        register = contract("RegistrationDesk").functions["register"]
        return Call(
            to=bytes_of(platform_address(session, chain.chain_id, "RegistrationDesk")),
            data=register.encode(registry, wallets, countries),
        )


class Mint(PlainEffect):
    """Calls `CaseAgent.mint`: the only way in which a fraction comes into being."""

    role = SignerRole.AGENT
    records_mined = False

    def check(self, session: Session, operation: Operation) -> None:
        raise_any(self.refusals(session, [operation]))

    def refusals(
        self, session: Session, operations: Sequence[Operation]
    ) -> Mapping[UUID, RegistryError]:
        """Ask the gate again, once for all, and whether each buyer may still receive.

        The token contract would mint past any lien, so this is where a lien that came after the
        order stops it; the agent refuses a frozen wallet, and a pause after the opening.
        """
        tokenization = _tokenization(session, operations[0])
        try:
            require_open_gate(session, tokenization)
            if tokenization.state != TokenizationState.MINTING:
                raise Conflict("not_minting", f"The tokenization is {tokenization.state}.")
        except RegistryError as refused:
            return dict.fromkeys((operation.id for operation in operations), refused)
        return not_deliverable(session, operations)

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        (wallet,) = wallets_of(session, [operation])
        units = int(operation.params["units"])
        return _as_agent(session, chain, operation, "mint", hex_of(wallet.address), units)

    def batch_key(self, operation: Operation) -> str:
        return str(operation.params["tokenization_id"])

    def fold(self, session: Session, chain: Chain, operations: Sequence[Operation]) -> Call:
        wallets = [hex_of(wallet.address) for wallet in wallets_of(session, operations)]
        units = [int(operation.params["units"]) for operation in operations]
        return _as_agent(session, chain, operations[0], "batchMint", wallets, units)

    def on_final(self, session: Session, operation: Operation) -> None:
        self.all_final(session, [operation])

    def all_final(self, session: Session, operations: Sequence[Operation]) -> None:
        minting.settle_orders(
            session,
            [UUID(minted.subject_id) for minted in operations if minted.subject_kind == "order"],
        )


class Pause(PlainEffect):
    """Calls `CaseAgent.pause`."""

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        return _as_agent(session, chain, operation, "pause")


class Unpause(PlainEffect):
    """Calls `CaseAgent.unpause`; with it the token is live, or live again."""

    def check(self, session: Session, operation: Operation) -> None:
        """Ask the gate before the first opening, and the guards of a pause's end after it."""
        reopening.require_openable(session, UUID(operation.params["tokenization_id"]))

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        return _as_agent(session, chain, operation, "unpause")

    def on_final(self, session: Session, operation: Operation) -> None:
        tokenization_id = UUID(operation.params["tokenization_id"])
        offerings.confirm_live(session, tokenization_id)
        reopening.confirm_unpause(session, operation, tokenization_id)


class CloseSuite(PlainEffect):
    """Calls `Token.removeAgent` for the only agent: nobody can mint, open or burn any more."""

    def check(self, session: Session, operation: Operation) -> None:
        tokenization = _tokenization(session, operation)
        if tokenization.state not in ENDED:
            raise Conflict("token_alive", f"The tokenization is {tokenization.state}.")

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        agent = platform_address(session, chain.chain_id, AGENT)
        remove = contract("Token").functions["removeAgent"]
        return Call(_suite_address(session, operation, "token"), remove.encode(agent))


def _tokenization(session: Session, operation: Operation) -> Tokenization:
    return tokenizations.get_tokenization(session, UUID(operation.params["tokenization_id"]))


def _suite_address(session: Session, operation: Operation, role: str) -> bytes:
    suite = _tokenization(session, operation).suite
    assert suite is not None, "a token is called only after its suite is final"
    return bytes_of(suite[role])


def _as_agent(
    session: Session, chain: Chain, operation: Operation, function: str, *values: object
) -> Call:
    token = hex_of(_suite_address(session, operation, "token"))
    return agent_call(session, chain, function, token, *values)
