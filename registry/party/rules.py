"""The forms of identifiers that a party carries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import pycountry
from stdnum import iban as stdnum_iban
from stdnum.exceptions import ValidationError as NotAnIban

from registry.jurisdiction.pakistan import CNIC_PROVINCES, IDENTIFIERS
from registry.kernel.clock import today
from registry.kernel.errors import Invalid
from registry.kernel.identifiers import lei_fault

_SCAC = re.compile(r"[A-Z]{2,4}")
_PASSPORT = re.compile(r"[A-Z0-9](-?[A-Z0-9]){5,19}")
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
    if not IDENTIFIERS["cnic"].fullmatch(cnic):
        raise Invalid(
            "cnic_malformed",
            "A CNIC is 13 digits written 35202-1234567-1; the first and last are not 0.",
            field=field,
            remedy="Copy the number from the card, with its two hyphens.",
            rule="ID-01",
        )
    return cnic


def unusual_cnic(cnic: str) -> str | None:
    """Return what is unusual about a CNIC that has the right form: a warning, never a refusal.

    Parameters
    ----------
    cnic
        Masked or not: its first digit is enough.
    """
    if cnic[0] in CNIC_PROVINCES:
        return None
    return f"No province issues a CNIC that begins with {cnic[0]} (rule ID-01); look at the card."


def check_lei(lei: str) -> str:
    """Return `lei` if its form and check digits hold (rule ID-07, ISO 17442, mod 97-10).

    Raises
    ------
    Invalid
        ``lei_malformed``.
    """
    fault = lei_fault(lei)
    if fault is not None:
        raise Invalid("lei_malformed", fault, field="/lei", rule="ID-07")
    return lei


def check_cuin(cuin: str) -> str:
    """Return `cuin` if it has the form of SECP's company number (7 digits).

    Raises
    ------
    Invalid
        ``cuin_malformed``.
    """
    if not IDENTIFIERS["cuin"].fullmatch(cuin):
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


def check_country(alpha2: str, *, field: str = "/residence_country") -> str:
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
            field=field,
            remedy='Pakistan is "PK".',
        )
    return alpha2


def country_number(alpha2: str) -> int:
    """Return the numeric ISO 3166-1 code, as ERC-3643 registries store it (PK is 586)."""
    country = pycountry.countries.get(alpha_2=alpha2)
    assert country is not None, "checked when the party was recorded"
    return int(country.numeric)


def check_passport(number: str, country: str | None) -> str:
    """Return the number of a passport or NICOP, in capitals and without spaces.

    Raises
    ------
    Invalid
        ``passport_malformed``, ``passport_country_required``, ``country_unknown``.
    """
    normal = number.replace(" ", "").upper()
    if not _PASSPORT.fullmatch(normal):
        raise Invalid(
            "passport_malformed",
            "A passport's number is 6 to 20 letters and digits.",
            field="/passport",
        )
    if country is None:
        raise Invalid(
            "passport_country_required",
            "A passport is known by its number and the country that issued it.",
            field="/passport_country",
        )
    check_country(country, field="/passport_country")
    return normal


def cnic_on_nicop(number: str, country: str | None) -> str | None:
    """Return the CNIC whose 13 digits a NICOP of Pakistan carries; None of any other passport."""
    digits = number.replace("-", "")
    cnic = f"{digits[:5]}-{digits[5:12]}-{digits[12:]}"
    return cnic if country == "PK" and IDENTIFIERS["cnic"].fullmatch(cnic) else None


def check_iban(iban: str) -> str:
    """Return `iban` in capitals and without spaces, if its check digits hold (ISO 13616).

    Raises
    ------
    Invalid
        ``iban_malformed``.
    """
    try:
        return str(stdnum_iban.validate(iban))
    except NotAnIban as error:
        raise Invalid(
            "iban_malformed",
            "This is no IBAN: its length or its check digits are wrong.",
            field="/iban",
            remedy="Copy it from the bank's statement; Pakistan's have 24 characters.",
        ) from error


def check_ntn(ntn: str) -> str:
    """Return `ntn` if it has the form of a national tax number.

    Raises
    ------
    Invalid
        ``ntn_malformed``.
    """
    if not IDENTIFIERS["ntn"].fullmatch(ntn):
        raise Invalid(
            "ntn_malformed", "A tax number is 7 digits, a hyphen and 1 digit.", field="/ntn"
        )
    return ntn


def check_dob(dob: date) -> date:
    """Return `dob` if it is past.

    Raises
    ------
    Invalid
        ``dob_in_future``.
    """
    if dob > today():
        raise Invalid("dob_in_future", "Nobody is born after today.", field="/dob")
    return dob


def check_address(address: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what `address` states, if a letter would find the way.

    Source: IVMS101 asks for lines, or for a street and a building.

    Raises
    ------
    Invalid
        ``address_incomplete``, ``country_unknown``.
    """
    address = {name: value for name, value in address.items() if value is not None}
    if not address.get("address_line") and not (address.get("street") and address.get("building")):
        raise Invalid(
            "address_incomplete",
            "An address is one or more lines, or a street and a building.",
            field="/address",
            remedy="Send `address_line`, or both `street` and `building`.",
        )
    if "country" in address:
        check_country(address["country"], field="/address/country")
    return address
