"""A PDF whose every byte is signed, and that carries the record which it shows.

The template puts `EMPTY_SEAL` among the document's keywords, where typst writes it as it is: the
signature takes its place, byte for byte, so that the file stays the same otherwise. What is signed
is the file with the empty seal. A trailer behind the file's end would be simpler, and no PDF/A.
"""

from __future__ import annotations

import re
import zlib

from registry.kernel.signing import SIGNATURE_BYTES, PublicKeys, SigningKey

_MARK = b"milkiyat-seal:"
EMPTY_SEAL = (_MARK + b"0" * 2 * SIGNATURE_BYTES).decode()
_SEAL = re.compile(rb"%s([0-9a-f]{%d})" % (_MARK, 2 * SIGNATURE_BYTES))
_ATTACHMENT = re.compile(rb"<</Length (\d+)/Type/EmbeddedFile/Filter/FlateDecode")
_STREAM = b"stream\n"
MAX_ATTACHMENT_BYTES = 256 * 2**20


def seal_pdf(content: bytes, key: SigningKey) -> bytes:
    """Sign a PDF that was made with `EMPTY_SEAL`."""
    assert EMPTY_SEAL.encode() in content, "the template names the seal"
    signature = key.sign(content).hex().encode()
    return content.replace(EMPTY_SEAL.encode(), _MARK + signature)


def is_sealed_by(content: bytes, keys: PublicKeys, kid: str) -> bool:
    """Tell whether a PDF is, to the byte, what the holder of a key signed."""
    found = {match.group(1) for match in _SEAL.finditer(content)}
    if len(found) != 1:
        return False
    signature = bytes.fromhex(found.pop().decode())
    return keys.verifies(kid, _SEAL.sub(EMPTY_SEAL.encode(), content), signature)


def attachment_of(content: bytes) -> bytes | None:
    """Return the one file that a PDF of ours carries; None where it carries none or several."""
    found = list(_ATTACHMENT.finditer(content))
    if len(found) != 1:
        return None
    begin = content.find(_STREAM, found[0].end()) + len(_STREAM)
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(
            content[begin : begin + int(found[0].group(1))], MAX_ATTACHMENT_BYTES
        )
    except zlib.error:
        return None
    return unpacked if unpacking.eof else None
