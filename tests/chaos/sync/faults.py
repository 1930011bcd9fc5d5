"""The faults of `chain-sync.md` section 5, numbers 1 to 29, and what plays each of them here.

What is counted counts what really happened: a reorg takes blocks of which the sync had heard, an
ambush springs, a statement is cancelled while it runs. A whole run fails where one was never met.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tests.chaos.model.acts import What
from tests.chaos.model.lies import Kind
from tests.chaos.model.node import Met
from tests.chaos.proxy_postgres import Cut
from tests.chaos.rpc_faults import OF_ANYTHING, OF_BATCHES, Rpc
from tests.chaos.sync.schedule import AMBUSHED, FAILPOINTS, Do

WHOLE = 300
"""So many schedules are a whole run: in it, every fault is to be met."""


class Seen(StrEnum):
    """What is counted beside what the node, the way to it and the proxy count themselves."""

    LONGER = "reorg, longer"
    EQUAL = "reorg, as long"
    SHORTER = "reorg, shorter"
    BACK = "reorg, back to the branch before"
    MOVED = "transaction in another place after a reorg"
    GONE = "transaction gone after a reorg"
    WHILE_DOWN = "reorg while nobody syncs"
    BELOW_FINAL = "reorg below the final block, with its alarm"
    RESET = "chain reset, with its alarm"
    SAME_TIME = "block of the same second"
    BACKWARDS = "block before the time of the one before"
    REFUSED = "token refused for what it logs"
    APART = "token read apart"
    ALARM = "difference found by a proof"
    DOUBTED = "token doubted, and read again"
    UNSEEN = "logs left out that change nothing now, found by comparing them"
    KILLED = "kill -9"
    ENDED = "SIGTERM"
    ENDED_IN_REORG = "SIGTERM during a reorg"
    SECOND = "second sync beside one that lives"
    FROZEN = "sync stopped"
    RELIEVED = "stopped writer relieved"
    FENCED = "former writer fenced out"
    CLOCK = "sync of another clock"
    CONFIRMED = "COMMIT without an answer had happened"
    RESTORED = "backup restored that is behind"
    CANCELLED = "statement cancelled"
    LONG_READER = "snapshot held while the cursor moved"
    TOLD_AGAIN = "table told as it was known"


SAID = {
    "event='writer_silent'": Seen.RELIEVED,
    "another program has taken the chain over": Seen.FENCED,
    "event='commit_confirmed'": Seen.CONFIRMED,
    "event='token_refused'": Seen.REFUSED,
    "event='token_set_apart'": Seen.APART,
    "event='token_doubted'": Seen.DOUBTED,
    "event='cap_table_differs'": Seen.ALARM,
    "reason='blocks above": Seen.BELOW_FINAL,
    "reason='the chain was reset": Seen.RESET,
}
"""What a sync says of what it met, in a line of its log."""


def did(what: What) -> str:
    """Name what somebody did on the chain."""
    return f"chain: {what}"


def reverted(what: What) -> str:
    """Name what somebody tried in vain."""
    return f"chain: {what}, reverted"


def after_call(do: Do, method: str) -> str:
    """Name what lay in wait for a call."""
    return f"{do} {method}"


def failing(state: str) -> str:
    """Name what the database says when a write fails."""
    return f"{Do.SQLSTATE} {state}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One number of the list.

    Parameters
    ----------
    met
        What is counted of it; each is to be met in a whole run.
    elsewhere
        Tests that show what is not played here, as `path::name`.
    unplayed
        What of it nothing plays, and why.
    """

    number: int
    what: str
    met: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    unplayed: str = ""


def _after(do: Do) -> tuple[str, ...]:
    return tuple(after_call(do, method) for method in AMBUSHED)


