"""What the platform's own contracts told, of all tokens together: claims, settlements, anchors."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from registry.kernel.columns import bigint, binary, document


class FollowedContract(SQLModel, table=True):
    """A contract of the platform whose events are projected.

    Parameters
    ----------
    name
        By which its ABI is known.
    block_number
        Of its creation: its first events are in that block.
    caught_up_to
        The block to which it is projected while it is caught up beside its chain; None where it
        is projected together with its chain.
    read_from
        The first block that was read; later than its creation where the node had forgotten it.
    """

    __tablename__ = "followed_contract"

    chain_id: int = bigint(primary_key=True)
    address: bytes = binary(primary_key=True)
    name: str
    block_number: int = bigint()
    caught_up_to: int | None = bigint(default=None)
    read_from: int = bigint()


class ContractEvent(SQLModel, table=True):
    """One log of such a contract; what stands is told by folding them (`captable.claims`).

    Parameters
    ----------
    subject
        The identity that a claim is about, the party whose number is cancelled; None where the
        event is about nobody in particular.
    said
        The arguments of the event, by name; numbers as text, addresses and hashes in hex.
    """

    __tablename__ = "contract_event"
    __table_args__ = (
        Index(
            "ix_contract_event_subject",
            "chain_id",
            "subject",
            "block_number",
            "log_index",
            postgresql_where=text("subject IS NOT NULL"),
        ),
        # Who may claim, by which keys: few, among as many claims as there are people.
        Index(
            "ix_contract_event_general",
            "chain_id",
            "address",
            "block_number",
            "log_index",
            postgresql_where=text("subject IS NULL"),
        ),
        # By its digest a trade is found again, whoever sent it.
        Index(
            "ix_contract_event_settled",
            text("(said ->> 'digest')"),
            postgresql_where=text("event = 'Settled'"),
        ),
    )

    chain_id: int = bigint(primary_key=True)
    block_number: int = bigint(primary_key=True)
    log_index: int = Field(primary_key=True)
    address: bytes = binary()
    event: str
    tx_hash: bytes = binary()
    subject: bytes | None = binary(nullable=True, default=None)
    said: dict[str, Any] = document()
