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

    def copy(self) -> Suite:
        return Suite(
            *(self.token, self.registry, self.storage, self.compliance, self.paused, self.supply),
            *(dict(self.balances), dict(self.frozen), set(self.stopped)),
            *(dict(self.registered), set(self.agents)),
        )

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


def copy_of(state: State) -> State:
    return {token: suite.copy() for token, suite in state.items()}
