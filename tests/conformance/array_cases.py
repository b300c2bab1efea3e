"""Cases of shapes, slices, gathering and random numbers."""

from __future__ import annotations

import math
from itertools import chain

import numpy as np
from conformance.case import FLOATS, Case, Numbers

from dltrain.autodiff import ops
from dltrain.autodiff.leaves import Constant, StopGradient, constant
from dltrain.autodiff.ops.gather import Gather, OneHot, ScatterAdd
from dltrain.autodiff.ops.joins import Concat, Pack
from dltrain.autodiff.ops.random import DropoutMask, RandomNormal, RandomUniform, TruncatedNormal
from dltrain.autodiff.ops.shape import BroadcastTo, Reshape, Transpose
from dltrain.autodiff.ops.slices import Slice, Unslice

SHAPE = [
    Case(
        "reshape",
        lambda x: ops.reshape(x, (x.shape[0], -1)),
        lambda x: np.array([row.ravel() for row in x]).reshape(len(x), math.prod(x.shape[1:])),
        Reshape,
        [[("batch", 2, 2)], [(2, 3)], [(1, 1, 1)], [(2, 0, 3)]],
    ),
    Case(
        "transpose",
        ops.transpose,
        lambda x: x.T,
        Transpose,
        [[("batch", 2, 4)], [(2, 3)], [(3,)], [()], [(0, 3)], [(1, 2)]],
    ),
    Case(
        "transpose",
        lambda x: ops.transpose(x, (2, 0, 1)),
        lambda x: np.moveaxis(x, -1, 0),
        Transpose,
        [[("batch", 2, 4)], [(1, 2, 3)], [(2, 0, 3)]],
        label="axes",
    ),
    Case(
        "expand_dims",
        lambda x: ops.expand_dims(x, (0, -1)),
        lambda x: x[None, ..., None],
        Reshape,
        [[("batch", 2)], [()], [(0,)], [(1, 1)]],
    ),
    Case(
        "squeeze",
        lambda x: ops.squeeze(x, (0, -1)),
        lambda x: x[0, ..., 0],
        Reshape,
        [[(1, "batch", 2, 1)], [(1, 1)], [(1, 0, 1)]],
    ),
    Case(
        "broadcast_to",
        lambda x: ops.broadcast_to(x, ("batch", 2, 4)),
        lambda x: x + np.zeros((3, 2, 4)),
        BroadcastTo,
        [[("batch", 1, 4)], [(2, 1)], [()], [(1, 1, 1)], [("batch", 2, 4)]],
    ),
    Case(
        "stop_gradient",
        ops.stop_gradient,
        lambda x: x,
        StopGradient,
        [[("batch", 2)], [(0,)]],
        numbers=(Numbers(0, 4, "int64"),),
    ),
]

SLICES = [
    Case(
        "slice",
        lambda x: x[..., None, 1:4:2, -1],
        lambda x: x.take([1, 3], axis=-2)[..., -1:].swapaxes(-1, -2),
        Slice,
        [[("batch", 4, 2)], [(4, 3)], [(0, 4, 2)]],
        label="mixed",
    ),
    Case(
        "slice",
        lambda x: x[0],
        lambda x: x.take(0, axis=0),
        Slice,
        [[("batch", 2)], [(3,)], [(1, 1)], [(2, 0)]],
        label="index",
    ),
    Case(
        "slice",
        lambda x: ops.concat([x, x[1::4], x[::5]], 0),
        lambda x: np.concatenate([x, x[1::4], x[::5]]),
        Slice,
        [[(5,)], [(3, 2)]],
        label="one step",
    ),
    Case(
        "Unslice",
        lambda x: Unslice((((1, None, 2), 0),), (5, 2))(x),
        lambda x: np.array([[0, 0], [x[0], 0], [0, 0], [x[1], 0], [0, 0]]),
        Unslice,
        [[(2,)]],
    ),
    Case(
        "Unslice",
        lambda x, y: Unslice((((None, 2, None),), ((1, None, None),)), (3,))(x, y),
        lambda x, y: np.array([x[0], x[1] + y[0], y[1]]),
        Unslice,
        [[(2,), (2,)]],
        label="overlapping",
    ),
    Case(
        "reshape",
        lambda x: ops.reshape(ops.sin(ops.reshape(x, (-1, 2))), x.shape),
        lambda x: np.sin(x),
        Reshape,
        [[("batch", 3, 2)], [("batch", "width", 2)], [(0, 3, 2)]],
        label="merged",
    ),
    Case(
        "concat",
        lambda *tensors: ops.concat(tensors, axis=-1),
        lambda *arrays: np.array([list(chain(*some)) for some in zip(*arrays, strict=True)]),
        Concat,
        [[("batch", 2), ("batch", 1), ("batch", 3)], [(2, 2)], [(1, 1), (1, 1)], [(2, 0), (2, 1)]],
    ),
    Case(
        "concat",
        lambda x, y: ops.concat([x * 2.0, y * y], axis=-1),
        lambda x, y: np.concatenate([x * 2, y * y], axis=-1),
        Concat,
        [[("batch", 2), ("batch", 1)], [(0, 3), (0, 2)], [(2, 0, 3), (2, 0, 2)]],
        label="computed",
    ),
    Case(
        "pack",
        lambda *tensors: ops.pack(tensors),
        lambda *arrays: np.array([number for array in arrays for number in array.flat]),
        Pack,
        [[(2, 3), (), (4,)], [(1,)], [(0, 2), (1, 2)]],
    ),
]

