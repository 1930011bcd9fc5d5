"""A token with compliance terms of its own, people who deal in it, and what we say of it."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from eth_utils.crypto import keccak

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.eligibility import CONTRACTS, Explanation, explain_known, platform_places
from chain.node.client import bytes_of, hex_of
from chain.operations.add_claim import CLAIM_FIELDS, claims_typed_data
from chain.operations.deploy_suite import deployment_call
from chain.sync.indexer import Indexer
from registry.captable import service as captable
from registry.compliance.terms import ComplianceTerms
from registry.eligibility.service import Question, gather_of
from registry.investor.service import KYC_TOPIC
from registry.tokenization.models import Tokenization
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import Suite, catch_up
from tests.chain.world import CLAIM_SIGNER, GAS_OF_SUITE, PLATFORM, Hand, World, ask

DAY_S = 86_400
NUMBERS = {"PK": 586, "AE": 784, "US": 840}
_SALTS = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """Somebody with wallets.

    Parameters
    ----------
    countries
        Of each wallet, as registered; None leaves the wallet unregistered.
    claim_days
        How long the KYC claim lasts; None: no claim.
    """

    countries: Sequence[str | None]
    claim_days: int | None = 365


class Floor:
    """One token and its people.

    Parameters
    ----------
    people
        Their wallets are numbered through, in order.
    """

    def __init__(
        self,
        world: World,
        terms: ComplianceTerms | None,
        people: Sequence[Person],
        *,
        declared: int = 100,
    ) -> None:
        self.world, self.terms, self.declared = world, terms, declared
        self._platform = Hand(world.node, PLATFORM)
        with world.database.reading() as session:
            self._places: Mapping[str, bytes] = {
                name: bytes_of(platform_address(session, CHAIN_ID, name))
                for name in (*CONTRACTS, "RegistrationDesk", "IdentityFactory")
            }
            tokenization = Tokenization(
                id=uuid4(),
                asset_id=uuid4(),
                structured_by="the test",
                name="Floor",
                symbol="FLOOR",
                declared_fractions=declared,
                compliance=terms.record() if terms else None,
            )
            owner = hex_of(self._platform.address)
            call = deployment_call(session, CHAIN_ID, tokenization, owner=owner)
        assert call.to is not None
        world.node.mined(self._platform.send(call.to, call.data, gas=GAS_OF_SUITE))
        self.suite = Suite(world, self._platform, str(tokenization.id))
        self.compliance = bytes_of(ask(world.client, "Token", self.suite.token, "compliance"))
        self.wallets: list[bytes] = []
        self.identities: list[bytes] = []
        for person in people:
            self._enrol(person)

    def _enrol(self, person: Person) -> None:
        salt = keccak(text=f"floor {next(_SALTS)}")
        wallets = [secrets.token_bytes(20) for _ in person.countries]
        factory, desk = self._places["IdentityFactory"], self._places["RegistrationDesk"]
        identity = bytes_of(ask(self.world.client, "IdentityFactory", factory, "identityOf", salt))
        openings = [(salt, hex_of(wallet), 0) for wallet in wallets]
        claims = [] if person.claim_days is None else [self._claim(identity, person.claim_days)]
        signature = b""
        values = [tuple(claim[name] for name in CLAIM_FIELDS) for claim in claims]
        if claims:
            issuer = hex_of(self._places["ClaimIssuer"])
            typed_data = claims_typed_data(CHAIN_ID, issuer, claims)
            signature = bytes(CLAIM_SIGNER.sign_typed_data(full_message=typed_data).signature)
        nowhere = hex_of(bytes(20))
        enrolment = (nowhere, openings, values, signature)
        self._platform.call("RegistrationDesk", desk, "enrol", *enrolment)
        known = [
            (wallet, country)
            for wallet, country in zip(wallets, person.countries, strict=True)
            if country is not None
        ]
        if known:
            registration = (
                hex_of(self.suite.registry),
                [hex_of(wallet) for wallet, _ in known],
                [NUMBERS[country] for _, country in known],
            )
            self._platform.call("RegistrationDesk", desk, "register", *registration)
        self.wallets += wallets
        self.identities += [identity] * len(wallets)

    def _claim(self, identity: bytes, days: int) -> dict[str, Any]:
        now = self.now
        return {
            "identity": hex_of(identity),
            "topic": KYC_TOPIC,
            "issuedAt": now,
            "expiresAt": now + days * DAY_S,
            "evidenceHash": secrets.token_bytes(32),
        }

    @property
    def now(self) -> int:
        return self.world.client.head().timestamp

    # -- what happens; whatever a contract refuses does not -----------------------------------

    def mint(self, wallet: int, units: int) -> bool:
        token, to = hex_of(self.suite.token), hex_of(self.wallets[wallet])
        return self._try("CaseAgent", self._places["CaseAgent"], "mint", token, to, units)

    def transfer(self, source: int, target: int, units: int) -> bool:
        sender = self.wallets[source]
        to = hex_of(self.wallets[target])
        return self._try("Token", self.suite.token, "transfer", to, units, sender=sender)

    def force(self, source: int, target: int, units: int) -> bool:
        ends = (hex_of(self.wallets[source]), hex_of(self.wallets[target]))
        return self._as_agent("forcedTransfer", *ends, units)

    def burn(self, wallet: int, units: int) -> bool:
        return self._as_agent("burn", hex_of(self.wallets[wallet]), units)

    def freeze(self, wallet: int, frozen: bool) -> bool:
        return self._as_agent("setAddressFrozen", hex_of(self.wallets[wallet]), frozen)

    def freeze_part(self, wallet: int, units: int) -> bool:
        return self._as_agent("freezePartialTokens", hex_of(self.wallets[wallet]), units)

    def open(self) -> bool:
        token = hex_of(self.suite.token)
        return self._try("CaseAgent", self._places["CaseAgent"], "unpause", token)

    def pause(self) -> bool:
        token = hex_of(self.suite.token)
        return self._try("CaseAgent", self._places["CaseAgent"], "pause", token)

    def set_title(self, status: int) -> bool:
        root = keccak(text=f"root {status}")
        module = self._places["TitleStatusModule"]
        where = hex_of(self.compliance)
        return self._try("TitleStatusModule", module, "setStatus", where, status, root)

    def revoke(self, wallet: int) -> bool:
        issuer, identity = self._places["ClaimIssuer"], hex_of(self.identities[wallet])
        return self._try("ClaimIssuer", issuer, "revoke", identity, KYC_TOPIC)

    def move_to(self, wallet: int, country: str) -> bool:
        desk = self._places["RegistrationDesk"]
        said = (hex_of(self.suite.registry), hex_of(self.wallets[wallet]), NUMBERS[country])
        return self._try("RegistrationDesk", desk, "updateCountry", *said)

    def wait(self, seconds: int) -> bool:
        self.world.node.rpc("evm_increaseTime", seconds)
        self.world.node.mine()
        return True

    def change_module(self, module: str, function: str, *arguments: Any) -> bool:
        """Be an owner who sets a module past the registry."""
        with self.world.database.reading() as session:
            at = platform_address(session, CHAIN_ID, module)
        data = contract(module).functions[function].encode(*arguments)
        return self._try("ModularCompliance", self.compliance, "callModuleFunction", data, at)

    def _as_agent(self, function: str, *arguments: Any) -> bool:
        agent = self._places["CaseAgent"]
        return self._try("Token", self.suite.token, function, *arguments, sender=agent)

    def _try(
        self, name: str, to: bytes, function: str, *arguments: Any, sender: bytes | None = None
    ) -> bool:
        node, source = self.world.node, sender or self._platform.address
        node.rpc("anvil_impersonateAccount", hex_of(source))
        node.fund(source)
        data = contract(name).functions[function].encode(*arguments)
        call = {"from": hex_of(source), "to": hex_of(to), "data": hex_of(data), "gas": "0x1e8480"}
        sent = bytes_of(node.rpc("eth_sendTransaction", call))
        node.rpc("anvil_stopImpersonatingAccount", hex_of(source))
        node.mine()
        receipt = node.client.receipts([sent])[0]
        assert receipt is not None
        return receipt.succeeded

    # -- what we say of it ---------------------------------------------------------------------

    def explain(self, source: int | None, target: int, units: int) -> Explanation:
        """Answer by our rules from the projection, beside the chain at the same block."""
        world = self.world
        catch_up(Indexer(world.database, world.client))
        question = Question(
            tokenization_id=uuid4(),
            receiver=self.wallets[target],
            sender=None if source is None else self.wallets[source],
            units=units,
        )
        with world.database.reading() as session:
            block = captable.block_at(session, CHAIN_ID, None)
            assert block.hash == world.client.head().hash
            token = captable.get_token(session, self.suite.token)
            known = gather_of(
                session, block, token, question, terms=self.terms, declared_units=self.declared
            )
            places = platform_places(session, CHAIN_ID)
        return explain_known(world.client, known, places, units)


def failed(found: Explanation) -> set[str]:
    """Name the rules that fail and that the chain knows of: nobody here has a KYC in a register."""
    return {answer.rule.name for answer in found.answers if not answer.passed} - {"kyc"}
