"""Industrial land: a site in an estate or a free zone, mostly on a sublease."""

from __future__ import annotations

from collections import Counter

from registry.asset.interface import LAND_APPROVALS, AssetClassSpec, PositiveDecimal
from registry.asset.land import ParcelDetails
from registry.asset.models import AssetClass
from registry.jurisdiction.interface import Subject


class IndustrialDetails(ParcelDetails):
    """The site, and what is built on it."""

    covered_area_sqft: PositiveDecimal | None = None


INDUSTRIAL = AssetClassSpec(
    asset_class=AssetClass.LAND_INDUSTRIAL,
    label="Industrial land",
    subject=Subject.INDUSTRIAL_SITE,
    details=IndustrialDetails,
    approvals=Counter(LAND_APPROVALS),
)
