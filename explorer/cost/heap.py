"""Temporaries that come back quickly: the C library keeps what arrays give back."""

from __future__ import annotations

from functools import cache

import numpy as np

_BYTES = 2**24


@cache
def keep_heap() -> None:
    """Raise, once, how much freed memory the allocator keeps for the next array.

    glibc gives freed memory back to the kernel above 128 KiB and faults it in again, page by page, for the
    next temporary, which takes several times as long as the arithmetic on it. Freeing one large block raises
    both of its thresholds to that block's size and twice it (mallopt(3), M_MMAP_THRESHOLD: they are dynamic).
    The block is never written to, so it takes no memory; elsewhere it does nothing.
    """
    np.empty(_BYTES, dtype=np.uint8)
