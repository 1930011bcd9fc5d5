"""What a key signs: asked of the bytes themselves, in the transaction that signs them.

It does not rely on the effects: it finds contract and function by address and selector, and reads
the minted units from the call. A transaction's value is zero by its type.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from eth_abi.abi import decode
from sqlalchemy import Numeric, and_, cast, func, or_, text
from sqlmodel import Session, col, select

from chain.contracts.abi import contract
from chain.contracts.platform import STEPS
from chain.errors import MustWait, PolicyRefused
from chain.node.client import hex_of
from chain.operations import EFFECTS
from chain.operations.effect import Call, Chain
from chain.sending import batches
from chain.signing.policies import MINTS, RolePolicy, SignerRole
from chain.signing.port import Signer
from registry.kernel.clock import now
from registry.operation.errors import operation_problem
from registry.operation.models import (
    FAILED,
    Operation,
    OperationAttempt,
    OperationKind,
    PlatformContract,
)
from registry.tokenization import service as tokenizations

DAY = timedelta(hours=24)
OF_A_SUITE = "SuiteToken"
"""The token of any suite that the platform deployed."""

PUBLISHED_AS = {OF_A_SUITE: "Token"}


def require_allowed(
    session: Session,
    chain: Chain,
    signer: Signer,
    operation: Operation,
    call: Call,
    *,
    is_first: bool,
) -> None:
    """Make sure that the policy lets this key sign this call, today.

    Parameters
    ----------
    is_first
        It is signed for the first time: only then it counts against the limits of a day.

    Raises
    ------
    PolicyRefused
        ``signer_role_forbidden``, ``signer_contract_forbidden``, ``signer_method_forbidden``, or
        ``signer_limit_exceeded``: more than a day's limit by itself.
    MustWait
        ``signer_limit_reached``: the last 24 hours used the limit up.
    """
    if (call.to, call.data) == (signer.address, b""):
        return  # the empty call that makes sure that another one of ours never happens
    role = EFFECTS[batches.kind_of(operation)].role
    if role not in chain.roles(signer):
        raise PolicyRefused(
            operation_problem(
                "signer_role_forbidden",
                f"{hex_of(signer.address)} is no key of the role {role}.",
                remedy="See SIGNER_AGENTS and the other settings of keys.",
            )
        )
    policy = chain.policy.of(role)
    units = _require_call(session, chain, role, policy, call)
    if is_first:
        _require_limits(session, chain, role, policy, units)


def _require_call(
    session: Session, chain: Chain, role: SignerRole, policy: RolePolicy, call: Call
) -> int:
    """Refuse another contract or function than the role's, and give the units that it mints."""
    if call.to is None:
        known = any(
            call.data.startswith(contract(step.name).bytecode) for step in STEPS if not step.calls
        )
        if not (policy.creates and known):
            raise _forbidden(role, "the creation of this contract")
        return 0
    name = _name_of(session, chain, call.to)
    if name is None or name not in policy.calls:
        raise _forbidden(role, f"calls of {name or hex_of(call.to)}")
    functions = contract(PUBLISHED_AS.get(name, name)).functions
    for function in functions.values():
        if function.selector == call.data[:4] and function.name in policy.calls[name]:
            if name == "CaseAgent" and function.name in MINTS:
                amounts = decode(list(function.inputs), call.data[4:])[2]
                return int(amounts) if function.name == "mint" else sum(amounts)
            return 0
    raise PolicyRefused(
        operation_problem(
            "signer_method_forbidden",
            f"Keys of the role {role} do not sign 0x{call.data[:4].hex()} of {name}.",
            remedy="Allow it in SIGNER_POLICY, if it is meant.",
        )
    )


def _name_of(session: Session, chain: Chain, address: bytes) -> str | None:
    """Give what a policy calls the contract at an address; None where it is none of ours."""
    name = session.exec(
        select(PlatformContract.name).where(
            col(PlatformContract.chain_id) == chain.chain_id,
            col(PlatformContract.address) == address,
        )
    ).first()
    if name is None and tokenizations.find_by_address(session, address) is not None:
        return OF_A_SUITE
    return name


def _forbidden(role: SignerRole, what: str) -> PolicyRefused:
    return PolicyRefused(
        operation_problem(
            "signer_contract_forbidden",
            f"Keys of the role {role} do not sign {what}.",
            remedy="Allow it in SIGNER_POLICY, if it is meant.",
        )
    )


def _require_limits(
    session: Session, chain: Chain, role: SignerRole, policy: RolePolicy, units: int
) -> None:
    """Ask the limits of a day of all keys of the role together."""
    if policy.transactions_per_day is None and policy.units_per_day is None:
        return
    # Two workers with two keys of one pool count one after the other.
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('signer_limit:' || :role))"), {"role": role}
    )
    wanted: dict[str, tuple[int, int | None, Callable[[], int]]] = {
        "transactions": (
            1,
            policy.transactions_per_day,
            lambda: _transactions(session, chain, role),
        ),
        "units": (units, policy.units_per_day, lambda: _units(session)),
    }
    for what, (more, limit, used) in wanted.items():
        if limit is None or not more:
            continue
        if more > limit:
            raise PolicyRefused(
                operation_problem(
                    "signer_limit_exceeded",
                    f"{more} {what} at once; keys of the role {role} sign {limit} a day.",
                    remedy="Raise the limit in SIGNER_POLICY, if it is meant.",
                )
            )
        if used() + more > limit:
            raise MustWait(
                operation_problem(
                    "signer_limit_reached",
                    f"Keys of the role {role} sign {limit} {what} in 24 hours, and have.",
                    remedy="It goes on by itself; or raise the limit in SIGNER_POLICY.",
                )
            )


def _transactions(session: Session, chain: Chain, role: SignerRole) -> int:
    """Count what keys of a role have signed in the last 24 hours; a raised fee counts no more."""
    kinds = [kind for kind, effect in EFFECTS.items() if effect.role == role]
    return session.exec(
        select(func.count())
        .select_from(OperationAttempt)
        .join(Operation, col(Operation.id) == col(OperationAttempt.operation_id))
        .where(
            col(OperationAttempt.seq) == 1,
            col(OperationAttempt.signed_at) > now() - DAY,
            col(Operation.signer).in_([key.address for key in chain.keys(role)]),
            or_(
                and_(
                    col(Operation.kind) == OperationKind.BATCH,
                    col(Operation.params)["kind"].astext.in_(kinds),
                ),
                and_(col(Operation.kind) != OperationKind.BATCH, col(Operation.kind).in_(kinds)),
            ),
        )
    ).one()


def _units(session: Session) -> int:
    """Add up what was signed to be minted in the last 24 hours, and has not failed."""
    units = cast(col(Operation.params)["units"].astext, Numeric(78, 0))
    found = session.exec(
        select(func.coalesce(func.sum(units), 0))
        .join(
            OperationAttempt,
            col(OperationAttempt.operation_id)
            == func.coalesce(col(Operation.batch_id), col(Operation.id)),
        )
        .where(
            col(Operation.kind) == OperationKind.MINT,
            col(Operation.state).not_in(FAILED),
            col(OperationAttempt.seq) == 1,
            col(OperationAttempt.signed_at) > now() - DAY,
        )
    ).one()
    return int(found)
