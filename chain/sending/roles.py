"""What the platform's contracts must be told about keys beside the deployer's.

Each grant is a step of the platform's deployment like any other: carried out once, resumed after
a crash. A key sends nothing in a role before all of its grants are on chain.
"""

from __future__ import annotations

from sqlmodel import Session, col, select

from chain.contracts.grants import GRANTS, Grant
from chain.contracts.platform import step_key
from chain.node.client import hex_of
from chain.operations.effect import Chain
from chain.signing.policies import SignerRole
from chain.signing.port import Signer
from registry.kernel.actor import THE_SYSTEM
from registry.operation import service as operations
from registry.operation.models import ON_CHAIN, Operation, OperationKind


def plan_grants(session: Session, chain: Chain) -> None:
    """Plan every grant that is not planned yet; the deployer's key was given all at creation."""
    for role, signer, grant in _grants(chain):
        created = operations.find_by_key(session, step_key(chain.chain_id, grant.contract))
        assert created is not None, "the platform is planned first"
        operations.plan(
            session,
            THE_SYSTEM,
            OperationKind.PLATFORM_STEP,
            key=step_key(chain.chain_id, grant.step(signer.address)),
            subject=("platform", chain.chain_id),
            params={
                "step": grant.step(signer.address),
                "role": role,
                "contract": grant.contract,
                "account": hex_of(signer.address),
            },
            after=[created],
        )


def is_granted(session: Session, chain: Chain, role: SignerRole, signer: Signer) -> bool:
    """Tell whether the contracts know a key in a role, as far as we have seen mined."""
    keys = [
        step_key(chain.chain_id, grant.step(signer.address))
        for each, key, grant in _grants(chain)
        if each == role and key.address == signer.address
    ]
    if not keys:
        return True
    states = session.exec(select(Operation.state).where(col(Operation.key).in_(keys))).all()
    return len(states) == len(keys) and all(state in ON_CHAIN for state in states)


def _grants(chain: Chain) -> list[tuple[SignerRole, Signer, Grant]]:
    return [
        (role, signer, grant)
        for role, grants in GRANTS.items()
        for signer in chain.keys(role)
        if signer.address != chain.platform.address
        for grant in grants
    ]
