"""Who does what to the tokens: random acts, most of which succeed."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.chaos.model.acts import TOKENS, WALLETS, Act, What
from tests.chaos.model.chain import Block
from tests.chaos.model.state import GREATEST, State, Suite

USUAL = {
    What.TRANSFER: 30,
    What.MINT: 10,
    What.BATCH: 6,
    What.FREEZE: 6,
    What.UNFREEZE: 4,
    What.FORCE: 5,
    What.FORCE_ROGUE: 4,
    What.SPEND: 5,
    What.BURN: 5,
    What.REGISTER: 6,
    What.UNREGISTER: 2,
    What.COUNTRY: 3,
    What.IDENTITY: 2,
    What.STOP: 2,
    What.START: 2,
    What.PAUSE: 1,
    What.UNPAUSE: 3,
    What.RECOVER: 3,
    What.ADMIT: 2,
    What.DISMISS: 1,
    What.MINT_ALL: 1,
    What.PREPARE: 1,
    What.REPLACE: 1,
    What.RULES: 1,
    What.RENAME: 1,
    What.NOISE: 5,
    What.DEPLOY: 2,
}
OF_HOLDERS = {
    *(What.TRANSFER, What.BATCH, What.SPEND, What.FORCE, What.FORCE_ROGUE, What.BURN),
    *(What.FREEZE, What.UNFREEZE, What.RECOVER),
}


class Crowd:
    """Makes acts, each with a number of its own.

    Parameters
    ----------
    first
        Number of its first act; two crowds of one chain must not meet.
    """

    def __init__(self, seed: str, first: int) -> None:
        self.dice = random.Random(seed)
        self._number = first

    def found(self) -> list[list[Act]]:
        """Deploy a token, register people and give them units, in a few blocks."""
        token = TOKENS[0]
        people = [self._act(What.REGISTER, token, wallet) for wallet in WALLETS[:6]]
        mints = [self._act(What.MINT, token, wallet, units=10_000) for wallet in WALLETS[:4]]
        first = [self._act(What.DEPLOY, token)]
        if self.dice.random() < 0.5:
            # All in the block that deploys it.
            return [[*first, *people, *mints, self._act(What.UNPAUSE, token)]]
        return [first, people, [*mints, self._act(What.UNPAUSE, token)]]

    def block(self, state: State) -> list[Act]:
        """Give the transactions of one block; many blocks are empty."""
        count = self.dice.choice((0, 0, 1, 1, 2, 3, 6))
        return [self.act(state) for _ in range(count)]

    def act(self, state: State) -> Act:
        what = self.dice.choices(list(USUAL), list(USUAL.values()))[0]
        if what == What.DEPLOY or not state:
            return self._act(What.DEPLOY, self.dice.choice(TOKENS))
        suite = self.dice.choice(list(state.values()))
        one = self._one(what, suite)
        two = self._other(what, suite)
        return self._act(what, suite.token, one, two, units=self._units(what, suite, one))

    def garble(self, state: State) -> list[Act]:
        """Have a token log what it cannot, and see to it that there is another one."""
        token = self.dice.choice(list(state) or list(TOKENS))
        other = self.dice.choice([each for each in TOKENS if each != token])
        acts = [self._act(What.DEPLOY, other)]
        acts += [self._act(What.REGISTER, other, wallet) for wallet in WALLETS[:2]]
        acts += [self._act(What.MINT, other, wallet, units=500) for wallet in WALLETS[:2]]
        return [*acts, self._act(What.GARBLE, token, units=self.dice.randrange(10**6))]

    def again(self, lost: Sequence[Block], count: int, state: State) -> list[list[Act]]:
        """Give the blocks of another branch: some of what was lost, elsewhere, and new things."""
        kept = [each.act for block in lost for each in block.mined if self.dice.random() < 0.5]
        if self.dice.random() < 0.3:
            self.dice.shuffle(kept)
        blocks: list[list[Act]] = [[] for _ in range(count)]
        for act in kept:
            if blocks:
                self.dice.choice(blocks).append(act)
        return [block + self.block(state) for block in blocks]

    def _act(
        self,
        what: What,
        token: bytes,
        one: bytes = WALLETS[0],
        two: bytes = WALLETS[1],
        *,
        units: int = 0,
    ) -> Act:
        self._number += 1
        if what == What.REGISTER and not units:
            units = self.dice.randrange(10**6)
        return Act(self._number, what, token, one, two, units)

    def _one(self, what: What, suite: Suite) -> bytes:
        holders = [wallet for wallet, units in suite.balances.items() if units]
        if what in OF_HOLDERS and holders:
            return self.dice.choice(holders)
        known = list(suite.registered)
        if what != What.REGISTER and known:
            return self.dice.choice(known)
        return self.dice.choice(WALLETS)

    def _other(self, what: What, suite: Suite) -> bytes:
        known = list(suite.registered)
        if what != What.RECOVER and known and self.dice.random() < 0.9:
            return self.dice.choice(known)
        return self.dice.choice(WALLETS)

    def _units(self, what: What, suite: Suite, one: bytes) -> int:
        if what in {What.REGISTER, What.COUNTRY, What.PREPARE, What.REPLACE}:
            return self.dice.randrange(10**6)
        if what == What.MINT:
            return self.dice.choice((0, 1, 500, 10_000, 10**18))
        has = min(suite.holds(one), GREATEST)
        return self.dice.choice((0, 1, min(7, has), has // 3, has, min(50, has)))
