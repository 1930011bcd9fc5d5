"""People of our own factory, who hold a token of the published suite."""

from dataclasses import dataclass
from typing import Any

from brownie import web3
from claims import DAY, IssuedClaim, signed_batch
from eth_utils import keccak
from suite import PAKISTAN, Suite, new_wallet


@dataclass
class OwnPeople:
    """Opens identities at our factory, and registers their wallets."""

    suite: Suite
    factory: Any
    operator: Any

    def person(self, country=PAKISTAN):
        """Return the first wallet of a new verified investor."""
        wallet = new_wallet()
        self.factory.open(salt_of(wallet), wallet, {"from": self.operator})
        self.verify(self.identity(wallet))
        self.suite.register(wallet, self.identity(wallet), country)
        return wallet

    def verify(self, identity):
        platform, now = self.suite.platform, web3.eth.get_block("latest").timestamp
        claim = IssuedClaim(identity, now, now + 3650 * DAY)
        batch = signed_batch(platform.issuer, platform.key, claim)
        platform.issuer.issue(*batch, {"from": platform.owner})

    def identity(self, first):
        return self.factory.identityOf(salt_of(first))

    def link(self, first, wallet):
        """Link one more wallet to the person with that first one, and register it nowhere."""
        self.factory.open(salt_of(first), wallet, {"from": self.operator})
        return wallet

    def second_wallet(self, first):
        """Return one more wallet of the same person, linked and registered."""
        wallet = self.link(first, new_wallet())
        self.suite.register(wallet, self.identity(first))
        return wallet


def salt_of(first):
    """What stands for the person whose first wallet that is."""
    return keccak(text=f"person with {first}")
