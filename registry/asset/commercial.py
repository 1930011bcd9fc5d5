"""Commercial premises: a floor, a shop or an office, by deed or by lease."""

from __future__ import annotations

from collections import Counter

from registry.asset.interface import LAND_APPROVALS, AssetClassSpec
from registry.asset.land import UnitDetails
from registry.asset.models import AssetClass
from registry.jurisdiction.interface import Subject


class CommercialDetails(UnitDetails):
    """The premises; their share in the ground stands there where the deed gives one."""


COMMERCIAL = AssetClassSpec(
    asset_class=AssetClass.LAND_COMMERCIAL,
    label="Commercial premises",
    subject=Subject.PREMISES,
    details=CommercialDetails,
    approvals=Counter(LAND_APPROVALS),
)
