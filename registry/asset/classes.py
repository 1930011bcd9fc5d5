"""The classes of assets behind one interface: a new class is one file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from registry.asset.apartment import APARTMENT
from registry.asset.interface import AssetClassSpec, ClassDetails
from registry.asset.models import AssetClass
from registry.asset.warehoused import WAREHOUSED_COMMODITY
from registry.kernel.errors import Invalid

CLASSES: Mapping[AssetClass, AssetClassSpec] = {
    spec.asset_class: spec for spec in (APARTMENT, WAREHOUSED_COMMODITY)
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


def check_regime(spec: AssetClassSpec, regime: str) -> None:
    """Refuse a title regime under which this class does not exist.

    Raises
    ------
    Invalid
        ``regime_not_applicable``.
    """
    if regime not in spec.regimes:
        raise Invalid(
            "regime_not_applicable",
            f"{spec.asset_class} is not held under {regime}.",
            field="/title_regime",
            remedy=f"Possible: {', '.join(sorted(spec.regimes))}.",
        )


def check_keys(spec: AssetClassSpec, keys: list[str]) -> None:
    """Refuse natural keys that this class does not have.

    Raises
    ------
    Invalid
        ``underlying_key_malformed``, ``underlying_key_repeated``.
    """
    if not keys:
        raise Invalid(
            "underlying_key_malformed",
            "An asset without a natural key could be registered twice.",
            field="/underlying_keys",
            remedy=f"Its form is {spec.key_form}",
        )
    for index, key in enumerate(keys):
        if not spec.key_pattern.fullmatch(key):
            raise Invalid(
                "underlying_key_malformed",
                f"{key!r} is not a natural key of {spec.asset_class}.",
                field=f"/underlying_keys/{index}",
                remedy=f"Its form is {spec.key_form}",
            )
    if len(set(keys)) != len(keys):
        raise Invalid(
            "underlying_key_repeated", "A natural key stands twice.", field="/underlying_keys"
        )
