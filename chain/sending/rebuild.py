"""What the chain knows of our keys and the database does not: found, matched, written down.

A database that was restored from an old backup has forgotten transactions. Each carries the ids of
the operations that it carried out (`chain.sending.trailer`), so each is bound to its operation
again, and followed to its end like any other. What matches none is told, and needs a person (ADR
0030).
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum
from uuid import UUID

import structlog
from sqlalchemy import func, text
from sqlmodel import Session, col, select

from chain.node.client import hex_of
from chain.node.finality import final_height
from chain.operations.effect import Chain
from chain.sending import resender
from chain.sending.binding import Bound, bind
from chain.sending.gaps import Gaps
from chain.sending.nonces import Nonces
from chain.sending.outbox import MOST_TOLD
from chain.sending.own_transactions import OwnTransaction, OwnTransactions
from chain.sending.resender import UNMINED
from chain.sending.tracker import Tracker
from registry.kernel import failpoints
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.settings import Finality
from registry.operation.models import NonceStream, Operation, OperationAttempt

log = structlog.get_logger()

REORG_MARGIN = 64
"""Blocks before the last one that the database knows: a reorg may have moved what it held."""

AGAIN_SECONDS = 15.0
"""So long the worker believes a rebuild that left something open: then anything may have come
about that it waits for."""

MOST_UNKNOWN = 100_000
"""So many transactions of a key are looked for at most: a node may count whatever it likes."""

UNSEEN = "the node counts transactions that it does not show; it is asked again"


class Finding(StrEnum):
    """What a transaction of our key turned out to be."""

    KNOWN = "known"
    MATCHED = "matched"
    EMPTY = "empty"
    LOST = "lost"
    """It names an operation of which the database has nothing: planned after the backup. Planned
    anew it is found by its call."""
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction that the database did not know.

    Parameters
    ----------
    operation_id
        What it carried out; None for a foreign one.
    note
        Why it is lost or foreign.
    """

    signer: bytes
    nonce: int
    tx_hash: bytes
    block_number: int
    finding: Finding
    operation_id: UUID | None = None
    note: str = ""


@dataclass(slots=True)
class Report:
    """What a rebuild found.

    Parameters
    ----------
    waiting
        Why keys cannot be told whole yet, by key.
    """

    entries: list[Entry] = field(default_factory=list)
    waiting: dict[bytes, str] = field(default_factory=dict)
    accepted: bool = False

    @property
    def unexplained(self) -> list[Entry]:
        """What needs a person, or to be planned anew."""
        open_ones = {Finding.LOST, Finding.FOREIGN}
        return [entry for entry in self.entries if entry.finding in open_ones]

    @property
    def left_open(self) -> list[str]:
        """Say what sending waits for."""
        return [
            *(f"{hex_of(signer)}: {why}" for signer, why in self.waiting.items()),
            *(
                f"{hex_of(entry.signer)} nonce {entry.nonce} in block {entry.block_number}, "
                f"{hex_of(entry.tx_hash)}: {entry.finding}, {entry.note}"
                for entry in self.unexplained
                if not self.accepted
            ),
        ]

    @property
    def is_complete(self) -> bool:
        """Whether everything is explained, so that sending goes on."""
        return not self.left_open


