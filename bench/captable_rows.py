"""The rows of a large token, made by the database itself.

They lie as the sync leaves them: what is final compacted by holder, as
`registry.captable.compacting` does, but for the few rows of each holder that wait for more, and
the last blocks in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from registry.captable.compacting import LEAST, SPAN
from registry.kernel.db import Database

CHAIN_ID = 31_337
PER_BLOCK = 100
MINTED_UNITS = 10**12
SAMPLE = 2_000
NOT_FINAL = 384


@dataclass(frozen=True, slots=True)
class LargeToken:
    """What was made."""

    address: bytes
    chain_id: int
    holders: int
    transfers: int
    head: int
    addresses: list[bytes]

    @property
    def events(self) -> int:
        return self.holders + self.transfers


# A transfer moves 1 to 1,000 units, so nobody ever falls below zero.
_STEPS = r"""
INSERT INTO token (chain_id, address, identity_registry, compliance, block_number, supply_units,
paused) VALUES (:chain, :address, '\x01', '\x02', 0, CAST(:minted AS numeric) * (:holders +
(:part - 1) * cardinality(CAST(:large AS int[]))), false);
INSERT INTO holder (address) SELECT substring(sha256(int8send(n)) FOR 20) FROM
generate_series(1, :holders) AS n;
INSERT INTO chain_block SELECT :chain, n, sha256(int8send(n)), sha256(int8send(n - 1)),
timestamptz '2026-01-01' + n * interval '12 seconds' FROM generate_series(0, :head) AS n;
INSERT INTO sync_cursor (chain_id, number, hash, head_number, checked_at, generation,
finalized_number, finalized_hash) SELECT :chain, b.number, b.hash, b.number, now(), 0, f.number,
f.hash FROM chain_block b, chain_block f WHERE b.number = :head AND f.number = :final;
-- dropped and built again, as anybody loads that many rows at once
ALTER TABLE token_event DROP CONSTRAINT token_event_pkey;
ALTER TABLE balance_at DROP CONSTRAINT balance_at_pkey;
ALTER TABLE balance DROP CONSTRAINT balance_pkey;
INSERT INTO token_event (token_no, block_number, log_index, kind, tx_hash, target, units) SELECT
1, 1 + (n - 1) / :per_block, (n - 1) % :per_block, 1, sha256(int8send(n)), n, CAST(:minted
AS numeric) * CASE WHEN n = ANY(:large) THEN :part ELSE 1 END FROM generate_series(1, :holders)
AS n;
INSERT INTO token_event (token_no, block_number, log_index, kind, tx_hash, source, target,
units) SELECT 1, 1 + (n - 1) / :per_block, (n - 1) % :per_block, 1, sha256(int8send(n)), 1 +
(hashint8extended(n, 1) & 2147483647) % :holders, 1 + (hashint8extended(n, 2) & 2147483647) %
:holders, 1 + (hashint8extended(n, 3) & 2147483647) % 1000 FROM generate_series(:holders + 1,
CAST(:holders AS bigint) + :transfers) AS n;
CREATE UNLOGGED TABLE change AS SELECT *, row_number() OVER holder AS place, count(*) FILTER
(WHERE block_number <= :final) OVER (PARTITION BY holder_no) AS final, lag(block_number) OVER
holder AS before_block, lag(units) OVER holder AS before_units, max(units) OVER holder AS most,
lead(block_number) OVER holder AS next_block FROM (SELECT holder_no, block_number,
sum(sum(change)) OVER (PARTITION BY holder_no ORDER BY block_number) AS units FROM (SELECT
target AS holder_no, block_number, units AS change FROM token_event UNION ALL SELECT source,
block_number, -units FROM token_event WHERE source IS NOT NULL ) changes GROUP BY holder_no,
block_number) AS balances WINDOW holder AS (PARTITION BY holder_no ORDER BY block_number);
INSERT INTO balance_at (token_no, holder_no, block_number, balance_units, frozen_units,
later_blocks, later_balances) SELECT 1, holder_no, min(block_number), (array_agg(units ORDER BY
block_number))[1], 0, nullif((array_agg(block_number ORDER BY block_number))[2:], '{}'),
nullif((array_agg(units ORDER BY block_number))[2:], '{}') FROM change WHERE place <= final -
final % (:least - 1) GROUP BY holder_no, (place - 1) / :span ORDER BY holder_no, min(place);
-- as following the chain wrote them
INSERT INTO balance_at (token_no, holder_no, block_number, balance_units, frozen_units) SELECT 1,
holder_no, block_number, units, 0 FROM change WHERE place > final - final % (:least - 1) ORDER
BY block_number, holder_no;
INSERT INTO balance (token_no, holder_no, balance_units, frozen_units, block_number,
before_block, before_units, before_frozen, most_units) SELECT 1, holder_no, units, 0,
block_number, coalesce(before_block, -1), coalesce(before_units, 0), 0, 2::float8 ^ (floor(log(2,
most) + 0.000001) + 1) FROM change WHERE next_block IS NULL ORDER BY holder_no;
DROP TABLE change;
ALTER TABLE token_event ADD PRIMARY KEY (token_no, block_number, log_index);
ALTER TABLE balance_at ADD PRIMARY KEY (token_no, holder_no, block_number);
ALTER TABLE balance ADD PRIMARY KEY (token_no, holder_no)
"""


def make_large_token(
    database: Database, holders: int, transfers: int, large: Sequence[int] = ()
) -> LargeToken:
    """Make a token of `holders` wallets with so many transfers among them.

    Parameters
    ----------
    large
        Numbers of those who are minted half as much as everybody else has together.
    """
    head = (holders + transfers) // PER_BLOCK
    values = {
        "chain": CHAIN_ID,
        "address": b"\xaa" * 20,
        "holders": holders,
        "transfers": transfers,
        "minted": MINTED_UNITS,
        "large": list(large),
        "part": max(holders // 2, 1),
        "per_block": PER_BLOCK,
        "head": head,
        "final": max(head - NOT_FINAL, head // 2),  # a small token has final blocks too
        "least": LEAST,
        "span": SPAN,
    }
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL work_mem = '512MB'"))
        connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        for step in _STEPS.split(";"):
            used = {name: value for name, value in values.items() if f":{name}" in step}
            connection.execute(text(step), used)
        sample = connection.execute(
            text("SELECT address FROM holder ORDER BY address LIMIT :n"), {"n": SAMPLE}
        )
        addresses = [bytes(row[0]) for row in sample]
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
    return LargeToken(b"\xaa" * 20, CHAIN_ID, holders, transfers, head, addresses)
