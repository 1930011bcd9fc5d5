"""A crowd of buyers: one goes through the use cases, the database makes the others after that one.

A thousand reviews of KYC would take minutes, and are not what a crowd is wanted for.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from registry.kernel.actor import Actor, Role
from tests.factories import Buyer

# Each buyer after the first: the same rows under other names, and the operations of its identity.
_CLONES = (
    """
CREATE TEMP TABLE clone ON COMMIT DROP AS
    SELECT n, uuidv7() AS party_id, uuidv7() AS investor_id, uuidv7() AS wallet_id,
        uuidv7() AS create_identity, uuidv7() AS add_claim,
        substring(sha256(int8send(n)) FOR 20) AS address,
        substring(sha256(int8send(-n)) FOR 20) AS identity
    FROM generate_series(2, :number) AS n
""",
    """
INSERT INTO party SELECT (jsonb_populate_record(old, jsonb_build_object('id', new.party_id,
    'cnic_fingerprint', '\\x' || encode(sha256(int8send(n)), 'hex')))).*
    FROM clone new, party old WHERE old.id = :party
""",
    """
INSERT INTO investor SELECT (jsonb_populate_record(old, jsonb_build_object('id', new.investor_id,
    'subject', 'crowd-' || n, 'party_id', new.party_id))).*
    FROM clone new, investor old WHERE old.id = :investor
""",
    """
INSERT INTO wallet SELECT (jsonb_populate_record(old, jsonb_build_object('id', new.wallet_id,
    'investor_id', new.investor_id, 'address', '\\x' || encode(new.address, 'hex'),
    'identity', CASE WHEN old.identity IS NOT NULL
        THEN '\\x' || encode(new.identity, 'hex') END))).*
    FROM clone new, wallet old WHERE old.id = :wallet
""",
    """
INSERT INTO operation SELECT (jsonb_populate_record(old, jsonb_build_object('id',
    CASE old.kind WHEN 'create_identity' THEN new.create_identity ELSE new.add_claim END,
    'key', old.kind || ':crowd:' || n, 'subject_id', new.investor_id,
    'params', old.params || jsonb_build_object('wallet_id', new.wallet_id)
        || CASE old.kind WHEN 'create_identity'
            THEN jsonb_build_object('wallet', '0x' || encode(new.address, 'hex'))
            ELSE CAST('{}' AS jsonb) END))).*
    FROM clone new, operation old WHERE old.params ->> 'wallet_id' = CAST(:wallet AS text)
""",
    "INSERT INTO operation_dependency SELECT add_claim, create_identity FROM clone",
    "DROP TABLE clone",
)


@dataclass(frozen=True, slots=True)
class Somebody:
    """A buyer, as the API knows them."""

    actor: Actor
    wallet: bytes


def make_crowd(session: Session, first: Buyer, number: int) -> list[Somebody]:
    """Make so many buyers, of whom `first` is the first."""
    values: dict[str, int | UUID] = {
        "number": number,
        "party": first.investor.party_id,
        "investor": first.investor.id,
        "wallet": first.wallet.id,
    }
    session.flush()
    for step in _CLONES:
        used = {name: value for name, value in values.items() if f":{name}" in step}
        session.connection().execute(text(step), used)
    others = [
        Somebody(
            Actor(f"crowd-{n}", frozenset({Role.INVESTOR})),
            sha256(n.to_bytes(8, "big")).digest()[:20],
        )
        for n in range(2, number + 1)
    ]
    return [Somebody(first.actor, first.wallet.address), *others]
