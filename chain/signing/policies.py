"""What may be offered for a transaction, and who signs which: data that the settings give."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chain.errors import SignerRefused

DEFAULT_POLICY = Path(__file__).resolve().parent / "policy.json"
LEAST_BUMP_PERCENT = 10
"""Nodes want 10 % more for the place of a transaction that they hold."""

GWEI = 10**9


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


class SigningPolicy(BaseModel):
    """What each role signs; a role that is not named signs nothing.

    Parameters
    ----------
    custody
        Types of EIP-712 data that keys of custodial wallets sign, by the name of the platform's
        contract; they sign no transaction.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    roles: dict[SignerRole, RolePolicy]
    custody: dict[str, frozenset[str]] = Field(default_factory=dict)

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
        raise SignerRefused(f"SIGNER_POLICY {path}: {where}: {first['msg']}.") from error
