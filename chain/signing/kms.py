"""What the key services of the clouds share.

They sign digests with ECDSA over secp256k1 and answer in DER, knowing nothing of Ethereum: s may
lie in the upper half, which the chain refuses (EIP-2), and the parity must be found out.
"""

from __future__ import annotations

from abc import abstractmethod

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from chain.errors import SignerRefused
from chain.signing.digest import DigestSigner, address_of_point, recovered_point
from chain.signing.envelope import Signature

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""How many points secp256k1 has (SEC 2, 2.4.1)."""

TIMEOUT_SECONDS = 10.0


class KmsSigner(DigestSigner):
    """A key that never leaves a cloud's hardware.

    Parameters
    ----------
    name
        How the setting names the key; it is no secret.
    public_key
        SubjectPublicKeyInfo, DER or PEM.

    Raises
    ------
    SignerRefused
        The key is none of secp256k1.
    """

    def __init__(self, name: str, public_key: bytes) -> None:
        self._name = name
        self._point = _point_of(name, public_key)
        self._address = address_of_point(self._point)

    @property
    def address(self) -> bytes:
        return self._address

    @abstractmethod
    def _ask(self, digest: bytes) -> bytes:
        """Have the service sign 32 bytes as they are; the answer is ECDSA-Sig-Value in DER."""

    def _sign_digest(self, digest: bytes) -> Signature:
        answer = self._ask(digest)
        try:
            r, s = decode_dss_signature(answer)
        except ValueError as error:
            raise SignerRefused(f"{self._name} answers with no signature.") from error
        if not (0 < r < ORDER and 0 < s < ORDER):
            raise SignerRefused(f"{self._name} answers with a signature out of range.")
        low = min(s, ORDER - s)
        # Also proves that it is a signature of our digest by our key, whatever lay between.
        for parity in (0, 1):
            signature = Signature(r, low, parity)
            if recovered_point(signature, digest) == self._point:
                return signature
        raise SignerRefused(f"{self._name} answers with a signature of another key or message.")


def _point_of(name: str, public_key: bytes) -> bytes:
    load = load_pem_public_key if public_key.startswith(b"-----") else load_der_public_key
    try:
        key = load(public_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignerRefused(f"The public key of {name} cannot be read: {error}.") from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256K1):
        raise SignerRefused(f"{name} is no key of the curve secp256k1.")
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
