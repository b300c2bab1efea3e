"""The mask of dropout in C, the same bits as NumPy's."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import ceil

from dltrain.autodiff.ops.random import DropoutMask
from dltrain.autodiff.spec import Array
from dltrain.backends.c.shared import SharedCall
from dltrain.compiler.ir import Node

TASK_ELEMENTS = 4096  # TASK_DRAWS of dropout.c
UNUSED_DRAWS = 4  # of the first word, which rounds the threshold


def dropout_mask(node: Node, arrays: Mapping[Node, Array]) -> SharedCall:
    """The call of dropout.c. Its numbers are seed, stream, the bits of the rate, elements."""
    assert isinstance(node.op, DropoutMask)
    out = arrays[node]
    words = struct.pack("=QQd", node.op.seed, node.op.stream, node.op.rate)
    tasks = ceil((UNUSED_DRAWS + out.size) / TASK_ELEMENTS)
    arguments = (*struct.unpack("=qqq", words), out.size)
    return SharedCall("dropout", (arrays[node.inputs[0]], out), arguments, tasks)
