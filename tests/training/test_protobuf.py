"""Messages as TensorBoard's own copy of the Protocol Buffers library reads them; and their checksum."""

from __future__ import annotations

import math
import warnings

import pytest

from dltrain.training.crc32c import crc32c
from dltrain.training.protobuf import content, double, integer, single

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31, 2**63 - 1, -1, -(2**63)])
def test_integers(value: int) -> None:
    assert Event.FromString(integer(2, value)).step == value


@pytest.mark.parametrize("value", [0.0, -0.1, 1.5e300, math.inf])
def test_numbers_of_64_bits(value: float) -> None:
    assert Event.FromString(double(1, value)).wall_time == value


@pytest.mark.parametrize(
    ("value", "read"), [(0.5, 0.5), (0.1, 0.10000000149011612), (1e39, math.inf), (-1e39, -math.inf)]
)
def test_numbers_of_32_bits(value: float, read: float) -> None:
    assert Summary.Value.FromString(single(2, value)).simple_value == read


@pytest.mark.parametrize("text", ["", "loss", "größer", "x" * 127, "x" * 128, "x" * 20_000])
def test_text_bytes_and_messages(text: str) -> None:
    value = content(1, text) + content(4, content(4, text.encode()))  # tag, image
    event = Event.FromString(content(5, content(1, value) + content(1, value)))
    assert [(v.tag, v.image.encoded_image_string) for v in event.summary.value] == [(text, text.encode())] * 2


@pytest.mark.parametrize(
    ("data", "checksum"),  # RFC 3720, appendix B.4; the first is the catalogue's check value
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"", 0),
    ],
)
def test_checksum(data: bytes, checksum: int) -> None:
    assert crc32c(data) == checksum
