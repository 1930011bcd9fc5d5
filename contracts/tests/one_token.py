"""One token of the published core, without its factory: as few contracts as it takes."""

from dataclasses import dataclass
from typing import Any

from brownie import ZERO_ADDRESS
from claims import KYC_TOPIC
from published import deploy_published

PAKISTAN = 586


@dataclass
class OneToken:
    """A token that wants a KYC claim of one issuer, and the registry of its holders."""

    owner: Any
    token: Any
    registry: Any
    storage: Any
    issuers: Any

    @classmethod
    def deploy(cls, owner, issuer, *registrars, storage=None):
        """Deploy it, open it, and let `registrars` register; `storage` may be another token's."""
        last = {"from": owner}
        token, registry, topics, issuers, compliance = (
            deploy_published(name, owner)
            for name in (
                "Token",
                "IdentityRegistry",
                "ClaimTopicsRegistry",
                "TrustedIssuersRegistry",
                "ModularCompliance",
            )
        )
        for contract in (topics, issuers, compliance):
            contract.init(last)
        if storage is None:
            storage = deploy_published("IdentityRegistryStorage", owner)
            storage.init(last)
        registry.init(issuers, topics, storage, last)
        topics.addClaimTopic(KYC_TOPIC, last)
        issuers.addTrustedIssuer(issuer, [KYC_TOPIC], last)
        storage.bindIdentityRegistry(registry, last)
        token.init(registry, compliance, "Plot 7", "PLOT7", 0, ZERO_ADDRESS, last)
        for agent in (token, *registrars):
            registry.addAgent(agent, last)
        token.addAgent(owner, last)
        token.unpause(last)
        return cls(owner, token, registry, storage, issuers)

    def mint(self, wallet, units):
        return self.token.mint(wallet, units, {"from": self.owner})

    def balance(self, wallet):
        return self.token.balanceOf(wallet)
