"""A backend in plain Python, which computes all that training a perceptron takes."""

import math
import operator
from itertools import product

from dltrain.autodiff import Elementwise
from dltrain.autodiff.ops.gather import OneHot
from dltrain.autodiff.ops.matmul import Matmul
from dltrain.autodiff.ops.reduce import Mean, Sum
from dltrain.autodiff.ops.softmax import SoftmaxCrossEntropy
from dltrain.backends.backend import Backend, Table, call_of
from dltrain.compiler.ir import Copy


class Python(Backend):
    """Loops over numbers, in Python."""

    name = "python"
    lowering = Table()


FUNCTIONS = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
    "square": lambda x: x * x,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "relu": lambda x: max(x, 0.0),
    "step": lambda x: float(x > 0),
    "cast": lambda x: x,
    "copy": lambda x: x,
}


def places(shape):
    return product(*map(range, shape))


def at(x, place):
    """The number of x there, under broadcasting."""
    own = place[len(place) - x.ndim :]
    return x[tuple(0 if size == 1 else i for i, size in zip(own, x.shape, strict=True))]


@Python.lowering(Elementwise, Copy)
def group(work, backend):
    if not all(node.op.label in FUNCTIONS for node in work.nodes):
        return None
    memory = {node: memoryview(array) for node, array in work.arrays.items() if array.size}

    def run():
        for place in places(work.node.spec.sizes):
            values = {}
            for node in work.nodes:
                inputs = (values[s] if s in values else at(memory[s], place) for s in node.inputs)
                values[node] = FUNCTIONS[node.op.label](*inputs)
            for node in memory.keys() & values.keys():
                memory[node][place] = values[node]

    return [call_of(work, run)]


@Python.lowering(Matmul)
def matmul(work, backend):
    op, (a, b), (out,) = work.node.op, map(memoryview, work.inputs), map(memoryview, work.outputs)
    if out.ndim > 2:
        return None

    def run():
        for i, j in places(out.shape):
            row = [a[k, i] if op.transpose_a else a[i, k] for k in range(a.shape[not op.transpose_a])]
            out[i, j] = sum(r * (b[j, k] if op.transpose_b else b[k, j]) for k, r in enumerate(row))

    return [call_of(work, run)]


@Python.lowering(Sum, Mean)
def reduction(work, backend):
    op, (x,), (out,) = work.node.op, map(memoryview, work.inputs), work.outputs
    kept = memoryview(out.reshape([1 if axis in op.axes else size for axis, size in enumerate(x.shape)]))
    count = x.nbytes // out.nbytes if isinstance(op, Mean) else 1

    def run():
        for target in places(kept.shape):
            ranges = [range(x.shape[a]) if a in op.axes else [i] for a, i in enumerate(target)]
            kept[target] = sum(x[place] for place in product(*ranges)) / count

    return [call_of(work, run)]


@Python.lowering(SoftmaxCrossEntropy)
def cross_entropy(work, backend):
    (x, labels), (losses, logs) = map(memoryview, work.inputs), map(memoryview, work.outputs)

    def run():
        for row, numbers in enumerate(x.tolist()):
            total = math.log(sum(map(math.exp, numbers)))
            for column, number in enumerate(numbers):
                logs[row, column] = number - total
            losses[row] = -logs[row, labels[row]]

    return [call_of(work, run)] if x.ndim == 2 else None


@Python.lowering(OneHot)
def one_hot(work, backend):
    (labels,), (out,) = map(memoryview, work.inputs), map(memoryview, work.outputs)

    def run():
        for row, column in places(out.shape):
            out[row, column] = labels[row] == column

    return [call_of(work, run)] if out.ndim == 2 else None
