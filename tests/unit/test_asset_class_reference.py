"""docs/reference/asset-classes.md says what the classes and the jurisdictions say."""

from __future__ import annotations

import pytest

from registry.asset.classes import CLASSES
from registry.asset.interface import AssetClassSpec
from registry.jurisdiction.interface import Jurisdiction
from registry.jurisdiction.profiles import JURISDICTIONS
from registry.kernel.settings import ROOT

pytestmark = pytest.mark.unit

NOTHING = "\u2013"
ROWS = (ROOT / "docs" / "reference" / "asset-classes.md").read_text("utf-8").splitlines()


@pytest.mark.parametrize("spec", CLASSES.values(), ids=lambda spec: str(spec.asset_class))
def test_reference__class__names_its_fields(spec: AssetClassSpec) -> None:
    (row,) = [row for row in ROWS if row.startswith(f"| `{spec.asset_class}` |")]

    for name, field in spec.details.model_fields.items():
        assert not field.is_required() or f"`{name}`" in row


@pytest.mark.parametrize("jurisdiction", JURISDICTIONS, ids=lambda item: item.name)
def test_reference__regime__names_its_papers(jurisdiction: Jurisdiction) -> None:
    start = ROWS.index(f"## Title regimes: {jurisdiction.name}")
    for name, regime in jurisdiction.regimes.items():
        for subject, more in regime.subjects.items():
            head = f"| `{name}` | {subject.replace('_', ' ').lower()} |"
            row = next(row for row in ROWS[start:] if row.startswith(head))
            _, _, _, proof, papers, *_ = (cell.strip() for cell in row.split("|"))
            assert set(proof.split(", ")) == regime.title_proof
            assert set(papers.split(", ")) - {NOTHING} == regime.required | more
