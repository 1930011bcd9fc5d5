"""What the rules of eligibility look at: one token, two wallets, one block. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from registry.compliance.terms import ComplianceTerms


@dataclass(frozen=True, slots=True)
class Lot:
    """Units that are locked until a time, in seconds since the epoch."""

    units: int
    release_at: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A KYC claim as its store keeps it; times in seconds since the epoch, 0 for never."""

    issued_at: int
    expires_at: int
    revoked_at: int

    def is_in_force_at(self, timestamp: int) -> bool:
        return self.revoked_at < self.issued_at and timestamp < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletFacts:
    """One wallet, and the person behind it.

    Parameters
    ----------
    identity : bytes | None
        The ONCHAINID that it is registered with for this token.
    country : int | None
        As registered, ISO 3166-1 numeric.
    balance_units, frozen_units : int
        Of this wallet.
    owner_units, owner_wallets : int
        Units in all wallets of the identity, and how many of its wallets hold any.
    kyc_until : datetime | None
        Until when the register says that the person may hold; None if they may not.
    claim : Claim | None
        None where there is no identity.
    lots : tuple[Lot, ...]
        What is locked.
    """

    address: bytes
    identity: bytes | None = None
    country: int | None = None
    frozen: bool = False
    balance_units: int = 0
    frozen_units: int = 0
    owner_units: int = 0
    owner_wallets: int = 0
    kyc_until: datetime | None = None
    claim: Claim | None = None
    lots: tuple[Lot, ...] = ()

    @property
    def owner(self) -> bytes:
        """Whom the modules count it for: a wallet without identity stands for itself."""
        return self.identity or self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """One token at one block.

    Parameters
    ----------
    terms : ComplianceTerms | None
        None for a token that was deployed before terms were asked for.
    timestamp : int
        Of the block, in seconds since the epoch.
    holders : int
        Identities that hold units.
    was_opened : bool
        Whether it was ever open: from then on its agent mints nothing in a pause.
    is_halted, is_mint_stopped : bool
        What the status of the title on chain says (ADR 0024); a halt stops everything.
    """

    terms: ComplianceTerms | None
    declared_units: int
    supply_units: int
    holders: int
    paused: bool
    was_opened: bool = False
    timestamp: int
    is_halted: bool = False
    is_mint_stopped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Units that are to go from one wallet to another, or come into being.

    Parameters
    ----------
    sender : WalletFacts | None
        None for a mint.
    units : int
        Above zero.
    """

    receiver: WalletFacts
    sender: WalletFacts | None
    units: int
