"""Whether everybody was told the truth: answers, orders, money and tokens held side by side.

Database and chain are read with nothing of our own code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from tests.chaos.facts import Chain
from tests.flaky import Answer
from tests.race.stage import Stage

_ORDERS: LiteralString = (
    "SELECT o.id, o.units, o.state, o.amount_paisa, o.operation_id, w.address,"
    " (SELECT count(*) FROM payment p WHERE p.order_id = o.id) AS payments,"
    " (SELECT count(*) FROM operation m WHERE m.kind = 'mint' AND m.subject_id = o.id::text"
    "  AND m.state = 'final') AS mints"
    " FROM purchase_order o JOIN wallet w ON w.id = o.wallet_id WHERE o.offering_id = %s"
)
_BALANCES: LiteralString = (
    "SELECT account, sum(amount_paisa)::bigint AS paisa FROM ledger_posting GROUP BY account"
)
_UNBALANCED: LiteralString = (
    "SELECT entry_id FROM ledger_posting GROUP BY entry_id HAVING sum(amount_paisa) <> 0"
)
_MINTED: LiteralString = (
    "SELECT coalesce(sum((params->>'units')::bigint), 0)::bigint AS units, count(*) AS mints"
    " FROM operation WHERE kind = 'mint' AND state = 'final'"
)
_RESERVED: LiteralString = "SELECT reserved_units, state FROM offering WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the race came to, as the buyers were told."""

    buyers: int
    sold: int
    refused: int
    differences: list[str]

    def __str__(self) -> str:
        return (
            f"{self.buyers} buyers, {self.sold} sold, {self.refused} refused, "
            f"{len(self.differences)} differences"
        )


def judge(stage: Stage, node_url: str, database_url: str, answers: Sequence[Answer]) -> Outcome:
    """Hold what each buyer was told against the database, and that against the chain."""
    sold = [answer for answer in answers if answer.status == 201]
    refused = [answer for answer in answers if answer.status == 409]
    differences = [
        *_in_answers(stage, answers, sold, refused),
        *_in_database(stage, database_url, sold),
        *_on_chain(stage, node_url, database_url),
    ]
    return Outcome(len(answers), len(sold), len(refused), differences)


def _in_answers(
    stage: Stage, answers: Sequence[Answer], sold: Sequence[Answer], refused: Sequence[Answer]
) -> Iterator[str]:
    others = [answer for answer in answers if answer.status not in {201, 409}]
    yield from (f"somebody was told {answer.status}: {answer.body}" for answer in others)
    wanted = min(stage.offered, len(answers))
    if len(sold) != wanted:
        yield f"{len(sold)} were told that they have bought, {wanted} can have"
    for answer in refused:
        body = answer.body
        if body["code"] != "order_exceeds_offer" or not (body["detail"] and body["remedy"]):
            yield f"refused for no clear reason: {body}"


def _in_database(stage: Stage, url: str, sold: Sequence[Answer]) -> Iterator[str]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        book = connection.execute(_ORDERS, [stage.sale.offering_id]).fetchall()
        balances = {row["account"]: row["paisa"] for row in connection.execute(_BALANCES)}
        unbalanced = connection.execute(_UNBALANCED).fetchall()
        offering = connection.execute(_RESERVED, [stage.sale.offering_id]).fetchone()
    told = Counter(answer.body["id"] for answer in sold)
    there = {str(row["id"]): row for row in book}
    if told.keys() != there.keys() or max(told.values(), default=1) > 1:
        yield f"{len(told)} orders were told of, {len(there)} are there, some twice: {told}"
    for row in book:
        if (row["state"], row["units"]) != ("SETTLED", 1):
            yield f"order {row['id']} of {row['units']} is {row['state']}"
        if (row["payments"], row["mints"]) != (1, 1):
            yield f"order {row['id']}: {row['payments']} payments, {row['mints']} mints"
    price = stage.sale.price_paisa * len(book)
    expected = {"BANK": price, "SALE_PROCEEDS": -price, "ORDER": 0}
    for account, paisa in (expected | balances).items():
        if paisa != expected.get(account, 0):
            yield f"{account} has {paisa} paisa, not {expected.get(account, 0)}"
    yield from (f"entry {row['entry_id']} does not balance" for row in unbalanced)
    if offering != {"reserved_units": len(book), "state": "CLOSED"}:
        yield f"the offering says {offering}"


def _on_chain(stage: Stage, node_url: str, database_url: str) -> Iterator[str]:
    chain = Chain(node_url)
    minted = chain.minted(stage.sale.token)
    supply = chain.supply(stage.sale.token)
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        book = connection.execute(_ORDERS, [stage.sale.offering_id]).fetchall()
        final: Any = connection.execute(_MINTED).fetchone()
    ordered = Counter({f"0x{row['address'].hex()}": row["units"] for row in book})
    for wallet in ordered.keys() | minted.keys():
        if minted[wallet] != ordered[wallet]:
            yield f"{wallet} has {minted[wallet]} on chain, and ordered {ordered[wallet]}"
    if not supply == sum(minted.values()) == final["units"] == stage.offered:
        yield (f"supply {supply}, minted {sum(minted.values())}, final {final}, of {stage.offered}")
