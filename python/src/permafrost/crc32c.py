"""CRC-32C (RFC 3720, appendix B.4), many stretches of the bytes at a time."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

_POLYNOMIAL = 0x82F63B78
_STRETCH = 1024
_Words = npt.NDArray[np.uint32]


@functools.cache
def _table() -> _Words:
    entries = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        entries = np.where(entries & 1, (entries >> 1) ^ np.uint32(_POLYNOMIAL), entries >> 1).astype(np.uint32)
    return entries


def _apply(operator: _Words, crc: _Words) -> _Words:
    """Return what a linear operator makes of each value; the operator as what it makes of each byte at each of four places."""
    return operator[0][crc & 255] ^ operator[1][(crc >> 8) & 255] ^ operator[2][(crc >> 16) & 255] ^ operator[3][crc >> 24]


def _bytes_at_places() -> _Words:
    return np.arange(256, dtype=np.uint32)[None, :] << np.array([[0], [8], [16], [24]], dtype=np.uint32)


@functools.lru_cache(maxsize=256)
def _shift(length: int) -> _Words:
    """Return the operator of `length` further bytes that are zero, from those of its halves."""
    if length == 1:
        values = _bytes_at_places()
        return (_table()[values & 255] ^ (values >> 8)).astype(np.uint32)
    half = _shift(length // 2)
    doubled = _apply(half, half)
    return _apply(_shift(1), doubled) if length % 2 else doubled


def crc32c(data: bytes | bytearray | memoryview | npt.NDArray[np.uint8]) -> int:
    """Return the CRC-32C of some bytes, from 0 to 2**32 - 1."""
    flat = np.frombuffer(data, dtype=np.uint8)
    stretches = len(flat) // _STRETCH
    crc = np.uint32(0xFFFFFFFF)
    if stretches > 0:
        # A row a place in the stretch, so that a step reads what lies side by side.
        columns = np.ascontiguousarray(flat[: stretches * _STRETCH].reshape(stretches, _STRETCH).T)
        sums = np.zeros(stretches, dtype=np.uint32)
        sums[0] = crc
        table = _table()
        for row in columns:
            sums = table[(sums ^ row) & 255] ^ (sums >> 8)
        length = _STRETCH
        while len(sums) > 1:
            # Of an odd number the first waits: what stands before it is nothing, which zeros do not change.
            if len(sums) % 2:
                sums = np.concatenate([np.zeros(1, dtype=np.uint32), sums])
            sums = _apply(_shift(length), sums[0::2]) ^ sums[1::2]
            length *= 2
        crc = sums[0]
    value = int(crc)
    entries = _table()
    for byte in flat[stretches * _STRETCH :].tolist():
        value = int(entries[(value ^ byte) & 255]) ^ (value >> 8)
    return value ^ 0xFFFFFFFF
