"""What a certificate says, in words that JSON has; and what of it ends it when it changes.

Integers are texts: a program that reads JSON may know no larger ones than 2^53.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlmodel import Session

from registry.asset.models import Asset
from registry.captable.blocks import AsOfBlock
from registry.certificate.models import CertificateKind
from registry.encumbrance.models import Effect, Encumbrance
from registry.kernel.money import Money
from registry.kernel.vault import Vault
from registry.party import details
from registry.party import service as parties
from registry.party.models import Party
from registry.story.ground import PUBLIC_PLACES
from registry.title.models import Title, TitleVersion
from registry.title.versions import ownership_of
from registry.tokenization.models import Tokenization

SALT_BYTES = 16
"""Without it, whoever has the hash in the journal could try names until one fits."""

Content = dict[str, Any]
Binding = tuple[Encumbrance, Effect]
WriteAddress = Callable[[bytes], str]
"""Writes an address with its EIP-55 checksum, which the register does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What every certificate begins with."""

    certificate_id: UUID
    issued_at: datetime
    asset: Asset
    title: Title
    version: TitleVersion


@dataclass(frozen=True, slots=True)
class Held:
    """What one wallet held.

    Parameters
    ----------
    is_frozen
        The wallet as a whole, whatever of its units is frozen besides.
    """

    wallet: bytes
    balance_units: int
    frozen_units: int
    is_frozen: bool = False


def written_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def title_content(
    session: Session, vault: Vault, head: Head, bindings: Sequence[Binding]
) -> Content:
    """Say who owns, on what basis, and what is in force against it."""
    ownership = ownership_of(session, head.version)
    return _head(head, CertificateKind.TITLE) | {
        "basis": head.version.basis,
        "valid_from": written_time(head.version.valid_from),
        "kul_hissay": str(ownership.kul_hissay),
        "owners": [
            _person(vault, parties.get_party(session, share.party_id))
            | {
                "hissa": str(share.hissa),
                "fraction": str(ownership.fraction_of(share.party_id)),
            }
            for share in ownership.shares
        ],
        "encumbrances": [_encumbrance(item, effect) for item, effect in bindings],
    }


def holding_content(
    vault: Vault,
    head: Head,
    *,
    holder: Party,
    tokenization: Tokenization,
    chain_id: int,
    block: AsOfBlock,
    held: Sequence[Held],
    write_address: WriteAddress,
) -> Content:
    """Say who held how many fractions of which token, at which final block."""
    units = sum(each.balance_units for each in held)
    assert tokenization.token_address is not None, "it is held on chain"
    return _head(head, CertificateKind.HOLDING) | {
        "holder": _person(vault, holder),
        "token": {
            "id": str(tokenization.id),
            "symbol": tokenization.symbol,
            "name": tokenization.name,
            "chain": f"eip155:{chain_id}",
            "address": write_address(tokenization.token_address),
            "declared_fractions": str(tokenization.declared_fractions),
        },
        "block": {
            "number": str(block.number),
            "hash": f"0x{block.hash.hex()}",
            "time": written_time(block.mined_at),
            "finality": "finalized",
        },
        "wallets": [
            {
                "address": write_address(each.wallet),
                "balance": str(each.balance_units),
                "frozen": str(each.frozen_units),
                "wallet_frozen": each.is_frozen,
            }
            for each in held
        ],
        "units": str(units),
        "frozen_units": str(sum(each.frozen_units for each in held)),
        "share": str(Fraction(units, tokenization.declared_fractions)),
    }


def told_of_title(head: Head, bindings: Sequence[Binding]) -> Content:
    """Say what of a title ends its certificates when it changes, beside its version."""
    return _told_states(head) | {
        "encumbrances": {str(item.id): terms_of(item, effect) for item, effect in bindings},
    }


def told_of_holding(head: Head, held: Sequence[Held]) -> Content:
    """Say what ends a certificate of holding when it changes, beside the title's version."""
    return _told_states(head) | {
        "wallets": {
            each.wallet.hex(): [str(each.balance_units), str(each.frozen_units), each.is_frozen]
            for each in held
        }
    }


def _told_states(head: Head) -> Content:
    return {"title_state": head.title.state.value, "asset_state": head.asset.state.value}


def terms_of(encumbrance: Encumbrance, effect: Effect) -> list[str | None]:
    """Say what of an encumbrance a certificate relies on."""
    amount, rank = encumbrance.amount_paisa, encumbrance.rank
    return [
        effect.value,
        None if rank is None else str(rank),
        None if amount is None else str(amount),
    ]


def _head(head: Head, kind: CertificateKind) -> Content:
    location = head.asset.location
    return {
        "id": str(head.certificate_id),
        "kind": kind.value,
        "issued_at": written_time(head.issued_at),
        "salt": secrets.token_hex(SALT_BYTES),
        "asset": {
            "id": str(head.asset.id),
            "code": head.asset.code,
            "asset_class": head.asset.asset_class.value,
            "title_regime": head.asset.title_regime,
            "state": head.asset.state.value,
            "place": {name: str(location[name]) for name in PUBLIC_PLACES if location.get(name)},
        },
        "title": {
            "id": str(head.title.id),
            "state": head.title.state.value,
            "version": str(head.version.seq),
        },
    }


def _person(vault: Vault, party: Party) -> dict[str, str | None]:
    known = details.known_of(vault, party)
    return {"party_id": str(party.id), "name": known.name, "name_ur": known.name_ur}


def _encumbrance(item: Encumbrance, effect: Effect) -> Mapping[str, Any]:
    amount = item.amount_paisa
    return {
        "id": str(item.id),
        "kind": item.kind.value,
        "effect": effect.value,
        "rank": None if item.rank is None else str(item.rank),
        "amount": None if amount is None else {"amount": str(Money(amount)), "currency": "PKR"},
        "since": None if item.valid_from is None else written_time(item.valid_from),
    }
