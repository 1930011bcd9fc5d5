"""Two ways from a person to a verified holder, behind the same published token core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.crypto import keccak

from bench.gas_node import CHAIN_ID, PLATFORM, GasNode
from chain.contracts.abi import contract
from chain.contracts.platform import STEPS, ZERO_ADDRESS, Places
from chain.node.client import hex_of
from chain.operations.add_claim import CLAIM_FIELDS, claims_typed_data
from registry.investor.service import KYC_TOPIC

CLAIM_KEY = Account.create()
CLAIM_PURPOSE = 3
ECDSA = 1
PAKISTAN = 586
SUPPLY = 10**6
LIFETIME_S = 365 * 86_400
EVIDENCE = keccak(text="evidence")

MODULES: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("TitleStatusModule", "", ()),
    ("SupplyCapModule", "declareSupply", (SUPPLY,)),
    ("CountryAllowModule", "allowCountries", ([PAKISTAN],)),
    ("MaxBalanceModule", "setMaxBalance", (SUPPLY,)),
    ("TransferWindowModule", "setDates", (1, 0)),
)
"""Step of the platform, and what each token sets, with its arguments."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One token and the registry of its holders."""

    token: str
    registry: str


def deploy_platform(node: GasNode) -> Places:
    """Carry the platform's own steps out, one after the other."""
    places = Places({}, PLATFORM, CLAIM_KEY.address, PLATFORM)
    for step in STEPS:
        target = places[step.calls[0]] if step.calls else None
        created = node.send(PLATFORM, target, step.data(places)).contract_address
        if created is not None:
            places.contracts[step.name] = hex_of(created)
    return places


def deploy_suite(
    node: GasNode,
    at: Places,
    name: str,
    *,
    issuer: str,
    agent: str,
    modules: Sequence[str],
) -> Suite:
    """Deploy a token that asks for a KYC claim of `issuer`, and open it.

    Parameters
    ----------
    agent
        Registers holders.
    modules
        Addresses, in the order of `MODULES`.
    """
    settings = [
        contract(module).functions[setter].encode(*values) if setter else b""
        for module, setter, values in MODULES[: len(modules)]
    ]
    # A setting belongs to the module at its own place, so those that need none come last.
    paired = sorted(zip(modules, settings, strict=True), key=lambda pair: not pair[1])
    details = (
        *(PLATFORM, name, name, 0, ZERO_ADDRESS, ZERO_ADDRESS, [agent], [PLATFORM]),
        [module for module, _ in paired],
        [setting for _, setting in paired if setting],
    )
    claims = ([KYC_TOPIC], [issuer], [[KYC_TOPIC]])
    node.do("TREXFactory", at["TREXFactory"], "deployTREXSuite", name, details, claims)
    token = node.ask("TREXFactory", at["TREXFactory"], "getToken", name)
    node.do("Token", token, "unpause")
    return Suite(token, node.ask("Token", token, "identityRegistry"))


class Published:
    """The published way: an ONCHAINID, and a claim that it holds with its signature."""

    def __init__(self, node: GasNode, at: Places, name: str, modules: Sequence[str] = ()) -> None:
        self._node, self._at = node, at
        self._issuer = node.create("PublishedClaimIssuer", PLATFORM)
        key = keccak(encode(["address"], [CLAIM_KEY.address]))
        node.do("PublishedClaimIssuer", self._issuer, "addKey", key, CLAIM_PURPOSE, ECDSA)
        self.suite = deploy_suite(
            node, at, name, issuer=self._issuer, agent=PLATFORM, modules=modules
        )

    def enrol(self, wallets: Sequence[str]) -> int:
        """Take people from nothing to registered, and return what all of them cost."""
        return sum(self._enrol(wallet) for wallet in wallets)

    def _enrol(self, wallet: str) -> int:
        manager = keccak(encode(["address"], [PLATFORM]))
        create = "createIdentityWithManagementKeys"
        factory = self._at["IdFactory"]
        created = self._node.do("IdFactory", factory, create, wallet, wallet, [manager])
        identity = self._node.ask("IdFactory", factory, "getIdentity", wallet)
        data = encode(["uint64", "uint64", "bytes32"], [0, LIFETIME_S, EVIDENCE])
        signed = CLAIM_KEY.sign_message(
            encode_defunct(
                keccak(encode(["address", "uint256", "bytes"], [identity, KYC_TOPIC, data]))
            )
        )
        claim = (KYC_TOPIC, ECDSA, self._issuer, bytes(signed.signature), data, "")
        added = self._node.do("Identity", identity, "addClaim", *claim)
        register = ("registerIdentity", wallet, identity, PAKISTAN)
        registered = self._node.do("IdentityRegistry", self.suite.registry, *register)
        return sum(receipt.gas_used for receipt in (created, added, registered))


class Ours:
    """Our way: a clone, whose claim stands in the store."""

    def __init__(self, node: GasNode, at: Places, name: str, modules: Sequence[str] = ()) -> None:
        self._node, self._at = node, at
        desk = at["RegistrationDesk"]
        self.suite = deploy_suite(
            node, at, name, issuer=at["ClaimIssuer"], agent=desk, modules=modules
        )

    def enrol_alone(self, wallet: str) -> int:
        """Take a person from nothing to registered in one transaction for each step."""
        salt = keccak(text=wallet)
        opened = self._node.do("IdentityFactory", self._at["IdentityFactory"], "open", salt, wallet)
        claims, signature = self._sign([salt])
        issuer = self._at["ClaimIssuer"]
        issued = self._node.do("ClaimIssuer", issuer, "issue", claims, signature)
        register = ("register", self.suite.registry, [wallet], [PAKISTAN])
        registered = self._node.do("RegistrationDesk", self._at["RegistrationDesk"], *register)
        return sum(receipt.gas_used for receipt in (opened, issued, registered))

    def enrol(self, wallets: Sequence[str]) -> int:
        """Take people from nothing to registered together, and return what all of them cost."""
        salts = [keccak(text=wallet) for wallet in wallets]
        people = [(salt, wallet, PAKISTAN) for salt, wallet in zip(salts, wallets, strict=True)]
        enrolment = ("enrol", self.suite.registry, people, *self._sign(salts))
        desk = self._at["RegistrationDesk"]
        return self._node.do("RegistrationDesk", desk, *enrolment).gas_used

    def _sign(self, salts: Sequence[bytes]) -> tuple[list[tuple[Any, ...]], bytes]:
        factory, now = self._at["IdentityFactory"], self._node.client.head().timestamp
        claims = [
            {
                "identity": self._node.ask("IdentityFactory", factory, "identityOf", salt),
                "topic": KYC_TOPIC,
                "issuedAt": now,
                "expiresAt": now + LIFETIME_S,
                "evidenceHash": EVIDENCE,
            }
            for salt in salts
        ]
        typed_data = claims_typed_data(CHAIN_ID, self._at["ClaimIssuer"], claims)
        signature = CLAIM_KEY.sign_typed_data(full_message=typed_data).signature
        values = [tuple(claim[name] for name in CLAIM_FIELDS) for claim in claims]
        return values, bytes(signature)
