"""Shapes that the resources share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, Generic, Literal, Self, TypeVar
from uuid import UUID

from eth_hash.auto import keccak
from eth_utils.address import is_checksum_address, is_hex_address, to_checksum_address
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

from registry.captable.blocks import AsOfBlock
from registry.kernel.money import Money


def _no_control_characters(text: str) -> str:
    if any(not character.isprintable() for character in text):
        raise ValueError("control characters are not allowed")
    return text


ShortText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, strip_whitespace=True),
    AfterValidator(_no_control_characters),
]
LongText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000, strip_whitespace=True),
    AfterValidator(_no_control_characters),
]
_DATE_FIRST = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")


def _written_as_a_time(value: Any) -> Any:
    """Refuse a bare number: 2026 would be read as so many seconds after 1970 began."""
    if not isinstance(value, str) or not _DATE_FIRST.match(value):
        raise ValueError("is not an RFC 3339 time such as 2026-07-28T09:00:00Z")
    return value


_FIRST = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
_LAST = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


def _in_every_calendar(moment: datetime) -> datetime:
    """Refuse a moment that has no date in UTC, or none at the register's seat."""
    if not _FIRST <= moment <= _LAST:
        raise ValueError("is too near to the beginning or the end of the calendar")
    return moment


Instant = Annotated[AwareDatetime, BeforeValidator(_written_as_a_time)]
"""A moment as RFC 3339 writes it, with its offset."""

DatedInstant = Annotated[Instant, AfterValidator(_in_every_calendar)]
"""A moment that has a date at every offset: one that is reckoned with."""

Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Units = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,17})$")]
"""Whole fractions as a string: JSON numbers end at 2^53."""

BigInteger = Annotated[int, PlainSerializer(str, return_type=str)]
"""An integer that may pass 2^53, written as a string."""

ExactFraction = tuple[BigInteger, BigInteger]
"""Numerator and denominator, in lowest terms."""


def exact(value: Fraction) -> ExactFraction:
    return (value.numerator, value.denominator)


HEX_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
"""An address as people type it into a command: the checksum is not asked for."""


def _checksummed(text: str) -> str:
    if not is_checksum_address(text):
        raise ValueError("is not an address with its EIP-55 checksum")
    return text


Address = Annotated[str, AfterValidator(_checksummed)]


def bytes_of_hex(text: str) -> bytes:
    """Read what a pattern of a schema has let through, with 0x or without."""
    return bytes.fromhex(text.removeprefix("0x"))


ADDRESS_BYTES = 20


@lru_cache(maxsize=16_384)
def address_of(raw: bytes) -> str:
    """Write 20 bytes as an EIP-55 address.

    The same ones are written again and again, of tokens, of a person's wallets and of the first
    pages; one that is not among them costs a hash.
    """
    assert len(raw) == ADDRESS_BYTES
    digits = raw.hex()
    digest = keccak(digits.encode()).hex()
    return "0x" + "".join(
        [c.upper() if d > "7" else c for c, d in zip(digits, digest, strict=False)]
    )


def with_checksums(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write those of the values that are addresses as EIP-55."""
    return {
        name: to_checksum_address(value) if is_hex_address(value) else value
        for name, value in values.items()
    }


WithAddresses = Annotated[dict[str, Any], AfterValidator(with_checksums)]
"""Values by name; those that are addresses are written as EIP-55."""


def hash_of(raw: bytes) -> str:
    """Write 32 bytes as people see hashes of a chain."""
    return "0x" + raw.hex()


class Body(BaseModel):
    """What a client sends: closed, so that a misspelt field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class Read(BaseModel):
    """What we answer."""

    model_config = ConfigDict(from_attributes=True)


class OfPerson(Read):
    """Tells of a person: whoever reads it is noted (`api.reading`)."""

    def told_parties(self) -> set[UUID]:
        """Return of whom it tells."""
        party_id = getattr(self, "party_id", None)
        return set() if party_id is None else {party_id}

    def told_investors(self) -> set[UUID]:
        """Return whom it knows by their enrolment only."""
        investor_id = getattr(self, "investor_id", None)
        return set() if investor_id is None else {investor_id}


class MoneyAmount(Body):
    """Money as people write it."""

    amount: Annotated[str, Field(examples=["4200.00"], max_length=24)]
    currency: Literal["PKR"] = "PKR"

    @classmethod
    def of(cls, paisa: int) -> Self:
        return cls(amount=str(Money(paisa)))

    @classmethod
    def of_known(cls, paisa: int | None) -> Self | None:
        """Write what is known; None is not 0."""
        return None if paisa is None else cls.of(paisa)

    def paisa(self, field: str) -> int:
        return Money.parse(self.amount, field=field).paisa


Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page of a list; `next` is the cursor of the following one."""

    items: list[Item]
    next: str | None = None


class AsOfBlockRead(BaseModel):
    """The block of which an answer speaks; `orphaned` is one that a reorg has taken since.

    `degraded` says why the answer is not to be relied on, see /readyz; null where it is.
    """

    number: int
    hash: str
    time: datetime
    finality: Literal["latest", "finalized", "orphaned"]
    confirmations: int
    degraded: str | None

    @classmethod
    def of(cls, block: AsOfBlock, confirmations_needed: int) -> Self:
        settled: Literal["latest", "finalized"]
        settled = "finalized" if block.confirmations >= confirmations_needed else "latest"
        return cls(
            number=block.number,
            hash=hash_of(block.hash),
            time=block.mined_at,
            finality="orphaned" if block.is_orphaned else settled,
            confirmations=block.confirmations,
            degraded=block.degraded,
        )


MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """RFC 9457 problem; `code` is stable and listed in docs/reference/errors.md."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str | None = None
    remedy: str | None = None


_REFUSALS = {
    400: "The body cannot be read",
    401: "No token, or none that can be believed",
    403: "The caller may not do this",
    404: "It does not exist, or the caller may not know that it does",
    409: "The register does not allow it now",
    412: "It has changed since the caller read it",
    413: "The body is too large",
    422: "The request is wrong",
    428: "The caller does not say which version they edit",
    429: "The caller asks too often; see Retry-After",
    503: "Temporarily unavailable",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document the problems that a route answers with.

    By reference: of a model FastAPI would build a validator for each status of each route, which
    takes half of the time that the program needs to start.
    """
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    return {status: {"description": _REFUSALS[status], "content": content} for status in statuses}


PROBLEMS = problems(401, 403, 404, 409, 422, 429, 503)
"""What every route of a resource may answer."""

BODY_PROBLEMS = problems(400, 413)
"""What every route that takes a body may answer too."""
