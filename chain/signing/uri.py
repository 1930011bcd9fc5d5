"""Keys as the settings name them: ``file:``, ``aws-kms:``, ``gcp-kms:``."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from chain.errors import SignerRefused
from chain.signing.aws_kms import AwsKmsSigner
from chain.signing.gcp_kms import AccessTokens, GcpKmsSigner
from chain.signing.keystore import KeystoreSigner
from chain.signing.port import Signer
from registry.kernel.settings import LOOPBACK

_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_VERSION = re.compile(
    r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+/cryptoKeyVersions/\d+"
)


def keystore_name(uri: str) -> str | None:
    """Give the file that a URI names in the folder of SIGNER_KEYSTORE; None for other keys.

    Raises
    ------
    SignerRefused
        It names a file outside of the folder.
    """
    scheme, _, name = uri.partition(":")
    if scheme != "file":
        return None
    if not _FILE.fullmatch(name):
        raise SignerRefused(f"{uri!r} names no file of SIGNER_KEYSTORE; write file:platform.json.")
    return name


def open_signer(uri: str, *, directory: Path, password: str | None, tokens: AccessTokens) -> Signer:
    """Open a key.

    Parameters
    ----------
    directory, password
        Where key files lie, and what unlocks them.
    tokens
        For keys at Google.

    Raises
    ------
    SignerRefused
        The URI is malformed, or the key cannot be used.
    SignerUnavailable
        The service that holds it does not answer.
    """
    file = keystore_name(uri)
    if file is not None:
        if password is None:
            raise SignerRefused("SIGNER_KEYSTORE needs SIGNER_PASSWORD.")
        return KeystoreSigner(directory / file, password)
    scheme, _, rest = uri.partition(":")
    name, _, query = rest.partition("?")
    region, endpoint = read_options(scheme, query)
    if not name:
        raise SignerRefused(f"{uri!r} names no key: the name is missing.")
    if scheme == "aws-kms":
        return AwsKmsSigner(name, region=region, endpoint=endpoint)
    if scheme == "gcp-kms":
        if not _VERSION.fullmatch(name):
            raise SignerRefused(f"{uri!r} names no version of a key: end it /cryptoKeyVersions/1.")
        return GcpKmsSigner(name, tokens=tokens, endpoint=endpoint)
    raise SignerRefused(f"{uri!r} is no key: it begins with file:, aws-kms: or gcp-kms:.")


def read_options(scheme: str, query: str) -> tuple[str | None, str | None]:
    """Read region and endpoint of what stands behind a key's name.

    Raises
    ------
    SignerRefused
        There is another option, or our credentials would be shown to whoever listens on the way.
    """
    options = dict(parse_qsl(query.removeprefix("?")))
    endpoint = options.pop("endpoint", None)
    region = options.pop("region", None) if scheme == "aws-kms" else None
    if options:
        raise SignerRefused(f"A key of {scheme} has no option {', '.join(options)}.")
    parts = urlsplit(endpoint or "https:")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise SignerRefused(f"The endpoint of a key of {scheme} must be https.")
    return region, endpoint
