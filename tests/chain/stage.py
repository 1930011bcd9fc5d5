"""A chain on disk and a database to copy: built once, then opened for every test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chain.operations.effect import Chain
from chain.signing.keystore import KeystoreSigner
from chain.signing.policies import FeePolicy
from tests.chain.nodes import Node
from tests.chain.world import Databases, World

PATIENT = FeePolicy(stuck_blocks=10_000)
"""Blocks of tests come faster than anybody would raise a fee; `test_fees` has its own policy."""

Signers = tuple[KeystoreSigner, KeystoreSigner, KeystoreSigner]


def fund(node: Node, signers: Signers) -> None:
    """Give money to the keys that send: the platform's and the confirmer's."""
    for signer in (signers[0], signers[2]):
        node.fund(signer.address)


@dataclass(frozen=True)
class Stage:
    """A chain on disk and a database to copy, from which worlds are opened."""

    databases: Databases
    signers: Signers
    template: str
    state: Path | None = None

    @contextlib.contextmanager
    def open(self, directory: Path) -> Iterator[World]:
        copied = self.databases.copied(self.template)
        with copied as database, Node(directory, state=self.state) as node:
            fund(node, self.signers)
            yield World(node, database, Chain(node.client, *self.signers, fees=PATIENT))

    def after(
        self, directory: Path, build: Callable[[World], object], *, history: bool = False
    ) -> Stage:
        """Build on top of this stage, once."""
        database = self.databases.copy(self.template)
        with Node(directory, state=self.state) as node:
            fund(node, self.signers)
            build(World(node, database, Chain(node.client, *self.signers, fees=PATIENT)))
            state = node.dump(directory / "state.json", history=history)
        return Stage(self.databases, self.signers, self.databases.as_template(database), state)
