"""The bloom filter of a header: whether a block can hold logs of an address.

Source: Ethereum Yellow Paper, section 4.4.3 (the function M3:2048).
"""

from __future__ import annotations

from functools import lru_cache

from eth_utils.crypto import keccak

BITS = 2048


@lru_cache(maxsize=65_536)
def mask_of(item: bytes) -> int:
    """Give the three bits that an address or a topic sets."""
    digest = keccak(item)
    mask = 0
    for start in (0, 2, 4):
        mask |= 1 << (int.from_bytes(digest[start : start + 2], "big") % BITS)
    return mask


def may_hold(bloom: int, item: bytes) -> bool:
    """Tell whether the block may hold a log of `item`; False is certain."""
    mask = mask_of(item)
    return bloom & mask == mask
