"""One sale and its buyer, and what the bank says of the money."""

from __future__ import annotations

from dataclasses import dataclass

from registry.kernel.actor import Actor, Role
from registry.offering.models import Offering, Order
from registry.payment import statements
from registry.payment.models import (
    BankStatement,
    LineOutcome,
)
from tests import factories as make
from tests import sales
from tests.factories import ACTORS, Buyer, Desk
from tests.statements import camt, camt_entry

TREASURY = ACTORS[Role.TREASURY]
COLLEAGUE = Actor("the-other-treasury", frozenset({Role.TREASURY}))


@dataclass(frozen=True)
class Market:
    sale: Offering
    buyer: Buyer


def open_market(desk: Desk) -> Market:
    return Market(sales.offering(desk, sales.wrapped_apartment(desk)), make.buyer(desk))


def read(desk: Desk, content: bytes) -> BankStatement:
    return statements.import_statement(desk.session, TREASURY, content)[0]


def outcomes(desk: Desk, row: BankStatement) -> list[LineOutcome]:
    lines = statements.list_lines(desk.session, row.id, outcome=None, after=0, limit=99)
    return [line.outcome for line in lines]


def numbered(order: Order, number: str, day: str, *, statement: str, paisa: int = 70) -> bytes:
    """Write a statement whose one entry has only a number (NtryRef)."""
    entry = camt_entry(number, paisa, said=order.reference, day=day, name="NtryRef")
    content = camt(0, entry, closing=paisa, day=day)
    return content.replace(b"<Stmt>", b"<Stmt><Id>%s</Id>" % statement.encode())
