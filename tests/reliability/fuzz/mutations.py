"""Valid files, changed as damage and malice change them: hypothesis strategies."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

# Sizes and offsets that readers get wrong.
NUMBERS = [0, 1, 2, 3, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**33]
NUMBERS += [2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
WORDS = [b"-1", b"1e999", b"9" * 30, b"9" * 5000, b"nan", b"'", b'"', b"\\", b"[" * 2000, b"{" * 2000, b"("]
WORDS += [
    b"{'a':" * 500,
    b'{"a":' * 5000,
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\n",
    b"\t",
    b"\x1b[2J",
    b"*a",
    b"&a",
]


def flip_bit(draw: Draw, content: bytearray) -> None:
    bit = draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8


def truncate(draw: Draw, content: bytearray) -> None:
    del content[draw(st.integers(0, len(content) - 1)) :]


def set_field(draw: Draw, content: bytearray) -> None:
    """A binary number of 1 to 8 bytes becomes another."""
    width = draw(st.sampled_from([1, 2, 4, 8]))
    at = draw(st.integers(0, len(content) - 1))
    number = draw(st.sampled_from(NUMBERS)) % 256**width
    content[at : at + width] = number.to_bytes(width, draw(st.sampled_from(["big", "little"])))


def set_number_in_text(draw: Draw, content: bytearray) -> None:
    """A decimal number becomes another, or none."""
    found = list(re.finditer(rb"[0-9]+", content))
    if found:
        match = draw(st.sampled_from(found))
        other = draw(st.sampled_from([b"%d" % n for n in NUMBERS] + [b"-%d" % n for n in NUMBERS] + WORDS))
        content[match.start() : match.end()] = other


def remove(draw: Draw, content: bytearray) -> None:
    start = draw(st.integers(0, len(content) - 1))
    del content[start : start + draw(st.integers(1, 40))]


def repeat(draw: Draw, content: bytearray) -> None:
    start = draw(st.integers(0, len(content) - 1))
    piece = content[start : start + draw(st.integers(1, 40))]
    content[start:start] = piece * draw(st.sampled_from([1, 2, 300]))


def insert(draw: Draw, content: bytearray) -> None:
    at = draw(st.integers(0, len(content)))
    content[at:at] = draw(st.sampled_from(WORDS) | st.binary(min_size=1, max_size=8))


MUTATIONS = [flip_bit, truncate, set_field, set_number_in_text, remove, repeat, insert]


@st.composite
def mutated(draw: Draw, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds after one to four changes."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        if content:
            draw(st.sampled_from(MUTATIONS))(draw, content)
    return bytes(content)


def _nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


_VALUES = [None, True, False, -1, 1.5, 10**30, "", "x", "\x1b[2J", "../..", [], {}, [[]], _nested(300)]
_VALUES += [{"float": "inf"}, {"float": "nan"}, *NUMBERS, *(-number for number in NUMBERS)]


def _value(draw: Draw) -> Any:
    return copy.deepcopy(draw(st.sampled_from(_VALUES)))  # as it may be changed later


@st.composite
def mutated_json(draw: Draw, seeds: Sequence[bytes]) -> bytes:
    """The JSON object in one of the seeds after one to three changes of its values and keys."""
    document = json.loads(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        container, key = draw(st.sampled_from(places)) if places else (document, "a")
        change = draw(st.sampled_from(["set", "set", "remove", "add"]))
        if change == "remove":
            container.pop(key, None) if isinstance(container, dict) else container.pop(key)
        elif change == "add" and isinstance(container, dict):
            container[draw(st.sampled_from(["a", "", "step", "__class__"]))] = _value(draw)
        elif change == "add":
            container.append(_value(draw))
        else:
            container[key] = _value(draw)
    return json.dumps(document).encode()


def _places(value: Any) -> Any:
    """Each (container, key or index) in plain data; not far down in what is nested deeply."""
    stack = [(value, 0)]
    while stack:
        container, depth = stack.pop()
        items = list(container.items() if isinstance(container, dict) else enumerate(container))
        for key, item in items:
            yield container, key
            if isinstance(item, dict | list) and depth < 5:
                stack.append((item, depth + 1))
