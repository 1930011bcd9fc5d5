"""How each thing that may happen is made to happen."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tests.chaos.faulty_rpc import Order
from tests.chaos.model.chain import Chain
from tests.chaos.model.lies import Kind, Lie
from tests.chaos.proxy_postgres import Cut
from tests.chaos.proxy_postgres import Order as Break
from tests.chaos.rpc_faults import OF_BATCHES, Rpc
from tests.chaos.sync.faults import Seen
from tests.chaos.sync.run import Run
from tests.chaos.sync.schedule import UNTIL_CAUGHT_UP, Do, Step

AWAY_SECONDS = 0.05
"""How long a node or a database lets nobody in."""
BACK_SECONDS = 0.04
"""How long a branch is the chain that loses again."""

CANCEL_SECONDS = 0.1
"""How long every statement is cancelled that is caught."""
PATIENCE_SECONDS = 1.5
"""How long a step waits for a sync that some fault may hold up."""

Does = Callable[[Run, Step], None]
_DOES: dict[Do, Does] = {}


def does(do: Do) -> Callable[[Does], Does]:
    def keep(function: Does) -> Does:
        _DOES[do] = function
        return function

    return keep


def take(run: Run, step: Step) -> None:
    """Keep what is to be seen, let one thing happen, and wait as long as its step says."""
    run.remember()
    _DOES[step.do](run, step)
    if step.pause == UNTIL_CAUGHT_UP:
        run.await_head(PATIENCE_SECONDS)
    else:
        time.sleep(step.pause)


# -- the chain and its node ----------------------------------------------------------------------


@does(Do.MINE)
def _mine(run: Run, step: Step) -> None:
    run.mine(step.amount)


@does(Do.REORG)
def _reorg(run: Run, step: Step) -> None:
    is_heard_of = run.reorganize(step, run.people())
    run.note(Seen.WHILE_DOWN, is_heard_of and not run.is_followed)


@does(Do.REORG_AND_BACK)
def _reorg_and_back(run: Run, step: Step) -> None:
    with run.chain.lock:
        before = list(run.chain.canonical)
        run.reorganize(step, run.people())
    time.sleep(BACK_SECONDS)
    with run.chain.lock:
        # Another reorg may have lain in wait for a call that came meanwhile, and gone deeper.
        together = zip(before, run.chain.canonical, strict=False)
        shared = sum(1 for old, new in together if old.hash == new.hash)
        lost = run.node.liar.lost = run.chain.take_away(len(run.chain.canonical) - shared)
        run.chain.put_back(before[shared:])
        run.note(Seen.BACK, run.has_heard_of(lost))


@does(Do.AMBUSH_REORG)
def _ambush_reorg(run: Run, step: Step) -> None:
    people = run.people()
    run.ambush(step, lambda: run.reorganize(step, people))


@does(Do.AMBUSH_MINE)
def _ambush_mine(run: Run, step: Step) -> None:
    people = run.people()
    run.ambush(step, lambda: run.mine(step.amount, people))


@does(Do.AMBUSH_KILL)
def _ambush_kill(run: Run, step: Step) -> None:
    run.ambush(step, lambda: run.signal_all(signal.SIGKILL))


@does(Do.AMBUSH_TERM)
def _ambush_term(run: Run, step: Step) -> None:
    run.ambush(step, lambda: run.signal_all(signal.SIGTERM))


@does(Do.TERM_IN_REORG)
def _term_in_reorg(run: Run, step: Step) -> None:
    people = run.people()
    with run.chain.lock:
        run.reorganize(step, people)

        def end() -> None:
            run.note(Seen.ENDED_IN_REORG, run.signal_all(signal.SIGTERM))

        run.ambush(step, end)


@does(Do.GARBLE)
def _garble(run: Run, step: Step) -> None:
    with run.chain.lock:
        run.chain.mine(run.people().garble(run.chain.head.state))


@does(Do.LIE)
def _lie(run: Run, step: Step) -> None:
    with run.chain.lock:
        run.node.liar.order(Lie(Kind(step.kind), step.skip, step.times))


@does(Do.WAY)
def _way(run: Run, step: Step) -> None:
    kind = Rpc(step.kind)
    order = Order(kind, step.method or None, step.skip, step.times, batch_only=kind in OF_BATCHES)
    run.arena.server.order(order)


@does(Do.NODE_AWAY)
def _node_away(run: Run, step: Step) -> None:
    run.arena.server.is_away = True
    time.sleep(AWAY_SECONDS)
    run.arena.server.is_away = False


@does(Do.OTHER_CHAIN)
def _other_chain(run: Run, step: Step) -> None:
    foreign = Chain(-run.schedule.seed)
    for acts in run.people().found():
        foreign.mine(acts)
    run.node.foreign = foreign
    time.sleep(AWAY_SECONDS)
    run.node.foreign = None


@does(Do.RESTART)
def _restart(run: Run, step: Step) -> None:
    with run.chain.lock:
        run.node.liar.lost = run.chain.restart()
        for acts in run.people().found():
            run.chain.mine(acts)
        run.mine(step.amount)


@does(Do.BEHIND)
def _behind(run: Run, step: Step) -> None:
    run.node.behind = step.amount


# -- the database --------------------------------------------------------------------------------


@does(Do.CUT)
def _cut(run: Run, step: Step) -> None:
    run.arena.proxy.order(Break(Cut(step.kind), step.skip))


@does(Do.CUT_ALL)
def _cut_all(run: Run, step: Step) -> None:
    run.arena.proxy.cut_all()


@does(Do.DATABASE_AWAY)
def _database_away(run: Run, step: Step) -> None:
    run.arena.proxy.is_away = True
    run.arena.proxy.cut_all()
    time.sleep(AWAY_SECONDS)
    run.arena.proxy.is_away = False


@does(Do.SQLSTATE)
def _sqlstate(run: Run, step: Step) -> None:
    run.heal()
    run.break_table(step.method, step.kind)


@does(Do.CANCEL)
def _cancel(run: Run, step: Step) -> None:
    deadline = time.monotonic() + CANCEL_SECONDS
    while time.monotonic() < deadline:
        run.note(Seen.CANCELLED, run.cancel_statements())


@does(Do.LONG_READER)
def _long_reader(run: Run, step: Step) -> None:
    run.hold_snapshot()


@does(Do.BACKUP)
def _backup(run: Run, step: Step) -> None:
    run.save()


@does(Do.RESTORE)
def _restore(run: Run, step: Step) -> None:
    run.restore()


# -- the processes -------------------------------------------------------------------------------


@does(Do.KILL)
def _kill(run: Run, step: Step) -> None:
    run.end_all(signal.SIGKILL)
    run.start()


@does(Do.TERM)
def _term(run: Run, step: Step) -> None:
    run.end_all(signal.SIGTERM)
    run.start()


@does(Do.CLOCK)
def _clock(run: Run, step: Step) -> None:
    run.end_all(signal.SIGTERM)
    run.clock_seconds = step.amount
    run.start()


@does(Do.ARMED)
def _armed(run: Run, step: Step) -> None:
    run.end_all(signal.SIGKILL)
    run.start(f"{step.kind}:kill:{step.times}")


@does(Do.SECOND)
def _second(run: Run, step: Step) -> None:
    run.note(Seen.SECOND, run.has_living)
    run.start()


@does(Do.FREEZE)
def _freeze(run: Run, step: Step) -> None:
    run.freeze()


@does(Do.THAW)
def _thaw(run: Run, step: Step) -> None:
    run.thaw()


@does(Do.DOWN)
def _down(run: Run, step: Step) -> None:
    run.end_all(signal.SIGTERM)


@does(Do.UP)
def _up(run: Run, step: Step) -> None:
    run.keep_alive()


@does(Do.REPAIR)
def _repair(run: Run, step: Step) -> None:
    run.heal()
