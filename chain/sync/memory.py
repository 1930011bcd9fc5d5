"""Memory of a bulk load: what one piece leaves is kept for the next.

By itself the C library gives a freed megabyte back to the kernel, and has every page of it filled
with zeros when the next answer needs it: half of all page faults of a sync were these.
Source: glibc, mallopt(3).
"""

from __future__ import annotations

import ctypes
import functools

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""`M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` of malloc.h."""
KEPT_BYTES = 256 * 2**20
LARGEST_BYTES = 32 * 2**20
"""What is larger is mapped by itself and given back; glibc takes no more than this."""


@functools.cache
def keep_freed() -> bool:
    """Let this process keep what it frees; False where its C library knows no such thing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, KEPT_BYTES) and mallopt(_MMAP_THRESHOLD, LARGEST_BYTES))
