"""A register with a large token for `bench.api`: everybody who holds it is an investor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from bench.captable_rows import make_large_token
from registry.document.store import DocumentStore
from registry.kernel import migrate
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from registry.offering import service as offerings
from registry.offering.models import Offering, Order
from registry.offering.terms import OfferTerms
from registry.tokenization.models import Tokenization
from tests import sales
from tests.factories import ACTORS, COMPLIANCE, VALUE_PAISA, Desk, buyer, put_on_panel

PEOPLE = 50
SALES = 20
UNITS = 4_200_000
"""Of each sale: more than are ordered here."""

# Everybody after the people who ask: the same row under other names, with the wallet of a holder.
_CLONES = """
SET LOCAL session_replication_role = replica;
CREATE TEMP TABLE clone ON COMMIT DROP AS
    SELECT n, uuidv7() AS party_id, uuidv7() AS investor_id, uuidv7() AS wallet_id,
        uuidv7() AS order_id, substring(sha256(int8send(n)) FOR 20) AS address
    FROM generate_series(CAST(:first AS bigint), CAST(:holders AS bigint)) AS n;
INSERT INTO party SELECT made.* FROM clone new, party old,
    jsonb_populate_record(old, jsonb_build_object('id', new.party_id,
    'cnic_fingerprint', '\\x' || encode(sha256(int8send(n)), 'hex'))) AS made
    WHERE old.id = :party;
INSERT INTO investor SELECT made.* FROM clone new, investor old,
    jsonb_populate_record(old, jsonb_build_object('id', new.investor_id,
    'subject', 'holder-' || n, 'party_id', new.party_id)) AS made
    WHERE old.id = :investor;
INSERT INTO wallet SELECT made.* FROM clone new, wallet old,
    jsonb_populate_record(old, jsonb_build_object('id', new.wallet_id,
    'investor_id', new.investor_id, 'address', '\\x' || encode(new.address, 'hex'))) AS made
    WHERE old.id = :wallet;
INSERT INTO purchase_order SELECT made.* FROM clone new, purchase_order old,
    jsonb_populate_record(old, jsonb_build_object('id',
    new.order_id, 'investor_id', new.investor_id, 'wallet_id', new.wallet_id,
    'reference', 'MLK' || n, 'state', 'SETTLED')) AS made
    WHERE old.id = :order;
INSERT INTO ledger_entry (id, recorded_at, kind, key, subject_kind, subject_id)
    SELECT uuidv7(), now(), 'SETTLEMENT', 'settlement:' || order_id, 'order', order_id FROM clone;
UPDATE offering SET last_sold_at = now(),
    reserved_units = reserved_units + CAST(:holders AS bigint) - :first + 1 WHERE id = :offering
"""


@dataclass(frozen=True, slots=True)
class Asking:
    """Somebody who asks."""

    actor: Actor
    order_id: UUID
    wallet: bytes


@dataclass(frozen=True, slots=True)
class ApiStage:
    """What there is to ask for.

    Parameters
    ----------
    token_id
        Of the large token, which everybody holds, and has bought in its sale.
    sale_id
        A sale that goes on.
    """

    token_id: UUID
    sale_id: UUID
    people: list[Asking]


def build_stage(
    database: Database, vault: Vault, store: DocumentStore, holders: int, transfers: int, *,
    large: Sequence[int] = (),
) -> ApiStage:  # fmt: skip
    """Fill an empty database."""
    migrate.upgrade(database)
    token = make_large_token(database, holders, transfers, large)
    with database.transaction() as session:
        desk = Desk(session, vault, store)
        put_on_panel(desk, ACTORS[Role.VALUER])
        sold, *_, sale = [_sale(desk) for _ in range(SALES)]
        session.get_one(Tokenization, sold.tokenization_id).token_address = token.address
        people = []
        for number in range(1, PEOPLE + 1):
            who = buyer(desk)
            order = sales.order(desk, sold, who, 1)
            session.flush()
            who.wallet.address = _address(session, number)
            session.flush()
            people.append(Asking(who.actor, order.id, who.wallet.address))
        _clone(session, order, holders)
        stage = ApiStage(sold.tokenization_id, sale.id, people)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
    return stage


def _sale(desk: Desk) -> Offering:
    price = VALUE_PAISA // UNITS
    wrapped = sales.wrapped_apartment(desk)
    token = sales.deployed(desk, wrapped, declared_fractions=UNITS, price_paisa=price)
    terms = OfferTerms(offered_units=UNITS)
    return offerings.open_offering(desk.session, COMPLIANCE, token.id, terms)


def _address(session: Session, number: int) -> bytes:
    found = session.connection().execute(
        text("SELECT substring(sha256(int8send(:n)) FOR 20)"), {"n": number}
    )
    return bytes(found.scalar_one())


def _clone(session: Session, order: Order, holders: int) -> None:
    values: dict[str, Any] = {
        "first": PEOPLE + 1,
        "holders": holders,
        "investor": order.investor_id,
        "wallet": order.wallet_id,
        "order": order.id,
        "offering": order.offering_id,
    }
    found = text("SELECT party_id FROM investor WHERE id = :id")
    values["party"] = session.connection().execute(found, {"id": order.investor_id}).scalar_one()
    for step in _CLONES.split(";"):
        used = {name: value for name, value in values.items() if f":{name}" in step}
        session.connection().execute(text(step), used)
