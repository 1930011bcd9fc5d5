"""What the contracts of the model hold at one block; a copy for each block that changes any."""

from __future__ import annotations

from dataclasses import dataclass, field

GREATEST = 2**256 - 1
ZERO = bytes(20)


@dataclass(slots=True)
class Suite:
    """One token, and the identity registry beside it."""

    token: bytes
    registry: bytes
    storage: bytes
    compliance: bytes
    paused: bool = True
    supply: int = 0
    balances: dict[bytes, int] = field(default_factory=dict)
    frozen: dict[bytes, int] = field(default_factory=dict)
    stopped: set[bytes] = field(default_factory=set)
    """Addresses that are frozen as a whole."""
    registered: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    """Identity and country of each wallet."""
    agents: set[bytes] = field(default_factory=set)
    elsewhere: dict[bytes, dict[bytes, tuple[bytes, int]]] = field(default_factory=dict)
    """Who is registered in registries that the token has not, but had, or may have."""
    is_new: bool = True
    """Whether the block is not over that deploys it."""

    def copy(self) -> Suite:
        return Suite(
            *(self.token, self.registry, self.storage, self.compliance, self.paused, self.supply),
            *(dict(self.balances), dict(self.frozen), set(self.stopped)),
            *(dict(self.registered), set(self.agents)),
            # Nobody registers anybody there.
            *(dict(self.elsewhere), self.is_new),
        )

    def registered_in(self, registry: bytes) -> dict[bytes, tuple[bytes, int]] | None:
        """Give who is registered in a registry; None where it is none of this suite."""
        return self.registered if registry == self.registry else self.elsewhere.get(registry)

    def holds(self, wallet: bytes) -> int:
        return self.balances.get(wallet, 0)

    def locked(self, wallet: bytes) -> int:
        return self.frozen.get(wallet, 0)

    def free(self, wallet: bytes) -> int:
        return self.holds(wallet) - self.locked(wallet)

    def give(self, wallet: bytes, units: int) -> None:
        self.balances[wallet] = self.holds(wallet) + units

    def lock(self, wallet: bytes, units: int) -> None:
        self.frozen[wallet] = self.locked(wallet) + units


State = dict[bytes, Suite]
"""Every suite, by its token."""


def next_of(state: State) -> State:
    """Give the state with which the next block begins."""
    copies = {token: suite.copy() for token, suite in state.items()}
    for suite in copies.values():
        suite.is_new = False
    return copies
