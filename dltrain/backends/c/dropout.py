"""The mask of dropout in C, the same bits as NumPy's."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import ceil

from dltrain.autodiff.ops.random import DropoutMask
from dltrain.autodiff.spec import Array
from dltrain.backends.c.call import CCall, shared_call
from dltrain.compiler.ir import Node

TASK_DRAWS = 4096  # each decides on an element
DRAWS_OF_A_WORD = 4  # those of the first word are not used: it rounds the threshold


def dropout_mask(node: Node, arrays: Mapping[Node, Array], _: int) -> CCall:
    """The call of dropout.c. Its numbers are seed, stream, the bits of the rate, elements."""
    assert isinstance(node.op, DropoutMask)
    out = arrays[node]
    words = struct.pack("=QQd", node.op.seed, node.op.stream, node.op.rate)
    numbers = (*struct.unpack("=qqq", words), out.size)
    tasks = ceil((DRAWS_OF_A_WORD + out.size) / TASK_DRAWS)
    constants = {"TASK_DRAWS": TASK_DRAWS, "DRAWS_OF_A_WORD": DRAWS_OF_A_WORD}
    return shared_call("dropout", node, (arrays[node.inputs[0]], out), numbers, tasks, **constants)
