"""Which claims stood about an identity at a block, folded from what store and issuer told.

The fold is that of the contracts: a claim replaces the one before it of the same issuer and topic,
counts while its kind is admitted and the key that issued it is the issuer's, and is void from its
expiry on and where it was issued up to a revocation (`ClaimStore.sol`, `ClaimIssuer.sol`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.models import ChainBlock, Token
from registry.captable.registered import registered_at

_ABOUT = ("ClaimIssued", "ClaimRevoked")
_KINDS = {"KindAdmitted": True, "KindDismissed": False}
_KEYS = {"SigningKeyAdded": True, "SigningKeyRemoved": False}

Kind = tuple[str, str, str]
"""Addresses of store and issuer, and the topic; as the events have them."""
Place = tuple[int, int]
"""Number of a block, index of a log in it."""


class ClaimState(StrEnum):
    """Whether a claim counts, and if not, why."""

    VALID = "VALID"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    DISMISSED = "DISMISSED"
    KEY_REMOVED = "KEY_REMOVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The newest claim of one issuer on one topic about an identity.

    Parameters
    ----------
    revoked_at
        The last revocation, whether or not it was before this claim.
    block_number
        In which it was written.
    """

    identity: bytes
    topic: int
    issuer: bytes
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    evidence_hash: bytes
    block_number: int
    state: ClaimState


@dataclass(frozen=True, slots=True)
class KnownWallet:
    """How a token's registry knew a wallet, and what was claimed about its identity."""

    identity: bytes
    country: int
    claims: Sequence[Claim]


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """One claim that was written, or one revocation; what it leaves out it does not concern."""

    block_number: int
    mined_at: datetime
    log_index: int
    tx_hash: bytes
    event: str
    said: Mapping[str, str]


@dataclass(slots=True)
class _Rules:
    """Which kinds of claim are admitted, and which keys are their issuers'."""

    admitted: dict[Kind, bool] = field(default_factory=dict)
    keys: dict[tuple[str, str], bool] = field(default_factory=dict)

    def fold(self, event: Mapping[str, Any]) -> None:
        name, address, said = event["event"], event["address"], event["said"]
        if name in _KINDS:
            self.admitted[address, said["issuer"], said["topic"]] = _KINDS[name]
        elif name in _KEYS:
            self.keys[address, said["index"]] = _KEYS[name]


def known_wallets(
    session: Session, token: Token, block: AsOfBlock, addresses: Collection[bytes]
) -> dict[bytes, KnownWallet]:
    """Return what was known of wallets at `block`; whoever was not registered is left out."""
    registered = registered_at(session, token, block, addresses)
    identities = {each.identity for each in registered.values()}
    claims = claims_at(session, token.chain_id, identities, block)
    return {
        address: KnownWallet(each.identity, each.country, claims.get(each.identity, ()))
        for address, each in registered.items()
    }


def claims_at(
    session: Session, chain_id: int, identities: Collection[bytes], block: AsOfBlock
) -> dict[bytes, list[Claim]]:
    """Return the newest claim of each issuer and topic, by identity; void ones too."""
    if not identities:
        return {}
    told = list(_about(session, chain_id, identities, block))
    found: dict[bytes, list[Claim]] = {}
    if not told:
        return found
    rules = _Rules()
    for event in _general(session, chain_id, block):
        rules.fold(event)
    for claim in _fold(told, rules, block):
        found.setdefault(claim.identity, []).append(claim)
    return found


def _fold(told: Iterable[Mapping[str, Any]], rules: _Rules, block: AsOfBlock) -> Iterator[Claim]:
    issued: dict[tuple[str, Kind], Mapping[str, Any]] = {}
    revoked: dict[tuple[str, Kind], int] = {}
    for event in told:
        said = event["said"]
        key = (said["identity"], (event["address"], said["issuer"], said["topic"]))
        if event["event"] == "ClaimIssued":
            issued[key] = event
        else:
            revoked[key] = int(said["revokedAt"])
    for key, event in sorted(issued.items()):
        said, revoked_at = event["said"], revoked.get(key)
        yield Claim(
            identity=bytes.fromhex(said["identity"][2:]),
            topic=int(said["topic"]),
            issuer=bytes.fromhex(said["issuer"][2:]),
            issued_at=_time(said["issuedAt"]),
            expires_at=_time(said["expiresAt"]),
            revoked_at=None if revoked_at is None else _time(revoked_at),
            evidence_hash=bytes.fromhex(said["evidenceHash"][2:]),
            block_number=event["block_number"],
            state=_state(key[1], said, revoked_at, rules, block),
        )


