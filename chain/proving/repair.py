"""Finding the first block that is projected wrongly, and reading the token anew from there.

The rewinding is one transaction that fences off whoever writes; the reading is that of every
token that is caught up (`chain.sync.catch_up`), so it goes on after a kill, by whoever syncs next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlmodel import Session, col, select

from chain.contracts.abi import contract
from chain.errors import RpcRefused
from chain.node.client import ChainClient, bytes_of, hex_of
from chain.proving.claims import is_of_claims
from chain.proving.comparing import Wrong, first_wrong_block, wrong_events
from chain.proving.difference import Difference
from chain.proving.due import claim_of, facts_of
from chain.proving.many_calls import ManyCalls
from chain.proving.proof import prove
from chain.sync.adoption import AdoptionRefused, examine
from chain.sync.asked import SETTLED_BLOCKS
from chain.sync.watched import Watched, read_watched
from registry.captable import believed, catching_up, entries, rounds, soundness
from registry.captable.degraded import doubt
from registry.captable.events import ProjectedEvent, ProjectedRange, ProjectedToken
from registry.captable.models import Holder, SyncCursor, Token, TokenEvent
from registry.captable.projection import next_generation
from registry.captable.readings import list_foreign
from registry.captable.registered import is_registered_otherwise
from registry.kernel.db import Database

Say = Callable[[str], None]
SLICE = 400
SUSPECTS = 50
"""So many holders that differ are followed back; one wrong block makes many of them differ."""
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Proven:
    """What a run over every holder of a token found."""

    block_number: int
    holders: int
    supply: int
    differences: list[Difference]


class _Said(NamedTuple):
    """What is compared of an event."""

    block_number: int
    log_index: int
    kind: int
    tx_hash: bytes
    source: bytes | None
    target: bytes | None
    units: int | None
    extra: str | None


class Repair:
    """Looks at one token, and mends it."""

    def __init__(self, database: Database, client: ChainClient, token_no: int, say: Say) -> None:
        self._database = database
        self._client = client
        self._calls = ManyCalls(client)
        self._token_no = token_no
        self._say = say

    def prove(self) -> Proven:
        """Hold every holder against the chain, slice by slice, each at the newest block.

        Raises
        ------
        RpcRefused
            The node does not have the state of our newest block.
        """
        after, total, supply, number = rounds.FIRST, 0, 0, 0
        found: list[Difference] = []
        while True:
            for attempt in range(1, ATTEMPTS + 1):
                with self._database.reading() as session:
                    cursor = session.get_one(SyncCursor, self._client.chain_id)
                    token = session.get_one(Token, self._token_no)
                    swept = believed.list_slice(session, self._token_no, after=after, limit=SLICE)
                    is_last = len(swept) < SLICE
                    sum_now = believed.sum_of_balances(session, self._token_no)
                    facts = facts_of(session, cursor, self._token_no, swept)
                    facts["total"] = sum_now if is_last else None
                    claimed = claim_of(session, cursor, token, **facts)
                try:
                    outcome = prove(self._calls, claimed)
                    break
                except RpcRefused:
                    # The block may have left the chain; whoever syncs then moves the cursor.
                    if attempt == ATTEMPTS:
                        raise
            found += [item for item in outcome.differences if item not in found]
            total += len(swept)
            supply, number = outcome.supply, claimed.block_number
            if is_last:
                return Proven(number, total, supply, found)
            after = swept[-1]
            self._say(f"{total} holders proven")

    def first_bad_block(self, differences: Collection[Difference]) -> int | None:
        """Return the first block that is projected wrongly; None where all agrees.

        Parameters
        ----------
        differences
            What a proof of today has found.
        """
        with self._database.reading() as session:
            found = [
                soundness.first_unsound_block(session, self._token_no),
                soundness.first_stray_balance(session, self._token_no),
            ]
        # Claims are told by other contracts than the token's (`chain.proving.contract_repair`).
        differences = [item for item in differences if not is_of_claims(item)]
        named = {bytes_of(item["holder"]) for item in differences if "holder" in item}
        if named and all(item["what"] in {"balance", "frozen"} for item in differences):
            found.append(self._since_when(sorted(named)[:SUSPECTS]))
        elif differences:
            found.append(self.first_wrong_log())
        return min((number for number in found if number is not None), default=None)

    def _since_when(self, holders: list[bytes]) -> int | None:
        """Follow holders back to the first block at which the chain says otherwise."""
        with self._database.reading() as session:
            low = session.get_one(Token, self._token_no).block_number
            high = session.get_one(SyncCursor, self._client.chain_id).number
        try:
            while low < high:
                middle = (low + high) // 2
                self._say(f"comparing block {middle}")
                low, high = (low, middle) if self._differ(holders, middle) else (middle + 1, high)
        except RpcRefused as refused:
            self._say(f"the node keeps no state of old blocks ({refused.message}); reading logs")
            return self.first_wrong_log()
        return low

    def _differ(self, holders: list[bytes], number: int) -> bool:
        block = self._client.block(number)
        if block is None:
            return True
        with self._database.reading() as session:
            token = session.get_one(Token, self._token_no)
            ours = [entries.holding_at(session, token, holder, number) for holder in holders]
        functions = contract("Token").functions
        calls = [
            (token.address, functions[name].encode(hex_of(holder)))
            for holder in holders
            for name in ("balanceOf", "getFrozenTokens")
        ]
        answers = [
            int.from_bytes(answer or b"", "big") for answer in self._calls.ask(calls, block.hash)
        ]
        return answers != [amount for held in ours for amount in held]

    def wrong_events(self, number: int) -> list[Wrong[_Said]]:
        """Give the events of one block that are kept otherwise than the chain logs them."""
        with self._database.reading() as session:
            token = session.get_one(Token, self._token_no)
        return wrong_events(
            self._client,
            number,
            kept=lambda first, last: self._kept(token, first, last),
            told=self._told,
        )

    def first_wrong_log(self) -> int | None:
        """Read every log of the token again; return the first block of which the events differ."""
        with self._database.reading() as session:
            token = session.get_one(Token, self._token_no)
            end = session.get_one(SyncCursor, self._client.chain_id).number
        return first_wrong_block(
            self._client,
            range(token.block_number, end + 1),
            kept=lambda first, last: self._kept(token, first, last),
            told=self._told,
            on_right=lambda last: self._say(f"logs are right up to block {last} of {end}"),
        )

    def _kept(self, token: Token, first: int, last: int) -> tuple[Watched, set[_Said]]:
        with self._database.reading() as session:
            watched = read_watched(session, self._client.chain_id, only=token, after=first - 1)
            return watched, _stored(session, self._token_no, first, last)

    def _told(self, found: ProjectedRange, kept: AbstractSet[_Said]) -> set[_Said]:
        extras = {(said.block_number, said.log_index): said.extra for said in kept}
        return {
            _Said(
                each.block_number,
                each.log_index,
                int(each.kind),
                each.tx_hash,
                each.source,
                each.target,
                each.units,
                _written(self._as_kept(each, extras.get((each.block_number, each.log_index)))),
            )
            for each in found.everything()
        }

    def _as_kept(self, told: ProjectedEvent, kept: str | None) -> dict[str, Any] | None:
        """Let the country stand that is kept, where the node told what may be another since."""
        if not told.has_newer_country or told.extra is None or kept is None:
            return told.extra
        as_kept = told.extra | {"country": json.loads(kept).get("country")}
        return told.extra if as_kept == told.extra or self._is_unchanged(told) else as_kept

    def _is_unchanged(self, told: ProjectedEvent) -> bool:
        """Tell whether the country of a later block is the one that was registered.

        It is where all is read up to that block, and nothing of it is about the wallet.
        """
        assert told.target is not None
        with self._database.reading() as session:
            token = session.get_one(Token, self._token_no)
            place = token.caught_up_to
            if place is None:
                place = session.get_one(SyncCursor, self._client.chain_id).number
            if place < self._client.block_number() - SETTLED_BLOCKS:
                return False
            after = (told.block_number, told.log_index)
            return not is_registered_otherwise(session, token, told.target, after=after)

    def read_again(self, first_bad: int | None) -> None:
        """Throw away what is known from `first_bad` on; whoever writes reads it again.

        Without one all events stay, and what is made of them is made again; but a token that was
        adopted when its registry alone told who is registered is read as a whole, with its storage.
        """
        chain_id = self._client.chain_id
        suite = self._suite_with_storage()
        with self._database.transaction() as session:
            # Ranges that are on their way know the token as it was: their writer starts anew.
            next_generation(session, chain_id)
            token = session.get_one(Token, self._token_no, with_for_update=True)
            cursor = session.get_one(SyncCursor, chain_id)
            first = cursor.number + 1 if first_bad is None else first_bad
            begins = token.block_number
            if suite is not None:
                first = begins = min(begins, suite.block_number)
            after = max(first, begins) - 1
            if token.caught_up_to is not None:
                # Set apart meanwhile, maybe: what is above its place was never read.
                after = min(after, token.caught_up_to)
            token.refusal = token.refused_at = None
            if cursor.degraded is not None:
                # The proofs that differ go with what they are of.
                doubt(session, token)
            catching_up.begin_again(session, token, after=after)
            if suite is not None:
                # Only now: events of before may have another one to go back to, without a storage.
                token.block_number = begins
                token.identity_registry = suite.identity_registry
                token.identity_storage = suite.identity_storage
                token.compliance = suite.compliance
                session.add(token)

    def _suite_with_storage(self) -> ProjectedToken | None:
        """Look at an adopted token of which no storage is known; None for any other."""
        with self._database.reading() as session:
            token = session.get_one(Token, self._token_no)
            is_foreign = self._token_no in list_foreign(session, token.chain_id)
        if not is_foreign or token.identity_storage is not None:
            return None
        try:
            return examine(self._client, token.address)
        except AdoptionRefused as refusal:
            self._say(f"it is read as it was adopted: {refusal}")
            return None


def _stored(session: Session, token_no: int, first: int, last: int) -> set[_Said]:
    events = session.exec(
        select(TokenEvent).where(
            col(TokenEvent.token_no) == token_no,
            col(TokenEvent.block_number).between(first, last),
        )
    ).all()
    numbers = {number for event in events for number in (event.source, event.target) if number}
    rows = session.exec(select(Holder).where(col(Holder.holder_no).in_(numbers))).all()
    names = {row.holder_no: row.address for row in rows}
    return {
        _Said(
            event.block_number,
            event.log_index,
            event.kind,
            event.tx_hash,
            names.get(event.source),
            names.get(event.target),
            None if event.units is None else int(event.units),
            _written(event.extra),
        )
        for event in events
    }


def _written(extra: dict[str, Any] | None) -> str | None:
    return json.dumps(extra, sort_keys=True) if extra else None
