"""Breaking what a schedule says: one function for each kind of fault."""

from __future__ import annotations

from functools import singledispatch

from tests.chaos import faulty_rpc, proxy_postgres
from tests.chaos.scene import Scene, backup_of
from tests.chaos.schedule import (
    HORIZON,
    BackUp,
    BaseFee,
    Fault,
    ForgetPool,
    Freeze,
    KeyUsed,
    NodeAway,
    OnDatabase,
    OnRpc,
    Overtake,
    Reorg,
    RestartDatabase,
    Restore,
    Starve,
    Stop,
)
from tests.chaos.stage import fund_keys

FEE_BLOCKS = 3
"""A raised base fee falls by an eighth a block (EIP-1559); so often it is raised again."""


@singledispatch
def break_it(fault: Fault, scene: Scene) -> None:
    """Let a fault happen now, or at its moment."""
    raise NotImplementedError(type(fault))


@break_it.register
def _(fault: OnRpc, scene: Scene) -> None:
    scene.rpc.order(
        faulty_rpc.Order(
            fault.kind, fault.method, fault.skip, fault.times, fault.amount, fault.batch_only
        )
    )


@break_it.register
def _(fault: OnDatabase, scene: Scene) -> None:
    scene.postgres.order(proxy_postgres.Order(fault.cut, fault.skip))


@break_it.register
def _(fault: RestartDatabase, scene: Scene) -> None:
    scene.stage.server.restart(crash=fault.crash)


@break_it.register
def _(fault: BackUp, scene: Scene) -> None:
    with scene.nobody_connected():
        scene.stage.server.copy(backup_of(scene.name), scene.name)


@break_it.register
def _(fault: Restore, scene: Scene) -> None:
    scene.crew.kill_all()
    scene.clients.await_answers()
    with scene.nobody_connected():
        scene.stage.server.drop(scene.name)
        scene.stage.server.copy(scene.name, backup_of(scene.name))
    scene.clients.ask_again()


@break_it.register
def _(fault: NodeAway, scene: Scene) -> None:
    def comes_back() -> None:
        scene.rpc.is_away = False

    scene.rpc.is_away = True
    scene.after(fault.blocks, comes_back)


@break_it.register
def _(fault: Reorg, scene: Scene) -> None:
    scene.network.reorganize(fault.depth, fault.mined, fault.moved)


@break_it.register
def _(fault: BaseFee, scene: Scene) -> None:
    for blocks in range(0, fault.blocks, FEE_BLOCKS):
        scene.after(blocks, scene.network.raise_base_fee)


@break_it.register
def _(fault: ForgetPool, scene: Scene) -> None:
    scene.network.forget_pool(only_first=fault.only_first)


@break_it.register
def _(fault: Starve, scene: Scene) -> None:
    scene.network.starve(fault.account)
    scene.after(fault.blocks, lambda: fund_keys(scene.node))


@break_it.register
def _(fault: Stop, scene: Scene) -> None:
    scene.crew.stop_one(fault.worker, gently=fault.gently)


@break_it.register
def _(fault: KeyUsed, scene: Scene) -> None:
    scene.network.use_key(fault.account, instead=fault.instead)


@break_it.register
def _(fault: Freeze, scene: Scene) -> None:
    scene.freeze(fault.buyer)


@break_it.register
def _(fault: Overtake, scene: Scene) -> None:
    if scene.block > HORIZON // 2:
        return
    if not scene.is_mint_waiting(fault.buyer):
        scene.after(1, lambda: break_it(fault, scene))
        return
    scene.freeze(fault.buyer, first=True)

    def is_free_again() -> None:
        scene.freeze(fault.buyer, frozen=False)
        scene.person.mint_again()

    scene.after(fault.blocks, is_free_again)
