"""Fields of Protocol Buffers messages, as bytes; a message is its fields one after the other, in any order.

Source: "Encoding", https://protobuf.dev/programming-guides/encoding/. The library for it is not used, because
importing it takes a fifth of the time in which a run starts.
"""

from __future__ import annotations

import struct

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5


def integer(number: int, value: int) -> bytes:
    """Field `number` of type int32, int64 or an enumeration."""
    return _varint(number << 3 | _VARINT) + _varint(value)


def double(number: int, value: float) -> bytes:
    return _varint(number << 3 | _FIXED_64) + struct.pack("<d", value)


def single(number: int, value: float) -> bytes:
    """Field `number` of type float, which has 32 bits; beyond its range it is infinite."""
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", value * float("inf"))
    return _varint(number << 3 | _FIXED_32) + packed


def content(number: int, value: bytes | str) -> bytes:
    """Field `number` of type bytes, string or another message."""
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers in two's complement of 64 bits."""
    value %= 2**64
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