def _state(
    kind: Kind,
    said: Mapping[str, str],
    revoked_at: int | None,
    rules: _Rules,
    block: AsOfBlock,
) -> ClaimState:
    if revoked_at is not None and int(said["issuedAt"]) <= revoked_at:
        return ClaimState.REVOKED
    if _time(said["expiresAt"]) <= block.mined_at:
        return ClaimState.EXPIRED
    # When it was written its kind was admitted and its key an active one, or it would not stand.
    if not rules.admitted.get(kind, True):
        return ClaimState.DISMISSED
    if not rules.keys.get((kind[1], said["keyIndex"]), True):
        return ClaimState.KEY_REMOVED
    return ClaimState.VALID


def _time(seconds: str | int) -> datetime:
    # A claim may be made for longer than a calendar reaches.
    return datetime.fromtimestamp(min(int(seconds), _LAST), UTC)


_LAST = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())


def list_claim_changes(
    session: Session,
    chain_id: int,
    identities: Collection[bytes],
    block: AsOfBlock,
    *,
    after: Place | None,
    limit: int,
) -> Sequence[ClaimChange]:
    """List every claim and revocation about some identities up to a block, oldest first."""
    told = [
        event
        for event in _about(session, chain_id, identities, block)
        if after is None or (event["block_number"], event["log_index"]) > after
    ][:limit]
    times = _times(session, chain_id, {event["block_number"] for event in told}, block)
    return [
        ClaimChange(
            event["block_number"],
            times[event["block_number"]],
            event["log_index"],
            event["tx_hash"],
            event["event"],
            event["said"],
        )
        for event in told
    ]


def _times(
    session: Session, chain_id: int, numbers: Collection[int], block: AsOfBlock
) -> dict[int, datetime]:
    stored = session.exec(
        select(ChainBlock.number, ChainBlock.mined_at).where(
            col(ChainBlock.chain_id) == chain_id, col(ChainBlock.number).in_(numbers)
        )
    ).all()
    lost = block.lost.blocks if block.lost else ()
    return dict(stored) | {each.number: each.mined_at for each in lost}


# Rows as they are: making objects of them takes longer than finding them.
_EVENTS = """
SELECT e.block_number, e.log_index, '0x' || encode(e.address, 'hex'), e.event, e.tx_hash, e.said
FROM contract_event e
WHERE e.chain_id = %(chain)s AND e.block_number <= %(kept)s AND {what}
ORDER BY e.block_number, e.log_index
"""
_ABOUT_SOMEBODY = _EVENTS.format(what="e.subject = ANY(%(subjects)s) AND e.event = ANY(%(names)s)")
# That nobody is its subject is said for the planner: these are in the small index.
_GENERAL = _EVENTS.format(
    what="""e.subject IS NULL AND e.address = ANY(ARRAY(
      SELECT address FROM followed_contract
      WHERE chain_id = %(chain)s AND name IN ('ClaimStore', 'ClaimIssuer')))"""
)
_Event = Mapping[str, Any]
_FIELDS = ("block_number", "log_index", "address", "event", "tx_hash", "said")


def _about(
    session: Session, chain_id: int, identities: Collection[bytes], block: AsOfBlock
) -> Iterator[_Event]:
    """Give what was claimed and revoked about identities, in the order of the chain."""
    wanted = set(identities)
    values = {"subjects": list(wanted), "names": list(_ABOUT)}
    yield from _rows(session, _ABOUT_SOMEBODY, chain_id, block, values)
    for event in block.lost.contract_events() if block.lost else ():
        if event["event"] in _ABOUT and bytes.fromhex(event["subject"]) in wanted:
            yield _of_orphan(event)


def _general(session: Session, chain_id: int, block: AsOfBlock) -> Iterator[_Event]:
    """Give what says which claims count, in the order of the chain."""
    yield from _rows(session, _GENERAL, chain_id, block, {})
    for event in block.lost.contract_events() if block.lost else ():
        if event["subject"] is None:
            yield _of_orphan(event)


def _rows(
    session: Session, query: str, chain_id: int, block: AsOfBlock, values: Mapping[str, Any]
) -> Iterator[_Event]:
    told = {"chain": chain_id, "kept": block.kept, **values}
    with cursor_of(session) as cursor:
        rows = cursor.execute(query.encode(), told).fetchall()
    return (dict(zip(_FIELDS, row, strict=True)) for row in rows)


def _of_orphan(event: _Event) -> _Event:
    return {
        **event,
        "address": f"0x{event['address']}",
        "tx_hash": bytes.fromhex(event["tx_hash"]),
    }
