"""Plots of housing schemes and authorities: one parcel, known by scheme, block and number."""

from __future__ import annotations

from collections import Counter

from registry.asset.interface import LAND_APPROVALS, AssetClassSpec
from registry.asset.land import ParcelDetails
from registry.asset.models import AssetClass
from registry.jurisdiction.interface import Subject


class PlotDetails(ParcelDetails):
    """The plot, built or not."""


PLOT = AssetClassSpec(
    asset_class=AssetClass.LAND_PLOT,
    label="Plot",
    subject=Subject.PLOT,
    details=PlotDetails,
    approvals=Counter(LAND_APPROVALS),
)
