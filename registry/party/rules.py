"""The forms of identifiers that a party carries."""

from __future__ import annotations

import re

import pycountry
from stdnum import lei as stdnum_lei
from stdnum.exceptions import ValidationError

from registry.kernel.errors import Invalid

# Matched in full and in ASCII: another spelling of an identifier would be another party.
_CNIC = re.compile(r"[1-9][0-9]{4}-[0-9]{7}-[1-9]")
_LEI = re.compile(r"[A-Z0-9]{18}[0-9]{2}")
_CUIN = re.compile(r"[0-9]{7}")
_SCAC = re.compile(r"[A-Z]{2,4}")
_ALPHA2 = re.compile(r"[A-Z]{2}")


def check_cnic(cnic: str, *, field: str = "/cnic") -> str:
    """Return `cnic` if it has the form of one (rule ID-01).

    A CNIC has no check digit, so form is all that can be checked here; that it belongs to the
    person is what KYC finds out.

    Raises
    ------
    Invalid
        ``cnic_malformed``.
    """
    if not _CNIC.fullmatch(cnic):
        raise Invalid(
            "cnic_malformed",
            "A CNIC is 13 digits written 35202-1234567-1; the first and last are not 0.",
            field=field,
            remedy="Copy the number from the card, with its two hyphens.",
        )
    return cnic


def check_lei(lei: str) -> str:
    """Return `lei` if its form and check digits hold (rule ID-07, ISO 17442, mod 97-10).

    Raises
    ------
    Invalid
        ``lei_malformed``.
    """
    try:
        if not _LEI.fullmatch(lei):
            raise ValidationError
        stdnum_lei.validate(lei)
    except ValidationError as error:
        raise Invalid(
            "lei_malformed", f"{lei!r} is not a Legal Entity Identifier.", field="/lei"
        ) from error
    return lei


def check_cuin(cuin: str) -> str:
    """Return `cuin` if it has the form of SECP's company number (7 digits).

    Raises
    ------
    Invalid
        ``cuin_malformed``.
    """
    if not _CUIN.fullmatch(cuin):
        raise Invalid("cuin_malformed", f"{cuin!r} is not a CUIN of 7 digits.", field="/cuin")
    return cuin


def check_scac(scac: str) -> str:
    """Return `scac` if it has the form of a carrier code (2 to 4 letters).

    Raises
    ------
    Invalid
        ``scac_malformed``.
    """
    if not _SCAC.fullmatch(scac):
        raise Invalid("scac_malformed", f"{scac!r} is not a carrier code (SCAC).", field="/scac")
    return scac


def check_country(alpha2: str) -> str:
    """Return `alpha2` if ISO 3166-1 knows it.

    Raises
    ------
    Invalid
        ``country_unknown``.
    """
    # pycountry itself ignores case.
    if not _ALPHA2.fullmatch(alpha2) or pycountry.countries.get(alpha_2=alpha2) is None:
        raise Invalid(
            "country_unknown",
            f"{alpha2!r} is no ISO 3166-1 alpha-2 country.",
            field="/residence_country",
            remedy='Pakistan is "PK".',
        )
    return alpha2


def country_number(alpha2: str) -> int:
    """Return the numeric ISO 3166-1 code, as ERC-3643 registries store it (PK is 586)."""
    country = pycountry.countries.get(alpha_2=alpha2)
    assert country is not None, "checked when the party was recorded"
    return int(country.numeric)


def mask_cnic(cnic: str) -> str:
    """Show who it may be without saying who it is: ``35202-*****01-1``."""
    return f"{cnic[:6]}*****{cnic[11:]}"
