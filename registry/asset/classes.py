"""The classes of assets behind one interface: a new class is one file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from registry.asset.agricultural import AGRICULTURAL
from registry.asset.apartment import APARTMENT
from registry.asset.bill_of_lading import BILL_OF_LADING
from registry.asset.bullion import BULLION
from registry.asset.commercial import COMMERCIAL
from registry.asset.generation import GENERATION
from registry.asset.industrial import INDUSTRIAL
from registry.asset.interface import AssetClassSpec, ClassDetails
from registry.asset.mining_fleet import MINING_FLEET
from registry.asset.mining_site import MINING_SITE
from registry.asset.models import AssetClass
from registry.asset.plot import PLOT
from registry.asset.shipping_contract import SHIPPING_CONTRACT
from registry.asset.warehoused import WAREHOUSED_COMMODITY
from registry.kernel.errors import Invalid

CLASSES: Mapping[AssetClass, AssetClassSpec] = {
    spec.asset_class: spec
    for spec in (
        AGRICULTURAL,
        PLOT,
        APARTMENT,
        COMMERCIAL,
        INDUSTRIAL,
        WAREHOUSED_COMMODITY,
        BULLION,
        BILL_OF_LADING,
        SHIPPING_CONTRACT,
        GENERATION,
        MINING_SITE,
        MINING_FLEET,
    )
}


def class_of(asset_class: AssetClass | str) -> AssetClassSpec:
    return CLASSES[AssetClass(asset_class)]


def check_details(spec: AssetClassSpec, details: Mapping[str, Any]) -> ClassDetails:
    """Read the fields of a class.

    Raises
    ------
    Invalid
        ``details_invalid``: a field is missing, unknown or malformed; `field` points at it.
    """
    try:
        return spec.details.model_validate(details)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        pointer = "/details/" + "/".join(str(part) for part in first["loc"])
        raise Invalid("details_invalid", f"{pointer}: {first['msg']}.", field=pointer) from error