GATHER = [
    Case(
        "gather",
        ops.gather,
        lambda x, indices: np.array([x[i] for i in indices.flat]).reshape(indices.shape + x.shape[1:]),
        Gather,
        [
            [(4, 2), (3,)],
            [(4,), ("batch", 2)],
            [(4, "width"), ()],
            [(4, 0), (2,)],
            [(4, 2), (0,)],
            [(4, 1), (1,)],
        ],
        numbers=(FLOATS, Numbers(0, 4, "int64")),
    ),
    Case(
        "gather",
        lambda x, indices: ops.gather(x, indices, axis=-1),
        lambda x, indices: x[:, indices],
        Gather,
        [[(2, 4), (3,)], [("batch", 4), (2, 2)]],
        numbers=(FLOATS, Numbers(0, 4, "int64")),
        label="last",
    ),
    Case(
        "scatter_add",
        lambda x, indices: ops.scatter_add(x, indices, 3, axis=1),
        lambda x, indices: np.tensordot(
            x, np.eye(3)[indices], axes=(range(1, 1 + indices.ndim), range(indices.ndim))
        ).swapaxes(1, 2),
        ScatterAdd,
        [[(2, 4, 2), (4,)], [("batch", 2, 3, 2), (2, 3)], [(2, 0, 1), (0,)], [(1, 1, 1), (1,)]],
        numbers=(FLOATS, Numbers(0, 3, "int64")),
    ),
    Case(
        "one_hot",
        lambda indices: ops.one_hot(indices, 4, "float64"),
        lambda indices: np.eye(4)[indices],
        OneHot,
        [[("batch",)], [(2, 3)], [()], [(0,)]],
        numbers=(Numbers(0, 4, "int64"),),
    ),
    Case(
        "one_hot",
        lambda indices: ops.one_hot(indices, 4, "float64"),
        lambda indices: np.eye(4)[indices],
        OneHot,
        [[("batch",)]],
        numbers=(Numbers(0, 4, "uint8"),),
        label="uint8",
    ),
]

STEP = Numbers(0, 9, "int64")

RANDOM = [
    Case(
        "random_uniform",
        lambda step: ops.random_uniform(("batch", 2), step=step),
        None,
        RandomUniform,
        [[()]],
        numbers=(STEP,),
    ),
    Case(
        "random_normal",
        lambda step: ops.random_normal((2, "width"), dtype="float64", step=step),
        None,
        RandomNormal,
        [[()]],
        numbers=(STEP,),
    ),
    Case(
        "truncated_normal",
        lambda step: ops.truncated_normal((0, 3), step=step),
        None,
        TruncatedNormal,
        [[()]],
        numbers=(STEP,),
    ),
    Case("dropout", lambda x: ops.dropout(x, 0.5), None, DropoutMask, [[("batch", 3)], [()], [(0, 2)]]),
]

CONSTANT = [
    Case(
        "Constant",
        lambda x: x + constant([1.5, 2.5], x.dtype),
        lambda x: x + np.array([1.5, 2.5]),
        Constant,
        [[("batch", 2)]],
    ),
]

CASES = [*SHAPE, *SLICES, *GATHER, *RANDOM, *CONSTANT]
