"""What the register hands out signed, read back from a file: a record with its envelope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from registry.kernel.sealed_pdf import is_sealed_by
from registry.kernel.signing import PublicKeys, SigningKey, from_base64url, to_base64url


class PaperRefused(Exception):
    """A paper is not what it says it is.

    Parameters
    ----------
    reason
        Stable, for machines.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Paper:
    """A signed record: ``envelope`` with its ``form``, ``signature``, and what is signed with it.

    Parameters
    ----------
    pdf
        The file, where the record came in a PDF.
    """

    record: dict[str, Any]
    pdf: bytes | None = None

    @property
    def form(self) -> str:
        return str(self.record["envelope"]["form"])


def signed(envelope: Mapping[str, Any], key: SigningKey) -> dict[str, Any]:
    """Give the envelope with the key's name in it, and the signature of its RFC 8785 form."""
    said = {**envelope, "key": key.kid}
    return {"envelope": said, "signature": to_base64url(key.sign(rfc8785.dumps(said)))}


def check_envelope(paper: Paper, keys: PublicKeys) -> None:
    """Refuse a paper whose envelope, or whose PDF, a key that we were named has not signed.

    Raises
    ------
    PaperRefused
        ``key_unknown``, ``signature_wrong``, ``pdf_altered``.
    """
    envelope = paper.record["envelope"]
    kid = envelope["key"]
    if kid not in keys.by_kid:
        raise PaperRefused("key_unknown", f"it names the key {kid}, which is none of yours")
    signature = from_base64url(paper.record["signature"])
    if not keys.verifies(kid, rfc8785.dumps(envelope), signature):
        raise PaperRefused("signature_wrong", "its envelope is not what the key signed")
    if paper.pdf is not None and not is_sealed_by(paper.pdf, keys, kid):
        raise PaperRefused("pdf_altered", "the PDF is not, to the byte, what the key signed")
