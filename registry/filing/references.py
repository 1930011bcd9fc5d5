"""A reference that goAML gave is of one report."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session, col, select

from registry.filing.models import CtrFiling, StrCase
from registry.kernel.errors import Conflict


def require_new_reference(
    session: Session, table: type[CtrFiling | StrCase], reference: str, *, of: UUID
) -> None:
    """Make sure that no other report of its kind was filed by the reference.

    Parameters
    ----------
    of
        Whose it is to be.

    Raises
    ------
    Conflict
        ``filing_reference_reused``.
    """
    used = select(table.id).where(col(table.filed_reference) == reference, col(table.id) != of)
    if session.exec(used).first() is not None:
        raise Conflict("filing_reference_reused", "Another report was filed by this reference.")
