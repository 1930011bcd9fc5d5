"""A token on the published suite, with our modules and our agent, and people to hold it."""

import itertools
from dataclasses import dataclass, field
from typing import Any

from brownie import ZERO_ADDRESS, accounts, web3
from brownie.exceptions import decode_typed_error
from claims import DAY, KYC_TOPIC, claim_data, signed_claim
from eth_abi import encode
from eth_utils import keccak
from published import deploy_published, published_at

PAKISTAN, EMIRATES, BRITAIN = 586, 784, 826
MANAGEMENT = ECDSA_SCHEME = 1
CASE = keccak(text="case 1")
ROOT_A, ROOT_B = keccak(text="root A"), keccak(text="root B")
CLEAR, NOTICE, NO_MINT, HALT = range(4)
TREX_VERSION = (4, 1, 6)
IMPLEMENTATIONS = (
    "Token",
    "ClaimTopicsRegistry",
    "IdentityRegistry",
    "IdentityRegistryStorage",
    "TrustedIssuersRegistry",
    "ModularCompliance",
)


def key_of(address):
    """The form in which an ONCHAINID knows a key."""
    return keccak(encode(["address"], [str(address)]))


def error(name, *values):
    """The text that brownie gives for a custom error, or for one that a module would give."""
    return f"{name}: {', '.join(_shown(value) for value in values)}"


def _shown(value):
    if isinstance(value, bytes):
        return str(value)
    address = str(getattr(value, "address", value))
    return address.lower() if address.startswith("0x") else address


_wallets = itertools.count(1)


def new_wallet():
    """An account that was never used; it pays nothing, as gas costs nothing here."""
    return accounts.add(f"0x{0xA11CE << 128 | next(_wallets):064x}")


@dataclass
class Platform:
    """What all tokens share."""

    owner: Any
    issuer: Any
    key: Any
    id_factory: Any
    factory: Any
    salts: Any = field(default_factory=itertools.count)

    @classmethod
    def deploy(cls, owner, issuer, key):
        parts = [deploy_published(name, owner) for name in IMPLEMENTATIONS]
        identity = deploy_published("Identity", owner, owner.address, True)
        authority = deploy_published("ImplementationAuthority", owner, identity.address)
        id_factory = deploy_published("IdFactory", owner, authority.address)
        trex = deploy_published(
            "TREXImplementationAuthority", owner, True, ZERO_ADDRESS, ZERO_ADDRESS
        )
        trex.addAndUseTREXVersion(TREX_VERSION, [part.address for part in parts], {"from": owner})
        factory = deploy_published("TREXFactory", owner, trex.address, id_factory.address)
        id_factory.addTokenFactory(factory, {"from": owner})
        return cls(owner, issuer, key, id_factory, factory)

    def identity(self, wallet):
        """Make an identity that the platform manages, with a claim of our issuer."""
        salt = f"person {next(self.salts)}"
        self.id_factory.createIdentityWithManagementKeys(
            wallet, salt, [key_of(self.owner)], {"from": self.owner}
        )
        identity = published_at("Identity", self.id_factory.getIdentity(wallet))
        self.verify(identity)
        return identity

    def verify(self, identity):
        now = web3.eth.get_block("latest").timestamp
        claim = signed_claim(
            self.issuer, self.key, identity.address, claim_data(now, now + 3650 * DAY)
        )
        identity.addClaim(
            KYC_TOPIC,
            ECDSA_SCHEME,
            self.issuer,
            claim.signature,
            claim.data,
            "",
            {"from": self.owner},
        )

    def suite(self, agent, modules=(), storage=ZERO_ADDRESS):
        """Deploy a token whose only agent is `agent`; it is not opened yet."""
        salt = f"token {next(self.salts)}"
        owner = self.owner.address
        details = (
            owner, "Plot 7", "PLOT7", 0, str(storage), ZERO_ADDRESS,
            [owner], [str(agent)], [module.address for module in modules], [],
        )  # fmt: skip
        claims = ([KYC_TOPIC], [self.issuer.address], [[KYC_TOPIC]])
        sent = self.factory.deployTREXSuite(salt, details, claims, {"from": self.owner})
        said = sent.events["TREXSuiteDeployed"]
        return Suite(
            platform=self,
            agent=agent,
            token=published_at("Token", said["_token"]),
            registry=published_at("IdentityRegistry", said["_ir"]),
            storage=said["_irs"],
            compliance=published_at("ModularCompliance", said["_mc"]),
        )


@dataclass
class Suite:
    """One token."""

    platform: Platform
    agent: Any
    token: Any
    registry: Any
    storage: str
    compliance: Any
    numbers: Any = field(default_factory=itertools.count)

    @property
    def owner(self):
        return self.platform.owner

    def set(self, function, *arguments):
        """Call a setter of a bound module, as the compliance's owner does."""
        data = function.encode_input(*arguments)
        return self.compliance.callModuleFunction(data, function._address, {"from": self.owner})

    def add(self, module):
        return self.compliance.addModule(module, {"from": self.owner})

    def remove(self, module):
        return self.compliance.removeModule(module, {"from": self.owner})

    def person(self, country=PAKISTAN):
        """Return the wallet of a new verified investor."""
        wallet = new_wallet()
        self.register(wallet, self.platform.identity(wallet), country)
        return wallet

    def register(self, wallet, identity, country=PAKISTAN):
        self.registry.registerIdentity(wallet, identity, country, {"from": self.owner})

    def identity(self, wallet):
        return published_at("Identity", self.registry.identity(wallet))

    def second_wallet(self, wallet):
        """Return one more wallet of the same person."""
        other = new_wallet()
        self.register(other, self.registry.identity(wallet))
        return other

    def mint(self, to, units):
        return self.agent.mint(self.token, to, units, {"from": self.owner})

    def open(self):
        self.agent.unpause(self.token, {"from": self.owner})

    def send(self, wallet, to, units):
        return self.token.transfer(to, units, {"from": wallet})

    def number(self):
        return next(self.numbers)

    def force(self, wallet, to, units):
        return self.agent.forcedTransfer(
            CASE, self.number(), self.token, wallet, to, units, {"from": self.owner}
        )

    def burn(self, wallet, units):
        return self.agent.burn(CASE, self.number(), self.token, wallet, units, {"from": self.owner})

    def recover(self, lost, new, identity=None):
        identity = identity or self.registry.identity(lost)
        return self.agent.recover(
            CASE, self.number(), self.token, lost, new, identity, {"from": self.owner}
        )

    def why(self, module, wallet, to, units):
        """Return why `module` would refuse, or None; checks that its answer is the same."""
        asked = (wallet or ZERO_ADDRESS, to, units, self.compliance)
        reason = bytes(module.refusal(*asked))
        assert module.moduleCheck(*asked) == (not reason)
        return decode_typed_error("0x" + reason.hex()) if reason else None

    def may(self, wallet, to, units):
        return self.compliance.canTransfer(wallet or ZERO_ADDRESS, to, units)
