"""Holding the rounds of the rules against what they had to find, of hits and of payments.

Or, of the chain and of wallets, against how far they said that they have looked.

How far they have looked is a row that every round writes, and whoever moves it on has what lies
between never looked at. Of hits and payments the rules can be asked again: a cursor is of the
thresholds with which it looked, and with others there is another one. What those of the chain say
hangs on whose a wallet is by now, so that their cursors are sealed (ADR 0071).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from uuid import UUID

from sqlmodel import Session, col, select

from registry.alert import cursors, listed, structuring
from registry.alert.cursors import NO_ID
from registry.alert.models import Alert, AlertRule
from registry.alert.policy import alert_policies
from registry.alert.rounds import hits_source, payments_source
from registry.kernel.rows import among
from registry.kernel.vault import Vault

R = TypeVar("R")


def unraised(session: Session, vault: Vault) -> Iterator[str]:
    """Find hits and payments that the rounds have passed, and of which no alert was raised.

    And cursors of the chain and of wallets that do not stand where the rounds have left them.
    """
    yield from cursors.moved(session, vault)
    yield from _unraised_hits(session)
    yield from _unraised_payments(session)


def _unraised_hits(session: Session) -> Iterator[str]:
    policies = alert_policies(session)
    source = hits_source(policies)
    passed = _passed(session, source)
    for page in _pages(session, listed.hits_since, NO_ID, lambda hit: hit.id):
        found = listed.find_in([hit for hit in page if hit.id <= passed], policies)
        keys = [item.key for item in found]
        raised = set(session.exec(select(Alert.key).where(among(col(Alert.key), keys))).all())
        for item in found:
            if item.key not in raised:
                yield (
                    f"Row {source} of alert_cursor lies behind hit {item.evidence['hit_id']} of "
                    "sanctions_hit, of which no alert was raised"
                )


def _unraised_payments(session: Session) -> Iterator[str]:
    policies = alert_policies(session)
    source = payments_source(policies)
    passed = _passed(session, source)
    read = structuring.booked_since
    # Of whoever has paid since, all payments are looked at once more by the next round.
    due = {party for page in _pages(session, read, passed, _entry) for _, party in page}
    looked: set[UUID] = set()
    for page in _pages(session, read, NO_ID, _entry):
        parties = {party for entry, party in page if entry <= passed} - due - looked
        looked |= parties
        alerts = select(Alert.party_id, Alert.evidence).where(
            col(Alert.rule) == AlertRule.STRUCTURING, among(col(Alert.party_id), parties)
        )
        told = [(party, set(said["payments"])) for party, said in session.exec(alerts)]
        for found in structuring.find_of(session, parties, policies):
            named = set(found.evidence["payments"])
            if not any(found.party_id == party and named <= known for party, known in told):
                yield (
                    f"Row {source} of alert_cursor lies behind payments of party "
                    f"{found.party_id}, up to {found.evidence['payments'][-1]}, of which no alert "
                    "was raised"
                )


def _entry(row: tuple[UUID, UUID]) -> UUID:
    return row[0]


def _passed(session: Session, source: str) -> UUID:
    return cursors.reached(session, None, source).last_id


def _pages(
    session: Session,
    read: Callable[[Session, UUID], Sequence[R]],
    since: UUID,
    id_of: Callable[[R], UUID],
) -> Iterator[Sequence[R]]:
    while page := read(session, since):
        yield page
        since = id_of(page[-1])
