"""Reading bytes by the types of an ABI, whoever wrote them.

A contract that somebody else deployed may claim that its text has 2^255 bytes. Of the library's
decoder that is an OverflowError where it fits into no machine word, and a text that is no UTF-8
another error again: what is no answer of its types is told in one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth_abi import abi
from eth_abi.exceptions import DecodingError


class Garbled(ValueError):
    """Bytes that are not what their types say."""


def decode(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Read values of these types.

    Raises
    ------
    Garbled
    """
    try:
        return tuple(abi.decode(list(types), data))
    except (DecodingError, OverflowError, UnicodeDecodeError) as error:
        raise Garbled(str(error)) from error
