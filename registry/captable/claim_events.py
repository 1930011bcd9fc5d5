"""What the claim store and its issuers told about identities, and the slots that it leaves.

The fold is that of the contracts: a claim replaces the one before it of the same issuer and topic,
and the last revocation stays beside it (`ClaimStore.sol`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of

ABOUT = ("ClaimIssued", "ClaimRevoked")
_KINDS = {"KindAdmitted": True, "KindDismissed": False}
_KEYS = {"SigningKeyAdded": True, "SigningKeyRemoved": False}

Kind = tuple[str, str, str]
"""Addresses of store and issuer, and the topic; as the events have them."""
Event = Mapping[str, Any]


@dataclass(slots=True)
class Rules:
    """Which kinds of claim are admitted, and which keys are their issuers'.

    Parameters
    ----------
    keys
        By issuer and the number of the key in its own numbering.
    names
        The addresses of those keys.
    """

    admitted: dict[Kind, bool] = field(default_factory=dict)
    keys: dict[tuple[str, str], bool] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)

    def fold(self, event: Event) -> None:
        """Take note of what was told next."""
        name, address, said = event["event"], event["address"], event["said"]
        if name in _KINDS:
            self.admitted[address, said["issuer"], said["topic"]] = _KINDS[name]
        elif name in _KEYS:
            self.keys[address, said["index"]] = _KEYS[name]
            self.names[address, said["index"]] = said["signingKey"]


@dataclass(frozen=True, slots=True)
class Slot:
    """What a store has of one issuer on one topic about an identity.

    Parameters
    ----------
    issued
        The newest claim, as it was told; None where there is a revocation alone.
    revoked_at
        Second of the last revocation; None where there was none.
    """

    identity: str
    kind: Kind
    issued: Event | None
    revoked_at: int | None

    @property
    def is_revoked(self) -> bool:
        """Whether the claim was issued up to its last revocation."""
        return (
            self.issued is not None
            and self.revoked_at is not None
            and int(self.issued["said"]["issuedAt"]) <= self.revoked_at
        )


def fold_slots(told: Iterable[Event]) -> list[Slot]:
    """Fold what was told about identities, in the order of the chain."""
    issued: dict[tuple[str, Kind], Event] = {}
    revoked: dict[tuple[str, Kind], int] = {}
    for event in told:
        said = event["said"]
        key = (said["identity"], (event["address"], said["issuer"], said["topic"]))
        if event["event"] == "ClaimIssued":
            issued[key] = event
        else:
            revoked[key] = int(said["revokedAt"])
    return [
        Slot(*key, issued.get(key), revoked.get(key)) for key in sorted(issued.keys() | revoked)
    ]


def rules_at(session: Session, chain_id: int, block: AsOfBlock) -> Rules:
    """Fold which claims count at a block."""
    rules = Rules()
    for event in _general(session, chain_id, block):
        rules.fold(event)
    return rules


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
_FIELDS = ("block_number", "log_index", "address", "event", "tx_hash", "said")


def told_about(
    session: Session, chain_id: int, identities: Collection[bytes], block: AsOfBlock
) -> Iterator[Event]:
    """Give what was claimed and revoked about identities, in the order of the chain."""
    wanted = set(identities)
    values = {"subjects": list(wanted), "names": list(ABOUT)}
    yield from _rows(session, _ABOUT_SOMEBODY, chain_id, block, values)
    for event in block.lost.contract_events() if block.lost else ():
        if event["event"] in ABOUT and bytes.fromhex(event["subject"]) in wanted:
            yield _of_orphan(event)


def _general(session: Session, chain_id: int, block: AsOfBlock) -> Iterator[Event]:
    """Give what says which claims count, in the order of the chain."""
    yield from _rows(session, _GENERAL, chain_id, block, {})
    for event in block.lost.contract_events() if block.lost else ():
        if event["subject"] is None:
            yield _of_orphan(event)


def _rows(
    session: Session, query: str, chain_id: int, block: AsOfBlock, values: Mapping[str, Any]
) -> Iterator[Event]:
    told = {"chain": chain_id, "kept": block.kept, **values}
    with cursor_of(session) as cursor:
        rows = cursor.execute(query.encode(), told).fetchall()
    return (dict(zip(_FIELDS, row, strict=True)) for row in rows)


def _of_orphan(event: Event) -> Event:
    return {
        **event,
        "address": f"0x{event['address']}",
        "tx_hash": bytes.fromhex(event["tx_hash"]),
    }
