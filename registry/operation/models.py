"""Operations: what the registry wants done on chain, and what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from registry.kernel.columns import Record, bigint, binary, document, enumeration, instant, uint256


class OperationKind(StrEnum):
    """What is to be done; `chain.operations` has one file for each."""

    PLATFORM_STEP = "platform_step"
    CREATE_IDENTITY = "create_identity"
    ADD_CLAIM = "add_claim"
    REVOKE_CLAIM = "revoke_claim"
    DEPLOY_SUITE = "deploy_suite"
    REGISTER_IDENTITY = "register_identity"
    MINT = "mint"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SET_TITLE_STATUS = "set_title_status"
    PROPOSE_LIFT = "propose_lift"
    CONFIRM_LIFT = "confirm_lift"
    BATCH = "batch"
    CLOSE_SUITE = "close_suite"
    CASE_ACT = "case_act"
    REDEEM = "redeem"
    RETIRE_WALLET = "retire_wallet"
    SETTLE = "settle"
    ANCHOR_JOURNAL = "anchor_journal"


class OperationState(StrEnum):
    """`planned → signed → broadcast → mined → final`, or one of the exits.

    Of `refused` nothing was sent. `reverted` was mined and undone. `replaced` has lost its nonce to
    a person's empty call, or to a transaction of somebody else. `dropped` had failed before, and a
    reorg took that block back: others had gone on without it, so an empty call took its nonce.
    """

    PLANNED = "planned"
    SIGNED = "signed"
    BROADCAST = "broadcast"
    MINED = "mined"
    FINAL = "final"
    REVERTED = "reverted"
    REPLACED = "replaced"
    DROPPED = "dropped"
    REFUSED = "refused"


IN_FLIGHT = (OperationState.SIGNED, OperationState.BROADCAST, OperationState.MINED)
ON_CHAIN = (OperationState.MINED, OperationState.FINAL)
FAILED = (
    OperationState.REVERTED,
    OperationState.REPLACED,
    OperationState.DROPPED,
    OperationState.REFUSED,
)


class Operation(Record, table=True):
    """One instruction of the registry to the chain, carried out exactly once.

    It owns one (signer, nonce) for life: a retry is a new attempt on the same nonce, so two
    of them can never both succeed (ADR 0004). `key` names the effect ("mint:order:<id>"), so
    that the same effect cannot be planned twice.

    Parameters
    ----------
    batch_id
        The operation whose transaction carries this one too: then that one owns the nonce, and
        this one follows its states (ADR 0027).
    batch_limit
        The most rows of its next batch, once a batch with it has reverted.
    problem
        Why it has failed. On its way again with one, a reorg has taken its block: it does not
        happen any more, only its nonce is still to be spent.
    waits_for
        Why it does not go on, in the form of a problem, while it has not failed.
    traceparent
        The place of its planning in a trace (W3C Trace Context), from which workers go on.
    """

    __table_args__ = (
        UniqueConstraint("signer", "nonce", name="uq_operation_signer_nonce"),
        CheckConstraint("(signer IS NULL) = (nonce IS NULL)", name="ck_operation_nonce_owned"),
        Index("ix_operation_planned", "id", postgresql_where=text("state = 'planned'")),
        Index(
            "ix_operation_in_flight",
            "nonce",
            postgresql_where=text("state IN ('signed', 'broadcast', 'mined')"),
        ),
        CheckConstraint("batch_id IS NULL OR nonce IS NULL", name="ck_operation_carried"),
        Index("ix_operation_batch", "batch_id", postgresql_where=text("batch_id IS NOT NULL")),
    )

    kind: OperationKind = enumeration(OperationKind)
    key: str = Field(unique=True)
    state: OperationState = enumeration(OperationState, default=OperationState.PLANNED)
    subject_kind: str
    subject_id: str = Field(index=True)
    requested_by: str
    params: dict[str, Any] = document()
    result: dict[str, Any] = document(default_factory=dict)
    problem: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    waits_for: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True))
    )
    signer: bytes | None = binary(nullable=True, default=None)
    nonce: int | None = bigint(default=None)
    batch_id: UUID | None = Field(default=None, foreign_key="operation.id")
    batch_limit: int | None = None
    traceparent: str | None = None
    ended_at: AwareDatetime | None = instant()

    @property
    def has_failed(self) -> bool:
        """Whether it does not happen: it ended so, or only its nonce is still to be spent."""
        return self.state in FAILED or (self.problem is not None and self.state not in ON_CHAIN)

    @property
    def is_given_up(self) -> bool:
        """Whether its effect is planned anew, or by others, since it failed."""
        return self.key == given_up_key(self)


def given_up_key(failed: Operation) -> str:
    """Give what an operation is called once its own key names another one."""
    suffix = f"#{failed.id}"
    return f"{failed.key.removesuffix(suffix)}{suffix}"


class OperationDependency(SQLModel, table=True):
    """`operation_id` may be sent once `requires_id` is on chain."""

    __tablename__ = "operation_dependency"

    operation_id: UUID = Field(foreign_key="operation.id", primary_key=True)
    requires_id: UUID = Field(foreign_key="operation.id", primary_key=True, index=True)


class OperationAttempt(SQLModel, table=True):
    """One signed transaction of an operation, stored before it is first broadcast.

    Parameters
    ----------
    tip_wei
        None on a chain without EIP-1559, where `max_fee_wei` is the whole price of gas.
    signed_at_block
        The chain's height when it was signed; it is stuck some blocks later.
    """

    __tablename__ = "operation_attempt"
    __table_args__ = (
        UniqueConstraint("operation_id", "seq", name="uq_attempt_seq"),
        Index("ix_operation_attempt_signed_at", "signed_at"),
        Index(
            "ix_operation_attempt_block",
            "block_number",
            postgresql_where=text("block_number IS NOT NULL"),
        ),
    )

    tx_hash: bytes = binary(primary_key=True)
    operation_id: UUID = Field(sa_column=Column(ForeignKey("operation.id"), nullable=False))
    seq: int
    raw: bytes = binary()
    gas: int = bigint()
    max_fee_wei: int = uint256()
    tip_wei: int | None = uint256(nullable=True, default=None)
    signed_at_block: int = bigint()
    signed_at: AwareDatetime = instant(nullable=False)
    last_sent_at: AwareDatetime | None = instant()
    block_number: int | None = bigint(default=None)
    block_hash: bytes | None = binary(nullable=True, default=None)


class ClaimSignature(SQLModel, table=True):
    """The claim key signed the claim of an operation, then for the first time."""

    __tablename__ = "claim_signature"
    __table_args__ = (Index("ix_claim_signature_signed_at", "signed_at"),)

    operation_id: UUID = Field(foreign_key="operation.id", primary_key=True)
    signed_at: AwareDatetime = instant(nullable=False)


class NonceStream(SQLModel, table=True):
    """The next nonce of one signing key. No other counter exists."""

    __tablename__ = "nonce_stream"

    chain_id: int = bigint(primary_key=True)
    signer: bytes = binary(primary_key=True)
    next_nonce: int = bigint()


class SignerWatch(SQLModel, table=True):
    """How one signing key stood when it was last looked at.

    Parameters
    ----------
    operation_cost_wei
        What one further operation of this key would cost at most.
    wanted_operations
        For how many of them the money is to last.
    chain_nonce, next_nonce
        The nonce that the chain wanted next of it, and ours; None before the first of ours.
    resting_until
        Until then other keys of its pool do its work; `reason` says why.
    """

    __tablename__ = "signer_watch"

    chain_id: int = bigint(primary_key=True)
    signer: bytes = binary(primary_key=True)
    roles: str = ""
    balance_wei: int = uint256(default=0)
    operation_cost_wei: int = uint256(default=0)
    wanted_operations: int = bigint(default=0)
    chain_nonce: int | None = bigint(default=None)
    next_nonce: int | None = bigint(default=None)
    watched_at: AwareDatetime = instant(nullable=False)
    resting_until: AwareDatetime | None = instant()
    reason: str | None = None

    @property
    def is_low(self) -> bool:
        return self.balance_wei < self.operation_cost_wei * self.wanted_operations

    @property
    def nonce_gap(self) -> int | None:
        """Nonces given out and not used on chain; below 0, the chain knows more than we do."""
        if self.chain_nonce is None or self.next_nonce is None:
            return None
        return self.next_nonce - self.chain_nonce


class PlatformContract(SQLModel, table=True):
    """Where one contract of the platform itself stands on the chain."""

    __tablename__ = "platform_contract"

    chain_id: int = bigint(primary_key=True)
    name: str = Field(primary_key=True)
    address: bytes = binary()
    block_number: int = bigint()
