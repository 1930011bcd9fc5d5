"""The two ceremonies of WebAuthn: what is asked of an authenticator, and whether its answer holds.

Source: W3C Web Authentication, sections 7.1 and 7.2. The library checks the answers; what it
leaves to the relying party (cross origin, the form of the key, the order of the checks) is here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm

if TYPE_CHECKING:
    from webauthn.helpers.structs import AuthenticatorData

CHALLENGE_BYTES = 32
TIMEOUT_MS = 5 * 60 * 1000
MAX_ANSWER_BYTES = 16 * 1024
FORMATS = ("none", "packed")
"""Of attestations: none is asked for, and an authenticator may vouch for itself."""
KEY_TYPES = {-7: 2, -8: 1, -257: 3}
"""COSE: ES256 by an elliptic curve, EdDSA by an octet key pair, RS256 by RSA."""

# Its private half was thrown away: an unknown passkey takes as long to refuse as a known one.
NOBODYS_KEY = bytes.fromhex(
    "a5010203262001215820"
    "dab3904b87bf0863df2b5f0704c92860224eabdebfa2f028fc661fbcb67dff5f"
    "225820"
    "dc6ac352f30bb67525cd2bb0e1dbde6d514fe09326cb0c1d1063ceb4868ed9fa"
)


class CeremonyRefused(Exception):
    """An authenticator's answer does not hold."""

    def __init__(self, code: str, detail: str, *, remedy: str | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whom passkeys are made for.

    Parameters
    ----------
    id
        A domain; passkeys count for it and what is below it.
    origins
        Where ceremonies may take place: web origins, and Android apps by the hash of their key.
    """

    id: str
    name: str
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attested:
    """A new credential, as its authenticator described it."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    is_synced: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    """What an assertion says, before its signature is checked."""

    credential_id: bytes
    user_handle: bytes | None
    sign_count: int


def creation_options(
    party: RelyingParty, *, challenge: bytes, user_handle: bytes, known: Sequence[bytes]
) -> dict[str, Any]:
    """Write what `navigator.credentials.create` takes (`parseCreationOptionsFromJSON`).

    Parameters
    ----------
    known
        Ids of the person's passkeys: an authenticator that has one makes no second.
    """
    import webauthn  # noqa: PLC0415 (loading it would lengthen every start)
    from webauthn.helpers import options_to_json_dict, structs  # noqa: PLC0415

    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_id=user_handle,
        # The app may put the person's name here: it goes to the authenticator, not to us.
        user_name=f"investor {user_handle.hex()[:6]}",
        challenge=challenge,
        timeout=TIMEOUT_MS,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return options_to_json_dict(options)


def request_options(party: RelyingParty, *, challenge: bytes) -> dict[str, Any]:
    """Write what `navigator.credentials.get` takes; any passkey of ours may answer."""
    import webauthn  # noqa: PLC0415
    from webauthn.helpers import options_to_json_dict, structs  # noqa: PLC0415

    options = webauthn.generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def challenge_of(credential: Mapping[str, Any]) -> bytes:
    """Return the challenge that an answer is of.

    Raises
    ------
    CeremonyRefused
        ``passkey_malformed``.
    """
    from webauthn.helpers import base64url_to_bytes, parse_client_data_json  # noqa: PLC0415

    with _readable():
        if len(json.dumps(credential)) > MAX_ANSWER_BYTES:
            raise ValueError("it is too long")
        client = parse_client_data_json(
            base64url_to_bytes(credential["response"]["clientDataJSON"])
        )
        return client.challenge


def check_attestation(
    party: RelyingParty, credential: Mapping[str, Any], challenge: bytes
) -> Attested:
    """Return the credential that was made for `challenge`.

    Raises
    ------
    CeremonyRefused
        ``passkey_malformed``, ``passkey_refused``, or as `_check_client`.
    """
    import webauthn  # noqa: PLC0415
    from webauthn import helpers  # noqa: PLC0415

    with _readable():
        answer = helpers.parse_registration_credential_json(dict(credential))
        made = helpers.parse_attestation_object(answer.response.attestation_object)
    _check_client(party, answer.response.client_data_json, made.auth_data)
    if made.fmt not in FORMATS:
        raise CeremonyRefused("passkey_refused", "Its attestation is of a kind not asked for.")
    with _readable(), _verified("passkey_refused"):
        found = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            require_user_verification=True,
        )
        # A key that cannot check anything would be found out at the first sign-in only.
        key = helpers.decode_credential_public_key(found.credential_public_key)
        if KEY_TYPES.get(key.alg) != key.kty:
            raise CeremonyRefused("passkey_refused", "Its key is of another kind than it says.")
        helpers.decoded_public_key_to_cryptography(key)
    return Attested(
        credential_id=found.credential_id,
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
        is_synced=found.credential_backed_up,
    )


def read_assertion(party: RelyingParty, credential: Mapping[str, Any]) -> Claimed:
    """Return what an assertion says, if it was made where and how we ask for it.

    Raises
    ------
    CeremonyRefused
        ``passkey_malformed``, or as `_check_client`: nothing of it hangs on whose it is.
    """
    from webauthn import helpers  # noqa: PLC0415

    with _readable():
        answer = helpers.parse_authentication_credential_json(dict(credential))
        said = helpers.parse_authenticator_data(answer.response.authenticator_data)
    _check_client(party, answer.response.client_data_json, said)
    return Claimed(answer.raw_id, answer.response.user_handle, said.sign_count)


def check_assertion(
    party: RelyingParty, credential: Mapping[str, Any], challenge: bytes, public_key: bytes
) -> bool:
    """Check that the key signed this challenge; tell whether it is kept elsewhere too.

    The library would look at the counter first, and so tell of a copy that nobody has shown to
    have: it is given 0, and the counter is judged once the signature holds.

    Raises
    ------
    CeremonyRefused
        ``passkey_not_believed``.
    """
    import webauthn  # noqa: PLC0415

    with _readable(), _verified("passkey_not_believed"):
        found = webauthn.verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    return found.credential_backed_up


def _check_client(party: RelyingParty, client_data: bytes, said: AuthenticatorData) -> None:
    """Refuse what was made elsewhere, for others, or by whoever held the device.

    Raises
    ------
    CeremonyRefused
        ``origin_not_allowed``, ``relying_party_differs``, ``user_verification_missing``.
    """
    with _readable():
        client = json.loads(client_data)
    if client["origin"] not in party.origins or client.get("crossOrigin", False) is not False:
        raise CeremonyRefused(
            "origin_not_allowed",
            "The ceremony took place where none of this service does.",
            remedy="Call it from an origin of PASSKEY_ORIGINS, and from no frame within another.",
        )
    if said.rp_id_hash != hashlib.sha256(party.id.encode()).digest():
        raise CeremonyRefused("relying_party_differs", f"The passkey is not one for {party.id}.")
    if not (said.flags.up and said.flags.uv):
        raise CeremonyRefused(
            "user_verification_missing",
            "The authenticator did not verify who holds it.",
            remedy="Ask for userVerification: required, as the options do.",
        )


@contextmanager
def _readable() -> Iterator[None]:
    """Whatever the library stumbles over in what a stranger sent is malformed."""
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

    try:
        yield
    except (
        WebAuthnException,
        UnsupportedAlgorithm,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise CeremonyRefused(
            "passkey_malformed",
            "This is no credential as WebAuthn writes it.",
            remedy="Send what the authenticator gave, as its toJSON() writes it.",
        ) from error


@contextmanager
def _verified(code: str) -> Iterator[None]:
    from webauthn.helpers.exceptions import (  # noqa: PLC0415
        InvalidAuthenticationResponse,
        InvalidRegistrationResponse,
    )

    try:
        yield
    except (InvalidAuthenticationResponse, InvalidRegistrationResponse) as error:
        raise CeremonyRefused(
            code,
            "The passkey is not believed.",
            remedy="Begin again with a new challenge.",
        ) from error
