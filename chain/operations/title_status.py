"""What the title lets a token do, carried to its TitleStatusModule.

Halting takes one key and one transaction. A halt ends only when the second key confirms what the
first one proposed.
"""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.node.client import bytes_of
from chain.operations.effect import Call, Chain, PlainEffect
from chain.signing.policies import SignerRole
from registry.operation.models import Operation
from registry.tokenization import service as tokenizations
from registry.tokenization import title_status
from registry.tokenization.title_status import TitleStatus

MODULE = "TitleStatusModule"


class SetTitleStatus(PlainEffect):
    """Calls `TitleStatusModule.setStatus`; the same once more changes nothing."""

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        return _call(session, chain, operation, "setStatus", _status(operation), _root(operation))


class ProposeLift(PlainEffect):
    """Calls `TitleStatusModule.proposeLift`."""

    def check(self, session: Session, operation: Operation) -> None:
        """Refuse to end a halt that the register wants again by now."""
        title_status.require_liftable(session, _tokenization_id(operation))

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        halted = bytes.fromhex(operation.params["halted_root"])
        values = (halted, _status(operation), _root(operation))
        return _call(session, chain, operation, "proposeLift", *values)


class ConfirmLift(ProposeLift):
    """Calls `TitleStatusModule.confirmLift`, with the second key."""

    role = SignerRole.CONFIRMER

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        halted = bytes.fromhex(operation.params["halted_root"])
        asked = contract(MODULE).functions["liftOf"]
        module = bytes_of(platform_address(session, chain.chain_id, MODULE))
        proposal = chain.client.call(module, asked.encode(_compliance(session, operation)))
        _, nonce, _, _ = asked.decode(proposal)
        values = (halted, nonce, _status(operation), _root(operation))
        return _call(session, chain, operation, "confirmLift", *values)


def _call(
    session: Session, chain: Chain, operation: Operation, function: str, *values: object
) -> Call:
    return Call(
        to=bytes_of(platform_address(session, chain.chain_id, MODULE)),
        data=contract(MODULE).functions[function].encode(_compliance(session, operation), *values),
    )


def _tokenization_id(operation: Operation) -> UUID:
    return UUID(operation.params["tokenization_id"])


def _compliance(session: Session, operation: Operation) -> str:
    suite = tokenizations.get_tokenization(session, _tokenization_id(operation)).suite
    assert suite is not None, "a status is told only after the suite is final"
    compliance: str = suite["compliance"]
    return compliance


def _status(operation: Operation) -> int:
    return list(TitleStatus).index(TitleStatus(operation.params["status"]))


def _root(operation: Operation) -> bytes:
    return bytes.fromhex(operation.params["root"])