class Rebuild:
    """Brings the database up to what the chain knows of our keys.

    Parameters
    ----------
    finality
        What makes a block final: nothing is taken from an operation before.
    """

    def __init__(self, database: Database, chain: Chain, *, finality: Finality) -> None:
        self._database = database
        self._chain = chain
        self._finality = finality
        self._tracker = Tracker(database, chain, finality=finality)
        # What the last run left open, at which nonces, and until when that is believed.
        self._last: tuple[list[str], dict[bytes, int], float] | None = None
        self._own = OwnTransactions(chain.client)
        self._gaps = Gaps(database, chain)
        self._told: set[tuple[bytes, Finding]] = set()

    def mend(self) -> list[str]:
        """Run, and tell what sending waits for; nothing, where it may go on.

        Where nothing was sent since the last run, that one is believed for a while. Not for ever:
        what it found depends on more than the chain. Something may have been planned anew since,
        a block have become final, a node have come up with what it had missed. And a run that
        was broken off has found nothing: the next one takes it up at once.
        """
        used = {key.address: self._used(key.address) for key in self._chain.senders}
        if self._last is not None:
            left_open, seen, until = self._last
            if used == seen and time.monotonic() < until:
                return left_open or [UNSEEN]
        self._last = None
        left_open = self.run().left_open
        self._last = (left_open, used, time.monotonic() + AGAIN_SECONDS)
        return left_open

    def require_no_gaps(self) -> bool:
        """Make sure that no pool keeps what the database does not know, behind a missing nonce.

        Returns
        -------
        bool
            Whether that is sure (`Gaps.require_none`).

        Raises
        ------
        NonceAhead
            It does.
        """
        return self._gaps.require_none()

    def look_for_taken(self) -> None:
        """Explain what has spent a nonce for which an operation waits in vain.

        The chain's nonce is not ahead then, so nothing else would ever tell.
        """
        long_ago = now() - resender.RESEND_AFTER
        # A backup may be of the moment between signing and sending.
        touched = func.coalesce(col(OperationAttempt.last_sent_at), col(OperationAttempt.signed_at))
        with self._database.transaction() as session:
            waiting = session.exec(
                select(Operation.signer, Operation.nonce)
                .join(OperationAttempt, col(OperationAttempt.operation_id) == col(Operation.id))
                .where(
                    col(Operation.state).in_(UNMINED),
                    col(Operation.signer).in_([key.address for key in self._chain.senders]),
                )
                .group_by(col(Operation.id))
                .having(func.max(touched) < long_ago)
            ).all()
        used = {signer: self._used(signer) for signer, _ in waiting if signer is not None}
        if any(nonce is not None and nonce < used[signer] for signer, nonce in waiting if signer):
            self.run()

    def run(self, *, accept_foreign: bool = False) -> Report:
        """Bind what the chain has and the database has not, and set the nonce streams forward.

        It may be stopped at any moment and run again. Without anything unknown it does nothing.

        Parameters
        ----------
        accept_foreign
            Go on behind transactions that are not ours; a person has looked at them.
        """
        report = Report(accepted=accept_foreign)
        wanted = self._wanted(report)
        if wanted:
            # A run before may have been broken off between binding and following.
            self._tracker.follow()
            first = self._first_block(wanted)
            final = final_height(
                self._chain.client, self._finality, self._chain.client.block_number()
            )
            for own in self._own.find(wanted, first):
                entry = self._record(own, is_final=own.block_number <= final, accept=accept_foreign)
                report.entries.append(entry)
                # Before the next is matched: its call may need what this one created.
                self._tracker.follow()
        for signer, nonces in wanted.items():
            self._finish(report, signer, nonces)
        self._tell_pending(report)
        for entry in report.entries:
            if (entry.tx_hash, entry.finding) in self._told:
                continue
            self._told.add((entry.tx_hash, entry.finding))
            log.warning(
                "transaction_rebuilt",
                signer=hex_of(entry.signer),
                nonce=entry.nonce,
                tx=hex_of(entry.tx_hash),
                finding=entry.finding,
                operation=str(entry.operation_id),
                note=entry.note,
            )
        return report

    # -- what is missing ---------------------------------------------------------------------

    def _used(self, signer: bytes) -> int:
        return self._chain.client.nonce(signer)

    def _wanted(self, report: Report) -> dict[bytes, set[int]]:
        """Give the nonces that are spent on chain by something that the database does not know.

        A key of which the chain counts too many to look for is told in the report.
        """
        wanted = {}
        for key in self._chain.senders:
            used = self._used(key.address)
            with self._database.transaction() as session:
                stream = session.get(NonceStream, (self._chain.chain_id, key.address))
                # Of a key that the database never saw, whatever lies behind what it does know.
                known = stream.next_nonce if stream else 0
                if used - known > MOST_UNKNOWN:
                    report.waiting[key.address] = _too_many(used, known)
                    continue
                nonces = set(range(known, used)) | self._taken(session, key.address, used)
            if nonces:
                wanted[key.address] = nonces
        return wanted

    def _taken(self, session: Session, signer: bytes, used: int) -> set[int]:
        """Give nonces of ours that were spent, though none of the attempts that own them was."""
        rows = session.exec(
            select(Operation.nonce, OperationAttempt.tx_hash)
            .join(OperationAttempt, col(OperationAttempt.operation_id) == col(Operation.id))
            .where(
                col(Operation.signer) == signer,
                col(Operation.nonce) < used,
                col(Operation.state).in_(UNMINED),
            )
        ).all()
        receipts = self._chain.client.receipts([tx_hash for _, tx_hash in rows])
        mined = {row[0] for row, receipt in zip(rows, receipts, strict=True) if receipt}
        return {nonce for nonce, _ in rows if nonce is not None and nonce not in mined}

    def _first_block(self, wanted: dict[bytes, set[int]]) -> int:
        """Give the block from which on everything that is wanted lies."""
        with self._database.transaction() as session:
            blocks = [
                self._last_known(session, signer, before=min(nonces))
                for signer, nonces in wanted.items()
            ]
        return max(min(block or 0 for block in blocks) - REORG_MARGIN, 0)

    def _last_known(self, session: Session, signer: bytes, *, before: int) -> int | None:
        """Give the last block in which the database knows a transaction of a key.

        A key without a stream had sent nothing yet: then the last one of any key.
        """
        query = select(func.max(col(OperationAttempt.block_number)))
        if session.get(NonceStream, (self._chain.chain_id, signer)) is not None:
            query = query.join(
                Operation, col(Operation.id) == col(OperationAttempt.operation_id)
            ).where(col(Operation.signer) == signer, col(Operation.nonce) < before)
        return session.exec(query).one()

    # -- what is written down ----------------------------------------------------------------

    def _record(self, own: OwnTransaction, *, is_final: bool, accept: bool) -> Entry:
        entry = Entry(own.signer, own.nonce, own.tx_hash, own.block_number, Finding.KNOWN)
        with self._database.transaction() as session:
            # Two workers, or a worker and a person, rebuild one after the other.
            session.execute(text("SELECT pg_advisory_xact_lock(hashtext('operation_rebuild'))"))
            if session.get(OperationAttempt, own.tx_hash) is not None:
                return entry
            found: Bound = bind(session, self._chain, own, is_final=is_final, accept=accept)
            failpoints.reach("before_rebuilt_commit")
        failpoints.reach("after_rebuilt_commit")
        if found.operation_id is not None:
            return replace(entry, finding=Finding.MATCHED, operation_id=found.operation_id)
        if own.is_empty:
            return replace(entry, finding=Finding.EMPTY)
        return replace(
            entry, finding=Finding.LOST if found.is_lost else Finding.FOREIGN, note=found.note
        )

    def _finish(self, report: Report, signer: bytes, nonces: set[int]) -> None:
        """Set the stream of a key forward, where everything before is explained."""
        mine = [entry for entry in report.entries if entry.signer == signer]
        missing = nonces - {entry.nonce for entry in mine}
        if missing and self._has_stream(signer):
            report.waiting[signer] = f"no block holds nonces {_listed(missing)}"
        elif report.accepted or not any(each.signer == signer for each in report.unexplained):
            with self._database.transaction() as session:
                stream = self._nonces(signer).open(session, start=max(nonces) + 1)
                stream.next_nonce = max(stream.next_nonce, max(nonces) + 1)
                session.add(stream)
                failpoints.reach("before_stream_commit")
            failpoints.reach("after_stream_commit")

    def _has_stream(self, signer: bytes) -> bool:
        with self._database.transaction() as session:
            return session.get(NonceStream, (self._chain.chain_id, signer)) is not None

    def _nonces(self, signer: bytes) -> Nonces:
        [key] = [key for key in self._chain.senders if key.address == signer]
        return Nonces(self._database, self._chain, key)

    def _tell_pending(self, report: Report) -> None:
        """Tell what waits in the node's pool: it is known only once a block holds it."""
        for key in self._chain.senders:
            pending = self._chain.client.nonce(key.address, "pending")
            with self._database.transaction() as session:
                stream = session.get(NonceStream, (self._chain.chain_id, key.address))
                ahead = pending - (stream.next_nonce if stream else 0)
            if key.address in report.waiting:
                continue
            if not report.accepted and any(
                entry.signer == key.address for entry in report.unexplained
            ):
                continue
            waits_for = (
                f"{ahead} transactions are in the node's pool; run it again once they are mined"
                if ahead > 0
                else self._gaps.close(key)
            )
            if waits_for is not None:
                report.waiting[key.address] = waits_for


def _listed(nonces: Collection[int]) -> str:
    more = f" and {len(nonces) - MOST_TOLD} more" if len(nonces) > MOST_TOLD else ""
    return ", ".join(map(str, sorted(nonces)[:MOST_TOLD])) + more


def _too_many(used: int, known: int) -> str:
    return (
        f"the node counts {used} transactions and the database {known}: more than {MOST_UNKNOWN} "
        "are not looked for; ask another node, or restore a newer backup"
    )
