"""Proving the projection, all the time: what changed at once, everybody else in turn.

Whoever an event names is asked about in the same turn. Beside that a sweep goes round over every
holder of every token, slice by slice within a budget, so that a token of a million holders needs
no run of its own and no memory (ADR 0037).
"""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta

import structlog
from sqlmodel import Session

from chain.errors import NoQuorum, RpcInconsistent, RpcRefused
from chain.node.client import ChainClient, hex_of
from chain.proving.claims import is_of_claims
from chain.proving.difference import Difference
from chain.proving.due import Due, Task, newest_proof
from chain.proving.holdings import HoldingReader
from chain.proving.many_calls import ManyCalls
from chain.proving.proof import SUM, Claimed, Outcome, prove, prove_amounts
from registry.captable import rounds
from registry.captable.degraded import degrade, difference_of, doubt, lift, list_differing
from registry.captable.models import ChainBlock, Reconciliation, SyncCursor, Token
from registry.captable.readings import list_foreign, times_read_again
from registry.journal import service as journal
from registry.kernel import failpoints
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import day_of, now
from registry.kernel.db import Database
from registry.reconciliation.alarm import sound_difference

log = structlog.get_logger()

HOLDERS_PER_SECOND = 1_000
LOOK_AGAIN_SECONDS = (0.1, 0.4)
"""Pauses before what differs is asked again. A node that is just mining was seen to answer of the
newest block with the state of the next; and a break stops payouts."""
RECORD_EVERY = timedelta(hours=1)
"""How often a row says of an idle token that it was proven; each stays in the journal for good."""


class Reconciler:
    """Holds the projection of one chain against it.

    Parameters
    ----------
    holders_per_second
        Budget of the sweep; what changed is proven whatever it costs.
    stop
        Ends the proving after the proof that is under way.
    """

    def __init__(
        self,
        database: Database,
        client: ChainClient,
        *,
        holders_per_second: int = HOLDERS_PER_SECOND,
        stop: threading.Event | None = None,
    ) -> None:
        self._database = database
        self._client = client
        self._calls = ManyCalls(client)
        self._holdings = HoldingReader(client)
        self._due = Due(database, client.chain_id, holders_per_second)
        self._stop = stop or threading.Event()

    def reconcile_due(self) -> int:
        """Prove what changed, and go on with the sweep as far as the budget lasts.

        Returns
        -------
        int
            Proofs made.

        Raises
        ------
        RpcInconsistent
            The node contradicted itself about a token; all others had their turn.
        NoQuorum
            So did the nodes among themselves; or they do not agree on the chain, and nobody had.
        """
        self._due.fill()
        made = 0
        faults: list[RpcInconsistent | NoQuorum] = []
        for token_no in self._due.tokens():
            try:
                made += self._reconcile(token_no)
            except (RpcInconsistent, NoQuorum) as fault:
                if isinstance(fault, NoQuorum):
                    # Where they do not even agree on a head, this says so in its place.
                    self._client.head()
                log.warning("reconciliation_failed", token_no=token_no, reason=str(fault))
                faults.append(fault)
        if self._is_degraded():
            with self._database.transaction() as session:
                lift(session, self._client.chain_id)
        if faults:
            raise faults[0]
        return made

    def _reconcile(self, token_no: int) -> int:
        made = 0
        while not self._stop.is_set() and (task := self._due.next_of(token_no)) is not None:
            try:
                outcome = self._prove(task.claimed)
            except RpcRefused as refused:
                # The block left the chain while we asked; the indexer will say so next.
                log.info("reconciliation_postponed", reason=refused.message)
                break
            self._due.looked_at(token_no)
            if not self._store(task, outcome):
                # The same would come again; in the next turn something else does.
                break
            made += 1
            if task.claimed.amounts is not None or task.swept is not None:
                # The sweep has time: whoever reads the chain asks the same node.
                break
        return made

    def _prove(self, claimed: Claimed) -> Outcome:
        """Ask about everything that is claimed; where the chain differs, once and again."""
        outcome = self._ask(claimed)
        for pause in LOOK_AGAIN_SECONDS:
            if not outcome.differences:
                break
            log.warning("looks_again", token=hex_of(claimed.address), found=outcome.differences)
            time.sleep(pause)
            outcome = self._ask(claimed)
        return outcome

    def _ask(self, claimed: Claimed) -> Outcome:
        if claimed.amounts is None:
            return prove(self._calls, claimed)
        return prove_amounts(self._client, self._holdings, claimed, claimed.amounts)

    def _is_degraded(self) -> bool:
        with self._database.reading() as session:
            cursor = session.get(SyncCursor, self._client.chain_id)
            return cursor is not None and cursor.degraded is not None

    def _store(self, task: Task, outcome: Outcome) -> bool:
        """Keep what was found; False where it is no longer about what is projected."""
        claimed = task.claimed
        with self._database.transaction() as session:
            if not _stands(session, self._client.chain_id, claimed):
                reason = "its block was taken back, or the token set apart or read again, meanwhile"
                log.info("reconciliation_postponed", reason=reason)
                return False
            if task.swept is not None:
                rounds.advance(session, claimed.token_no, *task.swept, is_last=task.is_last)
            last = newest_proof(session, claimed.token_no)
            differences = outcome.differences + _still_differing(last, claimed)
            if _is_told(session, self._client.chain_id, task, last, differences):
                return True
            session.add(
                Reconciliation(
                    token_no=claimed.token_no,
                    block_number=claimed.block_number,
                    block_hash=claimed.block_hash,
                    holders=_count_holding(claimed),
                    projected_supply_units=claimed.supply,
                    chain_supply_units=outcome.supply,
                    differences=differences,
                )
            )
            _tell(session, self._client.chain_id, claimed, differences)
            session.flush()
            if differences:
                is_new = last is None or not last.differences
                self._raise_alarm(session, claimed, differences, is_new=is_new)
            failpoints.reach("sync_before_proof")
        failpoints.reach("sync_after_proof")
        return True

    def _raise_alarm(
        self, session: Session, claimed: Claimed, differences: list[Difference], *, is_new: bool
    ) -> None:
        chain_id = self._client.chain_id
        name = hex_of(claimed.address)
        log.error("cap_table_differs", token=name, differences=differences)
        at = {"block": claimed.block_number, "block_hash": hex_of(claimed.block_hash)}
        if claimed.token_no in list_foreign(session, chain_id):
            # Somebody else's: its own answers say so, and nothing of ours waits for it.
            if is_new:
                journal.record(
                    session, THE_SYSTEM, "adopted_token_differs", "token", name,
                    chain_id=chain_id, **at,
                )  # fmt: skip
            return
        reason = difference_of(list_differing(session, chain_id, foreign=False))
        degrade(session, chain_id, reason, is_of_chain=False, token=name, **at)
        # A reorg may take the proof that says so with its block.
        doubt(session, session.get_one(Token, claimed.token_no))
        sound_difference(session, chain_id, claimed.address)


