"""CRC-32C, the checksum in event files.

Source: G. Castagnoli, S. Braeuer, M. Herrmann, "Optimization of Cyclic Redundancy-Check Codes with 24 and 32
Parity Bits", IEEE Trans. Communications 41 (1993); bits reflected as in RFC 3720, appendix B.4.
"""

from __future__ import annotations

from functools import cache

_POLYNOMIAL = 0x82F63B78


def crc32c(data: bytes) -> int:
    """The checksum of `data`: 0xE3069283 of b"123456789"."""
    table, remainder = _table(), 0xFFFFFFFF
    for byte in data:
        remainder = table[(remainder ^ byte) & 0xFF] ^ remainder >> 8
    return remainder ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """As TFRecord files have it: rotated, plus a constant, for data that itself holds checksums."""
    checksum = crc32c(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) % 2**32


@cache
def _table() -> list[int]:
    """What each byte, shifted out, adds to the remainder."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table
