"""What may be offered for a transaction, and who signs which: data that the settings give."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from chain.errors import SignerRefused

DEFAULT_POLICY = Path(__file__).resolve().parent / "policy.json"
LEAST_BUMP_PERCENT = 10
"""Nodes want 10 % more for the place of a transaction that they hold."""

GWEI = 10**9
MINTS = frozenset({"mint", "batchMint"})
"""Functions of the CaseAgent that create units."""

CLAIM_BATCH = "ClaimBatch"
"""What the claim key signs, and ClaimIssuer issues to whoever brings it."""

NONE: frozenset[str] = frozenset()


class SignerRole(StrEnum):
    """What a key is for."""

    DEPLOYER = "deployer"
    AGENT = "agent"
    CONFIRMER = "confirmer"
    SETTLEMENT = "settlement"


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """How much a transaction may offer.

    Parameters
    ----------
    ceiling_wei : int
        The most per gas, ever.
    tip_wei : int
        For the block's maker, at first.
    bump_percent : int
        By how much both are raised when it is stuck.
    stuck_blocks : int
        After that many blocks without it.
    legacy
        The chain knows no EIP-1559: one price, as the node says.
    """

    ceiling_wei: int = 500 * GWEI
    tip_wei: int = GWEI
    bump_percent: int = 12
    stuck_blocks: int = 10
    legacy: bool = False

    def __post_init__(self) -> None:
        assert self.bump_percent >= LEAST_BUMP_PERCENT, "nodes refuse a smaller one"


class RolePolicy(BaseModel):
    """What keys of one role sign.

    Parameters
    ----------
    creates
        Whether they create the platform's own contracts.
    calls
        Functions by the name of the platform's contract.
    transactions_per_day, units_per_day : int or None
        Of all its keys together, in any 24 hours: operations, and units minted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    creates: bool = False
    calls: dict[str, frozenset[str]] = Field(default_factory=dict)
    transactions_per_day: int | None = Field(default=None, ge=0)
    units_per_day: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _refuse_a_limit_of_nothing(self) -> Self:
        if self.units_per_day is not None and not self.calls.get("CaseAgent", NONE) & MINTS:
            raise PydanticCustomError(
                "limit_of_nothing",
                "units_per_day counts what CaseAgent mints, and this role may call neither "
                "mint nor batchMint of it; limit it by transactions_per_day",
            )
        return self


class ClaimPolicy(BaseModel):
    """What the claim key signs: data of EIP-712, and no transaction.

    Parameters
    ----------
    signs
        Types by the name of the platform's contract.
    claims_per_day : int or None
        In any 24 hours; each claim once, when it is first signed. With 0, claims wait.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    signs: dict[str, frozenset[str]] = Field(default_factory=dict)
    claims_per_day: int | None = Field(default=None, ge=0)


class SigningPolicy(BaseModel):
    """What each role signs; a role that is not named signs nothing.

    Parameters
    ----------
    claim_issuer
        What the claim key signs, off chain.
    custody
        Types of EIP-712 data that keys of custodial wallets sign, by the name of the platform's
        contract; they sign no transaction.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    roles: dict[SignerRole, RolePolicy]
    claim_issuer: ClaimPolicy = Field(default_factory=ClaimPolicy)
    custody: dict[str, frozenset[str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _refuse_claims_without_a_signature(self) -> Self:
        issues = any("issue" in role.calls.get("ClaimIssuer", NONE) for role in self.roles.values())
        if issues and CLAIM_BATCH not in self.claim_issuer.signs.get("ClaimIssuer", NONE):
            raise PydanticCustomError(
                "claims_without_signature",
                "a role may call issue of ClaimIssuer, and claim_issuer signs nothing for it; add "
                '"claim_issuer": {"signs": {"ClaimIssuer": ["ClaimBatch"]}}, or take issue out',
            )
        return self

    def of(self, role: SignerRole) -> RolePolicy:
        return self.roles.get(role, RolePolicy())


def load_policy(path: Path = DEFAULT_POLICY) -> SigningPolicy:
    """Read a signing policy.

    Raises
    ------
    SignerRefused
        The file is missing or malformed.
    """
    try:
        return SigningPolicy.model_validate_json(path.read_text("utf-8"))
    except OSError as error:
        raise SignerRefused(f"SIGNER_POLICY {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = f"{where}: {first['msg']}" if where else first["msg"]
        raise SignerRefused(f"SIGNER_POLICY {path}: {what}.") from error
