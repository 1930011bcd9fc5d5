"""The platform's own contracts, as an ordered list of steps.

Each step is an operation like any other, so that a deployment killed at any step goes on
where it stopped and sends nothing twice. Order and arguments: `erc3643-facts` section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from chain.contracts.abi import contract
from chain.node.client import hex_of
from registry.investor.service import KYC_TOPIC
from registry.kernel.actor import THE_SYSTEM
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind, PlatformContract

TREX_VERSION = (4, 1, 6)
ZERO_ADDRESS = "0x" + "00" * 20
ADMIN_DELAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Places:
    """Where things stand: addresses of the steps that were carried out, and of our keys."""

    contracts: dict[str, str]
    platform: str
    claim_signer: str
    confirmer: str

    def __getitem__(self, name: str) -> str:
        return self.contracts[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One transaction of the deployment.

    Parameters
    ----------
    name
        Name of the contract that the step creates, or of the call.
    needs
        Steps that come first.
    arguments
        From what stands, the arguments of the constructor or of the call.
    calls
        ``(contract step, function)`` of a call; None creates the contract `name`.
    """

    name: str
    needs: tuple[str, ...] = ()
    arguments: Callable[[Places], list[Any]] = lambda _: []
    calls: tuple[str, str] | None = None

    def data(self, places: Places) -> bytes:
        if self.calls is None:
            return contract(self.name).creation(self.arguments(places))
        target, function = self.calls
        return contract(target).functions[function].encode(*self.arguments(places))


_IMPLEMENTATIONS = (
    "Token",
    "ClaimTopicsRegistry",
    "IdentityRegistry",
    "IdentityRegistryStorage",
    "TrustedIssuersRegistry",
    "ModularCompliance",
)

RULE_MODULES = (
    "SupplyCapModule",
    "CountryAllowModule",
    "MaxBalanceModule",
    "HolderCapModule",
    "LockupModule",
    "TransferWindowModule",
)
"""Compliance modules that a token's own terms may name; each serves every token."""

STEPS: tuple[Step, ...] = (
    *(Step(name=name) for name in _IMPLEMENTATIONS),
    Step(name="Identity", arguments=lambda at: [at.platform, True]),
    Step(
        name="ImplementationAuthority",
        needs=("Identity",),
        arguments=lambda at: [at["Identity"]],
    ),
    Step(
        name="IdFactory",
        needs=("ImplementationAuthority",),
        arguments=lambda at: [at["ImplementationAuthority"]],
    ),
    Step(
        name="TREXImplementationAuthority",
        arguments=lambda _: [True, ZERO_ADDRESS, ZERO_ADDRESS],
    ),
    Step(
        name="use_trex_version",
        needs=("TREXImplementationAuthority", *_IMPLEMENTATIONS),
        arguments=lambda at: [TREX_VERSION, tuple(at[name] for name in _IMPLEMENTATIONS)],
        calls=("TREXImplementationAuthority", "addAndUseTREXVersion"),
    ),
    Step(
        name="TREXFactory",
        needs=("use_trex_version", "IdFactory"),
        arguments=lambda at: [at["TREXImplementationAuthority"], at["IdFactory"]],
    ),
    Step(
        # Without it every suite deployment reverts when it makes the token's own identity.
        name="allow_token_factory",
        needs=("TREXFactory",),
        arguments=lambda at: [at["TREXFactory"]],
        calls=("IdFactory", "addTokenFactory"),
    ),
    Step(name="ClaimStore", arguments=lambda at: [at.platform]),
    Step(
        name="ClaimIssuer",
        needs=("ClaimStore",),
        arguments=lambda at: [at.platform, [at.claim_signer], at["ClaimStore"]],
    ),
    Step(
        # Without it the store refuses the claims of our own issuer.
        name="admit_kyc_claims",
        needs=("ClaimIssuer",),
        arguments=lambda at: [at["ClaimIssuer"], KYC_TOPIC],
        calls=("ClaimStore", "admit"),
    ),
    Step(
        name="IdentityFactory",
        needs=("ClaimStore",),
        arguments=lambda at: [at.platform, [at.platform], at["ClaimStore"]],
    ),
    Step(
        name="RegistrationDesk",
        needs=("IdentityFactory", "ClaimIssuer"),
        arguments=lambda at: [
            at.platform,
            [at.platform],
            at["IdentityFactory"],
            at["ClaimIssuer"],
        ],
    ),
    Step(
        # The desk opens identities itself when it enrols a batch of people.
        name="let_desk_open_identities",
        needs=("RegistrationDesk",),
        arguments=lambda at: [at["RegistrationDesk"]],
        calls=("IdentityFactory", "addOperator"),
    ),
    Step(
        # Lifting a halt takes both keys; a change of admin takes a day.
        name="TitleStatusModule",
        arguments=lambda at: [at.platform, ADMIN_DELAY_SECONDS, [at.platform, at.confirmer]],
    ),
    *(Step(name=name) for name in RULE_MODULES if name != "MaxBalanceModule"),
    Step(
        # The factory lists the wallets of each identity, which the module adds up.
        name="MaxBalanceModule",
        needs=("IdentityFactory",),
        arguments=lambda at: [at["IdentityFactory"]],
    ),
    Step(
        # The only agent of every token: what is forced names its case on chain.
        name="CaseAgent",
        arguments=lambda at: [at.platform, ADMIN_DELAY_SECONDS, *[[at.platform]] * 3],
    ),
    Step(name="Settlement"),
    Step(name="RupeeToken", arguments=lambda at: [at.platform, [at.platform]]),
    Step(name="RegistryAnchor", arguments=lambda at: [at.platform, at.platform]),
)
BY_NAME = {step.name: step for step in STEPS}


def step_key(chain_id: int, name: str) -> str:
    return f"platform:{chain_id}:{name}"


def plan_platform(session: Session, chain_id: int) -> None:
    """Plan every step that is not planned yet."""
    planned: dict[str, Operation] = {}
    for step in STEPS:
        planned[step.name] = operations.plan(
            session,
            THE_SYSTEM,
            OperationKind.PLATFORM_STEP,
            key=step_key(chain_id, step.name),
            subject=("platform", chain_id),
            params={"step": step.name},
            after=[planned[name] for name in step.needs],
        )


def platform_contract(session: Session, chain_id: int, name: str) -> PlatformContract | None:
    """Return where a contract of the platform stands, if it does."""
    return session.get(PlatformContract, (chain_id, name))


def platform_address(session: Session, chain_id: int, name: str) -> str:
    """Return the 0x-address of a platform contract that an earlier operation created."""
    row = platform_contract(session, chain_id, name)
    assert row is not None, f"{name} is needed before it stands: a dependency is missing"
    return hex_of(row.address)
