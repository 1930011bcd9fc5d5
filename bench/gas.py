"""`make bench-gas`: gas of a new investor, a mint and a transfer, ours beside the published suite.

Both suites stand on one node, deployed from the same published core, and differ in who the
holders are. `stock` has ONCHAINID identities with signed claims, and **no compliance modules**: the
published ones forbid commercial use, so they are not even loaded here. Ours has our identities, and
carries five modules of ours in the mint and in the transfer; `.bare` is ours without modules. So
those with modules are also held against

- `stock_same_modules`: the published suite with the same five modules of ours;
- `stock_three_modules_recorded`: what the published suite with three of its own modules was once
  measured to take (allowed countries, maximal balance, supply limit).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from bench.figures import print_figure
from bench.gas_node import GasNode, gas_node
from bench.gas_suites import MODULES, Ours, Published, Suite, deploy_platform

BATCH = 40
UNITS = 100
RECORDED_MINT = 180_000
RECORDED_TRANSFER = 322_000
_NUMBERS = count(1)


def main() -> None:
    with gas_node() as node:
        at = deploy_platform(node)
        modules = [at[name] for name, _, _ in MODULES]
        stock, same = Published(node, at, "STOCK"), Published(node, at, "SAME", modules)
        ours, bare = Ours(node, at, "OURS", modules), Ours(node, at, "BARE")
        people = {way: _wallets(BATCH) for way in (stock, same, ours, bare)}
        enrolled = {way: way.enrol(wallets) / BATCH for way, wallets in people.items()}
        _print("gas.new_investor", enrolled[ours], stock=enrolled[stock])
        _print("gas.new_investor.alone", ours.enrol_alone(*_wallets(1)), stock=enrolled[stock])

        for name, measure, recorded in (
            ("gas.mint_batch_new_holder", _mint, RECORDED_MINT),
            ("gas.transfer", _transfer, RECORDED_TRANSFER),
        ):
            gas = {way: measure(node, way.suite, wallets) for way, wallets in people.items()}
            _print(f"{name}.bare", gas[bare], stock=gas[stock])
            _print(
                name,
                gas[ours],
                stock=gas[stock],
                stock_same_modules=gas[same],
                stock_three_modules_recorded=recorded,
            )


def _print(figure: str, ours: float, **others: float) -> None:
    for against, other in others.items():
        print_figure(figure, ours, "gas", against=against, other=other)


def _mint(node: GasNode, suite: Suite, people: Sequence[str]) -> float:
    """Mint to people who hold nothing, in one transaction; per holder."""
    units = [UNITS] * len(people)
    return node.do("Token", suite.token, "batchMint", people, units).gas_used / len(people)


def _transfer(node: GasNode, suite: Suite, people: Sequence[str]) -> float:
    """Transfer a part from one holder to another."""
    source, target = people[:2]
    node.lend(source)
    moved = node.do("Token", suite.token, "transfer", target, UNITS // 5, sender=source)
    return moved.gas_used


def _wallets(number: int) -> list[str]:
    """Give addresses that nobody has used; as on any chain, they are not full of zeros."""
    return [f"0x{'a5' * 16}{next(_NUMBERS):08x}" for _ in range(number)]


if __name__ == "__main__":
    main()
