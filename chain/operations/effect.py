"""What every kind of operation knows to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol
from uuid import UUID

from sqlmodel import Session

from chain.node.client import ChainClient, Receipt
from chain.signing.policies import FeePolicy, SignerRole, SigningPolicy, load_policy
from chain.signing.port import Signer
from chain.signing.wallet_keys import WalletKeys
from registry.kernel.errors import RegistryError
from registry.operation.models import Operation


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction does.

    Parameters
    ----------
    to
        20 bytes, or None to create a contract.
    too_early
        Names of reverts that only mean "not in this second": the call waits for the chain's clock.
    """

    to: bytes | None
    data: bytes
    too_early: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Chain:
    """What an effect may use: the node, and the keys of the platform.

    Parameters
    ----------
    platform
        Deploys, owns the contracts, and tells tokens their title.
    claim_signer
        Signs claims, off chain; the ClaimIssuer contract knows it.
    confirmer
        The second key without which no halt of a token ends; it signs nothing else.
    agents
        A pool that shares mints, registrations, identities and claims; without one the
        platform's key does that too.
    settlement
        Carries trades out; by default the platform's.
    custody
        The keys of custodial wallets, each opened to sign what its owner confirmed.
    fees, policy
        What a transaction may offer, and which ones each role may sign.
    """

    client: ChainClient
    platform: Signer
    claim_signer: Signer
    confirmer: Signer
    agents: tuple[Signer, ...] = ()
    settlement: Signer | None = None
    custody: WalletKeys | None = None
    fees: FeePolicy = field(default_factory=FeePolicy)
    policy: SigningPolicy = field(default_factory=load_policy)

    def keys(self, role: SignerRole) -> tuple[Signer, ...]:
        """Give the keys of a role."""
        keys = {
            SignerRole.DEPLOYER: (self.platform,),
            SignerRole.AGENT: self.agents or (self.platform,),
            SignerRole.CONFIRMER: (self.confirmer,),
            SignerRole.SETTLEMENT: (self.settlement or self.platform,),
        }
        return keys[role]

    def roles(self, signer: Signer) -> list[SignerRole]:
        """Give what a key is for."""
        return [
            role
            for role in SignerRole
            if any(key.address == signer.address for key in self.keys(role))
        ]

    @property
    def senders(self) -> tuple[Signer, ...]:
        """The keys that send transactions, each with a nonce of its own."""
        every = (key for role in SignerRole for key in self.keys(role))
        return tuple({key.address: key for key in every}.values())

    @property
    def chain_id(self) -> int:
        return self.client.chain_id


class Effect(Protocol):
    """One kind of operation."""

    role: ClassVar[SignerRole]
    """Whose keys send this kind. Each goes out by any of them, once what it needs is mined."""

    records_mined: ClassVar[bool]
    """Whether `all_mined` does anything: else a batch's rows are not even loaded for it."""

    def check(self, session: Session, operation: Operation) -> None:
        """Ask the guards again, in the transaction that signs.

        Raises
        ------
        RegistryError
            The effect is no longer allowed; the operation is refused and nothing is sent.
        """
        ...

    def refusals(
        self, session: Session, operations: Sequence[Operation]
    ) -> Mapping[UUID, RegistryError]:
        """Ask the guards of operations that share their batch key: whom they refuse, and why."""
        ...

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        """Give the call; what it depends on is on chain already."""
        ...

    def batch_key(self, operation: Operation) -> str | None:
        """Name what operations of this kind must share to go in one call; None: they never do."""
        ...

    def lane(self, operation: Operation) -> str | None:
        """Name those of the kind that no batch may bring out of their order; None: it may."""
        ...

    def fold(self, session: Session, chain: Chain, operations: Sequence[Operation]) -> Call:
        """Give the one call that does all of these, which share their batch key, or none."""
        ...

    def read_result(self, operation: Operation, receipt: Receipt) -> dict[str, Any]:
        """Read from the receipt what later operations need to know."""
        ...

    def on_mined(self, session: Session, chain: Chain, operation: Operation) -> None:
        """Record what later operations need; may run again after a reorg."""
        ...

    def all_mined(
        self, session: Session, chain: Chain, operations: Sequence[Operation], receipt: Receipt
    ) -> None:
        """Read the results of what one transaction did, and record what later ones need."""
        ...

    def on_final(self, session: Session, operation: Operation) -> None:
        """Tell the registry; may run again, and must then change nothing."""
        ...

    def all_final(self, session: Session, operations: Sequence[Operation]) -> None:
        """Tell the registry of what one transaction did."""
        ...

    def on_failed(self, session: Session, operation: Operation) -> None:
        """Tell the registry that nothing happened on chain.

        May run again, and must then change nothing; not of what was planned anew.
        """
        ...


class PlainEffect:
    """The parts of an effect that most kinds do not need."""

    role: ClassVar[SignerRole] = SignerRole.DEPLOYER
    records_mined: ClassVar[bool] = True

    def check(self, session: Session, operation: Operation) -> None:
        """Allow it: nothing in the register forbids this kind."""

    def refusals(
        self, session: Session, operations: Sequence[Operation]
    ) -> Mapping[UUID, RegistryError]:
        """Ask for each by itself."""
        refused = {}
        for operation in operations:
            try:
                self.check(session, operation)
            except RegistryError as refusal:
                refused[operation.id] = refusal
        return refused

    def batch_key(self, operation: Operation) -> str | None:
        """Send each alone."""
        return None

    def lane(self, operation: Operation) -> str | None:
        """Leave the order to dependencies."""
        return None

    def fold(self, session: Session, chain: Chain, operations: Sequence[Operation]) -> Call:
        """Never asked of a kind without batch key."""
        raise NotImplementedError(f"{operations[0].kind} goes alone")

    def read_result(self, operation: Operation, receipt: Receipt) -> dict[str, Any]:
        """Read nothing: no later operation needs a result of this kind."""
        return {}

    def on_mined(self, session: Session, chain: Chain, operation: Operation) -> None:
        """Record nothing."""

    def all_mined(
        self, session: Session, chain: Chain, operations: Sequence[Operation], receipt: Receipt
    ) -> None:
        """Read and record each by itself."""
        for operation in operations:
            operation.result = self.read_result(operation, receipt)
            session.add(operation)
            self.on_mined(session, chain, operation)

    def on_final(self, session: Session, operation: Operation) -> None:
        """Tell nothing: the projection of the chain's events says it all."""

    def all_final(self, session: Session, operations: Sequence[Operation]) -> None:
        """Tell of each by itself."""
        for operation in operations:
            self.on_final(session, operation)

    def on_failed(self, session: Session, operation: Operation) -> None:
        """Tell nothing: the operation shows its problem."""