def _tell(session: Session, chain_id: int, claimed: Claimed, differences: list[Difference]) -> None:
    """Write the act of a proof: its row is sealed, and asks for one (ADR 0071)."""
    journal.record(
        session, THE_SYSTEM, "cap_table_proven", "token", hex_of(claimed.address),
        chain_id=chain_id, block=claimed.block_number, block_hash=hex_of(claimed.block_hash),
        differences=len(differences),
    )  # fmt: skip


def _is_told(
    session: Session,
    chain_id: int,
    task: Task,
    last: Reconciliation | None,
    differences: list[Difference],
) -> bool:
    """Tell whether a row would say no more than the newest proof does.

    A token that goes on differing is looked at again every few seconds, and each row is sealed.
    """
    if task.is_news or last is None or not _are_same(differences, last.differences):
        return False
    return not task.is_last or _is_of_lately(session, chain_id, last)


def _are_same(ours: list[Difference], others: list[Difference]) -> bool:
    """Compare differences in whatever order they were found."""
    written = [sorted(json.dumps(each, sort_keys=True) for each in both) for both in (ours, others)]
    return written[0] == written[1]


def _is_of_lately(session: Session, chain_id: int, last: Reconciliation) -> bool:
    """Tell whether the row of a round that has ended can be done without.

    The round itself is kept as such (`ProofRound`), and ends alarms. Of each day there is a row
    soon after its beginning: R-09 asks for the first after the day of a statement.
    """
    moment, since = now(), session.get_one(SyncCursor, chain_id).degraded_since
    return (
        # One from the future was dated by a clock that has been put right since.
        moment - RECORD_EVERY < last.recorded_at <= moment
        and day_of(last.recorded_at) == day_of(moment)
        and (since is None or since < last.recorded_at)
    )


def _stands(session: Session, chain_id: int, claimed: Claimed) -> bool:
    """Tell whether the proven block is still the projection's, and the token goes with it.

    One that was read again since may say something else of the same block.
    """
    cursor = session.get_one(SyncCursor, chain_id, with_for_update=True, populate_existing=True)
    block = session.get(ChainBlock, (chain_id, claimed.block_number))
    token = session.get(Token, claimed.token_no)
    return (
        claimed.block_number <= cursor.number
        and block is not None
        and block.hash == claimed.block_hash
        and token is not None
        and token.is_told_whole
        and times_read_again(session, token) == claimed.reading
    )


def _count_holding(claimed: Claimed) -> int:
    if claimed.amounts is not None:
        return sum(1 for balance, _ in claimed.amounts.values() if balance)
    return sum(1 for holder in claimed.holders if holder.balance)


def _still_differing(last: Reconciliation | None, claimed: Claimed) -> list[Difference]:
    """List what differed before and was not looked at now: only a proof takes it away."""
    if last is None:
        return []
    of_amounts = claimed.amounts is not None
    asked = {hex_of(holder.address) for holder in claimed.holders}
    if claimed.amounts is not None:
        asked |= set(map(hex_of, claimed.amounts))
    return [item for item in last.differences if not _is_settled(item, claimed, asked, of_amounts)]


def _is_settled(item: Difference, claimed: Claimed, asked: set[str], of_amounts: bool) -> bool:
    """Tell whether the proof that was just made says how this stands now."""
    what = item["what"]
    if is_of_claims(item) and claimed.claims is None:
        return False
    if what == SUM:
        return claimed.total is not None or of_amounts
    if of_amounts and what not in {"supply", "balance", "frozen"}:
        return False
    return "holder" not in item or item["holder"] in asked
