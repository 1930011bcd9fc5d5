"""The contracts of one token: a T-REX suite from the published factory."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.module_settings import module_settings
from chain.contracts.platform import ZERO_ADDRESS, platform_address
from chain.errors import RpcInconsistent
from chain.node.client import Receipt, bytes_of, hex_of
from chain.operations.effect import Call, Chain, PlainEffect
from registry.investor.service import KYC_TOPIC
from registry.operation.models import Operation
from registry.tokenization import service as tokenizations
from registry.tokenization.compliance import require_sound_terms, terms_of
from registry.tokenization.gate import require_open_gate
from registry.tokenization.models import Tokenization

DECIMALS = 0
"""A fraction is a whole thing; nobody owns half of one."""


class DeploySuite(PlainEffect):
    """Calls `TREXFactory.deployTREXSuite`.

    The factory refuses a salt that it has seen, so even a second instruction for the same
    tokenization could not deploy twice.
    """

    def check(self, session: Session, operation: Operation) -> None:
        """Ask the gate and the lint again: what has changed since then counts."""
        tokenization = _tokenization(session, operation)
        require_open_gate(session, tokenization)
        require_sound_terms(session, tokenization)

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        platform = hex_of(chain.platform.address)
        return deployment_call(
            session, chain.chain_id, _tokenization(session, operation), owner=platform
        )

    def read_result(self, operation: Operation, receipt: Receipt) -> dict[str, Any]:
        deployed = contract("TREXFactory").events["TREXSuiteDeployed"]
        for log in receipt.logs:
            if log.topics[0] == deployed.topic:
                said = deployed.decode(log)
                return {
                    "token": said["_token"],
                    "identity_registry": said["_ir"],
                    "identity_registry_storage": said["_irs"],
                    "trusted_issuers_registry": said["_tir"],
                    "claim_topics_registry": said["_ctr"],
                    "compliance": said["_mc"],
                }
        raise RpcInconsistent("the receipt of deployTREXSuite holds no TREXSuiteDeployed event")

    def on_mined(self, session: Session, chain: Chain, operation: Operation) -> None:
        """Look at what the factory made before anybody relies on it.

        Raises
        ------
        RpcInconsistent
            An address holds no code, or the token is not empty, ours and paused.
        """
        for role, address in operation.result.items():
            if not chain.client.code(bytes_of(address)):
                raise RpcInconsistent(f"the {role} at {address} has no code")
        if _tokenization(session, operation).suite is not None:
            # Mined once more after the chain lost it: what was minted since may be there too.
            return
        token = bytes_of(operation.result["token"])
        functions = contract("Token").functions
        found = tuple(
            functions[name].decode(chain.client.call(token, functions[name].encode()))
            for name in ("totalSupply", "paused", "owner")
        )
        if found != (0, True, hex_of(chain.platform.address)):
            raise RpcInconsistent(f"the new token is not empty, paused and ours: {found}")

    def on_final(self, session: Session, operation: Operation) -> None:
        tokenizations.confirm_deployment(
            session, UUID(operation.params["tokenization_id"]), operation.result
        )

    def on_failed(self, session: Session, operation: Operation) -> None:
        tokenizations.fail_deployment(session, UUID(operation.params["tokenization_id"]))


def _tokenization(session: Session, operation: Operation) -> Tokenization:
    return tokenizations.get_tokenization(session, UUID(operation.params["tokenization_id"]))


def deployment_call(
    session: Session, chain_id: int, tokenization: Tokenization, *, owner: str
) -> Call:
    """Give the call of `TREXFactory.deployTREXSuite` for a tokenization.

    Parameters
    ----------
    owner
        0x-address of the platform, which will own every contract of the suite.
    """

    def at(name: str) -> str:
        return platform_address(session, chain_id, name)

    settings = module_settings(terms_of(tokenization), tokenization.declared_fractions)
    token_details: tuple[Any, ...] = (
        owner,
        tokenization.name,
        tokenization.symbol,
        DECIMALS,
        ZERO_ADDRESS,  # an identity storage of its own
        ZERO_ADDRESS,  # the factory makes the token's ONCHAINID
        [at("RegistrationDesk")],  # registers holders; nobody registers one of their own choice
        [at("CaseAgent")],
        [at(module) for module, _ in settings],
        [setting for _, setting in settings if setting is not None],
    )
    claim_details = ([KYC_TOPIC], [at("ClaimIssuer")], [[KYC_TOPIC]])
    deploy = contract("TREXFactory").functions["deployTREXSuite"]
    return Call(
        to=bytes_of(at("TREXFactory")),
        data=deploy.encode(str(tokenization.id), token_details, claim_details),
    )
