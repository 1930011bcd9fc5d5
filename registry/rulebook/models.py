"""Runs of the rules, stored with every result."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlmodel import Field

from registry.kernel.columns import Record, document


class RuleRun(Record, table=True):
    """One evaluation of every rule of one moment on one asset."""

    __tablename__ = "rule_run"

    asset_id: UUID = Field(foreign_key="asset.id", index=True)
    moment: str
    run_by: str
    blocked: bool
    results: list[dict[str, Any]] = document()