FAULTS = (
    Fault(
        1,
        "reorg of any depth; longer, equal, shorter; other logs; transactions elsewhere, or gone",
        (Seen.LONGER, Seen.EQUAL, Seen.SHORTER, Seen.MOVED, Seen.GONE, Met.NO_BRANCH),
    ),
    Fault(2, "double reorg, back to the original branch", (Seen.BACK,)),
    Fault(
        3,
        "reorg between two calls",
        (*_after(Do.AMBUSH_REORG), *_after(Do.AMBUSH_MINE), Kind.LOST_HEADER, Kind.OTHER_HEADER),
    ),
    Fault(4, "reorg below the final block", (Seen.BELOW_FINAL,)),
    Fault(5, "reorg while the service is down", (Seen.WHILE_DOWN,)),
    Fault(
        6,
        "no logs of a block that has some",
        (
            *(Kind.NO_LOGS, Kind.NO_LOGS_OF_A_BLOCK, Kind.NO_LOGS_OF_AN_ADDRESS),
            *(Kind.DEEP_NOTHING, Kind.DEEP_BLOCK, Kind.DEEP_LOG, Seen.ALARM, Seen.UNSEEN),
        ),
        unplayed="the log by which the factory deploys a token, left out deep below the head: the "
        "sync has nothing that names the token",
    ),
    Fault(
        7,
        "logs of the reorged height missing, or of the branch that lost",
        (Kind.NO_LOGS_AT_THE_END, Kind.OLD_BRANCH, Kind.WRONG_BLOCK, Kind.REMOVED, Kind.ELSEWHERE),
    ),
    Fault(8, "wrong transaction hash in a log", (Kind.WRONG_TX, Met.HIDDEN)),
    Fault(9, "log index twice, or out of order", (Kind.TWICE, Kind.BACKWARDS, Kind.GIBBERISH)),
    Fault(10, "two nodes at different heights", (Met.LATE,)),
    Fault(
        11,
        "limits, 429, 5xx, timeouts, half JSON, HTML; batches partly failed, reordered, ids mixed",
        (*OF_ANYTHING, *OF_BATCHES, Rpc.MIXED_IDS, Rpc.AWAY, Met.TOO_WIDE, Met.TOO_MANY),
    ),
    Fault(
        12,
        "null for a known block, transaction or receipt",
        (Kind.NO_HEADER, Kind.NO_TRANSACTION, Kind.NO_RECEIPTS, Kind.NO_RECEIPT, Met.PRUNED),
    ),
    Fault(13, "another chain id, or a chain that was reset", (Met.FOREIGN, Seen.RESET)),
    Fault(14, "tag of finality unsupported, or stuck", (Met.NO_TAG, Met.STUCK_TAG)),
    Fault(
        15,
        "numbers and times beyond uint64; odd and non-standard events; batch with one revert",
        (
            *(Kind.FAR_FUTURE, Kind.FAR_NUMBER, Kind.FAR_BLOCK, Kind.FAR_INDEX),
            *(did(what) for what in What if what not in {What.REPLACE, What.RULES}),
            *(reverted(what) for what in (What.BATCH, What.FREEZE, What.TRANSFER, What.MINT)),
            *(Seen.REFUSED, Seen.DOUBTED),
        ),
    ),
    Fault(
        16,
        "token upgraded, registry or compliance replaced",
        (did(What.REPLACE), did(What.RULES), did(What.RENAME), Seen.APART),
        (
            "tests/chain/test_replaced_suites.py::test_replaced__registry_or_storage__wallets_are_those_of_the_new_one",
        ),
        unplayed="a new storage behind the same registry is played there alone",
    ),
    Fault(
        17,
        "times equal or backwards",
        (Seen.SAME_TIME, Seen.BACKWARDS),
        unplayed="as of a time that some later block is before: nothing says which block is meant",
    ),
    Fault(18, "connection lost at any statement", (Cut.STATEMENT, Cut.ALL, Cut.AWAY)),
    Fault(
        19,
        "COMMIT sent, its answer lost, with both outcomes",
        (Cut.COMMIT_UNSENT, Cut.COMMIT_UNANSWERED, Seen.CONFIRMED),
    ),
    Fault(20, "serialization failure, deadlock", (failing("40001"), failing("40P01"))),
    Fault(
        21,
        "disk full, statement timeout",
        (failing("53100"), failing("57014"), Seen.CANCELLED),
    ),
    Fault(22, "failover to a replica that lost commits", (failing("25006"), Seen.RESTORED)),
    Fault(23, "restore from a backup", (Seen.RESTORED,)),
    Fault(
        24,
        "two writers, a leader that was stopped, clocks that jump",
        (Seen.SECOND, Seen.FROZEN, Seen.RELIEVED, Seen.FENCED, Seen.CLOCK),
    ),
    Fault(
        25,
        "long reader during a reorg",
        (Seen.LONG_READER,),
        unplayed="vacuum is left to autovacuum",
    ),
    Fault(
        26,
        "kill -9 anywhere",
        (*FAILPOINTS, *_after(Do.AMBUSH_KILL), Seen.KILLED),
    ),
    Fault(27, "out of memory within COPY", ("sync_mid_copy", failing("53200"))),
    Fault(
        28,
        "SIGTERM, also during a reorg",
        (*_after(Do.AMBUSH_TERM), Seen.ENDED, Seen.ENDED_IN_REORG),
    ),
    Fault(
        29,
        "rolling deploy with two versions",
        unplayed="there is one version of the program here; `Seen.SECOND` plays two of the same",
    ),
)

REQUIRED = tuple(dict.fromkeys(name for fault in FAULTS for name in fault.met))
"""What a whole run must have met."""
