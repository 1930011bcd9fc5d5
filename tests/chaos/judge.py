"""Whether everything that was ordered happened, and happened once."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.clients import key_of, title_root
from tests.chaos.facts import Books, Chain, Row
from tests.chaos.schedule import Asked, Bad, Schedule
from tests.chaos.stage import ACCOUNTS, Sale
from tests.sales import FRACTIONS

FAILED = {"refused", "reverted", "replaced", "dropped"}
EXPECTED = {
    Bad.FROZEN: {"call_would_revert"},
    Bad.KYC_ENDED: {"kyc_not_passed", "dependency_failed"},
}


@dataclass(slots=True)
class Verdict:
    """What differs.

    Parameters
    ----------
    lost
        Instructions that did not happen, did not end, or whose key is jammed.
    doubled
        What happened more than once, or what nobody ordered.
    """

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.lost and not self.doubled


class Judge:
    """Looks at one schedule after everything is quiet.

    Parameters
    ----------
    node_url, database_url
        The node and the database themselves, not what stands before them.
    floor
        The last block before the schedule began.
    """

    def __init__(
        self, node_url: str, database_url: str, sale: Sale, schedule: Schedule, *, floor: int
    ) -> None:
        self._books = Books(database_url, sale.tokenization_id)
        self._chain = Chain(node_url)
        self._sale = sale
        self._schedule = schedule
        self._floor = floor
        self._verdict = Verdict()

    def judge(self, foreign: set[str]) -> Verdict:
        """Look at everything.

        Parameters
        ----------
        foreign
            Hashes of what somebody else has sent with our keys.
        """
        for operation in self._books.operations.values():
            self._judge_end(operation)
        self._judge_orders()
        self._judge_transactions(foreign)
        self._judge_supply()
        self._judge_nonces()
        self._judge_title()
        return self._verdict

    # -- each operation ----------------------------------------------------------------------

    def _judge_end(self, operation: Row) -> None:
        state = operation["state"]
        if state == "final":
            if operation["subject_kind"] == "order":
                settled = self._books.orders[operation["subject_id"]]
                if settled != "SETTLED":
                    self._lose(operation, f"is final, and its order is {settled}")
        elif state not in FAILED:
            waits = (operation["waits_for"] or {}).get("detail", "nothing that it could say")
            self._lose(operation, f"is {state} and waits for {waits}")
        elif "#" not in operation["key"] and not self._may_fail(operation):
            self._lose(operation, f"ended as {state}: {operation['problem']}")

    def _may_fail(self, operation: Row) -> bool:
        if operation["kind"] == "batch":
            # Its rows went on without it; each is looked at by itself.
            return operation["state"] in {"reverted", "replaced", "dropped"}
        buyer = self._buyer_of(operation)
        if buyer is None:
            return False
        if operation["kind"] == "mint" and buyer in self._schedule.may_fail():
            return True
        bad = self._schedule.bad.get(buyer)
        return bad is not None and (operation["problem"] or {}).get("code") in EXPECTED[bad]

    def _buyer_of(self, operation: Row) -> int | None:
        wallet = self._books.wallets.get(str(operation["params"].get("wallet_id")))
        for number, buyer in enumerate(self._sale.buyers):
            if "0x" + buyer.wallet.hex() == wallet:
                return number
        return None

    # -- what was ordered --------------------------------------------------------------------

    def _judge_orders(self) -> None:
        """Look for everything that was ordered, under its key."""
        planned = {row["key"] for row in self._books.operations.values()}
        requests = [each for _, each in self._schedule.requests if each.asked != Asked.CLOSE]
        self._verdict.lost += [
            f"{each} was never planned" for each in map(key_of, requests) if each not in planned
        ]
        mints = self._books.mints()
        ordered = sum(int(row["params"]["units"]) for row in mints)
        buyers = sorted(number for number in map(self._buyer_of, mints) if number is not None)
        if ordered != FRACTIONS or buyers != list(self._schedule.paid):
            self._verdict.lost.append(f"{ordered} units are planned, for the buyers {buyers}")
        self._verdict.doubled += [
            f"mint {row['key']}: went through, though {self._schedule.bad[buyer]}"
            for row in mints
            if (buyer := self._buyer_of(row)) in self._schedule.bad and row["state"] == "final"
        ]

    # -- the chain ---------------------------------------------------------------------------

    def _judge_transactions(self, foreign: set[str]) -> None:
        """Hold what our keys have sent against what the database says of each operation."""
        ours = {account.address.lower() for account in ACCOUNTS}
        outcomes: dict[Any, list[bool]] = defaultdict(list)
        for sent in self._chain.sent_by(ours, self._floor + 1):
            owner = self._books.owners.get(sent.tx_hash)
            if owner is not None and not sent.is_empty:
                outcomes[owner].append(sent.succeeded)
            elif owner is None and not sent.is_empty and sent.tx_hash not in foreign:
                # An empty call may have closed a gap of nonces: it does nothing.
                self._verdict.doubled.append(f"nobody knows of transaction {sent.tx_hash}")
        for owner, found in outcomes.items():
            operation = self._books.operations[owner]
            wanted = {"final": [True], "reverted": [False]}.get(operation["state"], [])
            if found != wanted:
                self._verdict.doubled.append(
                    f"{_name(operation)}: is {operation['state']}, and on chain it came to {found}"
                )
        attempts: dict[Any, list[str]] = defaultdict(list)
        for tx_hash, owner in self._books.owners.items():
            attempts[owner].append(tx_hash)
        for owner, hashes in attempts.items():
            operation = self._books.operations[owner]
            if operation["state"] == "final" and not any(map(self._chain.holds, hashes)):
                self._lose(operation, "is final, and no block holds it")

    def _judge_supply(self) -> None:
        """Add up what was minted: by wallet, and against what was ordered."""
        ordered: Counter[str] = Counter()
        refused = 0
        for row in self._books.mints():
            if row["state"] == "final":
                ordered[self._books.wallets[row["params"]["wallet_id"]]] += _units(row)
            else:
                refused += _units(row)
        minted = self._chain.minted(self._books.suite["token"])
        for wallet in ordered.keys() | minted.keys():
            told = f"{wallet} got {minted[wallet]} units, {ordered[wallet]} are final"
            if minted[wallet] > ordered[wallet]:
                self._verdict.doubled.append(told)
            elif minted[wallet] < ordered[wallet]:
                self._verdict.lost.append(told)
        supply = self._chain.supply(self._books.suite["token"])
        if supply != sum(minted.values()):
            self._verdict.doubled.append(f"supply {supply}, minted {sum(minted.values())}")
        if supply + refused != FRACTIONS:
            self._verdict.lost.append(f"{supply} units minted, {refused} refused, of {FRACTIONS}")

    def _judge_nonces(self) -> None:
        for account in ACCOUNTS:
            latest, pending = (
                self._chain.nonce(account.address, tag) for tag in ("latest", "pending")
            )
            told = self._books.next_nonces.get(account.address.lower(), latest)
            if not latest == pending == told:
                self._verdict.lost.append(
                    f"{account.address}: next nonce {told}, latest {latest}, pending {pending}"
                )
        if any(self._chain.pool().values()):
            self._verdict.lost.append(f"the pool is not empty: {self._chain.pool()}")

    def _judge_title(self) -> None:
        """Order matters here: the token feels what it was told last."""
        told = [each.number for _, each in self._schedule.requests if each.asked == Asked.TITLE]
        if told:
            root = title_root(self._schedule.seed, max(told)).hex()
            title = self._chain.title(self._books.title_module, self._books.suite["compliance"])
            if root not in title:
                self._verdict.lost.append(f"the token's title is {title}, not {root}")

    def _lose(self, operation: Row, what: str) -> None:
        self._verdict.lost.append(f"{_name(operation)}: {what}")


def _name(operation: Row) -> str:
    return f"{operation['kind']} {operation['key']}"


def _units(mint: Row) -> int:
    return int(mint["params"]["units"])
