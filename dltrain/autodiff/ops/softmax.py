"""Softmax and the cross entropies, computed so that large logits neither overflow nor lose the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np

from dltrain.autodiff.graph import Node, Tensor, TensorLike, name_scope
from dltrain.autodiff.leaves import as_tensor
from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.activations import sigmoid
from dltrain.autodiff.ops.arithmetic import Add, Divide, add, negative
from dltrain.autodiff.ops.bases import FloatElementwise, operand, operands, require_float
from dltrain.autodiff.ops.exponential import exp
from dltrain.autodiff.ops.gather import check_range, one_hot, require_indices
from dltrain.autodiff.ops.logic import cast, equal, where
from dltrain.autodiff.ops.reduce import sum
from dltrain.autodiff.ops.shape import expand_dims
from dltrain.autodiff.properties import Workspace
from dltrain.autodiff.spec import Array, Spec, as_array, normalize_axis
from dltrain.errors import GraphError

__all__ = ["log_softmax", "sigmoid_cross_entropy", "softmax", "softmax_cross_entropy"]

SHORT_ROW = 64  # numbers; NumPy reduces shorter rows so slowly that it pays to make them columns first


def _softmax(x: Array, out: Array, axis: int) -> None:
    np.subtract(x, np.maximum.reduce(x, axis=axis, keepdims=True), out=out)
    np.exp(out, out=out)
    np.divide(out, np.add.reduce(out, axis=axis, keepdims=True), out=out)


def _log_softmax(x: Array, out: Array, axis: int) -> None:
    shift = np.maximum.reduce(x, axis=axis, keepdims=True)
    np.subtract(x, shift, out=out)
    np.exp(out, out=out)
    log_total = np.add.reduce(out, axis=axis, keepdims=True)
    np.log(log_total, out=log_total)
    np.subtract(x, shift, out=out)
    np.subtract(out, log_total, out=out)


@dataclass(frozen=True)
class AlongAxis(Op, abstract=True):
    """A function of all numbers along the axis, in the shape of x; its kernel is `fill(x, out, axis)`."""

    axis: int
    fill: ClassVar[staticmethod[[Array, Array, int], None]]

    def infer(self, x: Spec) -> Spec:
        require_float(x)
        return x

    def workspace(self, *inputs: Array, out: Array) -> Workspace | None:
        (x,) = inputs
        length = x.shape[self.axis]
        if not out.size or self.axis != x.ndim - 1 or length >= SHORT_ROW:
            return None
        return (2, length, x.size // length), x.dtype

    def compute(self, x: Array, *, out: Array, workspace: Array | None = None) -> None:
        if workspace is None and (needed := self.workspace(x, out=out)):
            workspace = np.empty(*needed)
        if workspace is not None:
            columns, result = workspace
            columns[...] = x.reshape(-1, len(columns)).T
            self.fill(columns, result, 0)
            np.copyto(out, result.T.reshape(out.shape))
        elif out.size:
            self.fill(x, out, self.axis)


class Softmax(AlongAxis):
    """exp(x) / sum(exp(x)) along the axis."""

    fill = staticmethod(_softmax)

    @property
    def logarithm(self) -> LogSoftmax:
        return LogSoftmax(self.axis)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        """p (u - sum(u p)); the parts of u that are v / p, as log(p) gives them, are v - p sum(v).

        So the quotient, of 0 and 0 where the softmax underflows, cancels out, whoever else uses p.
        """
        p = node.output
        addends, dividends, others = [upstream], [], []
        while addends:
            part = addends.pop()
            if isinstance(part.op, Add):
                addends += part.inputs
            elif isinstance(part.op, Divide) and part.inputs[1] is p and part.inputs[0].shape == p.shape:
                dividends.append(part.inputs[0])
            else:
                others.append(part)
        if not dividends:
            return p * (upstream - sum(upstream * p, self.axis, keepdims=True))
        v = reduce(add, dividends)
        quotients = v - p * sum(v, self.axis, keepdims=True)
        if not others:
            return quotients
        u = reduce(add, others)
        return quotients + p * (u - sum(u * p, self.axis, keepdims=True))


def softmax(x: TensorLike, axis: int = -1, name: str | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along the axis. Bridle 1990.

    x is first reduced by its greatest along the axis. -inf gives 0; an axis with +inf, or with nothing but
    -inf, gives nan.
    """
    tensor = operand(x)
    return Softmax(normalize_axis(axis, tensor.spec.rank))(tensor, name=name)


class LogSoftmax(AlongAxis):
    """x - log(sum(exp(x))) along the axis."""

    fill = staticmethod(_log_softmax)

    def gradient(self, node: Node, upstream: Tensor) -> Tensor:
        return upstream - exp(node.output) * sum(upstream, self.axis, keepdims=True)


def log_softmax(x: TensorLike, axis: int = -1, name: str | None = None) -> Tensor:
    """x - log(sum(exp(x))) along the axis: finite wherever x is, where log(softmax(x)) would be -inf.

    An axis with +inf, or with nothing but -inf, gives nan.
    """
    tensor = operand(x)
    return LogSoftmax(normalize_axis(axis, tensor.spec.rank))(tensor, name=name)


class SoftmaxCrossEntropy(Op):
    """-log(softmax(logits)) at the label, for each row; and log(softmax(logits)), for its gradient."""

    def infer(self, logits: Spec, labels: Spec) -> tuple[Spec, Spec]:
        require_float(logits)
        require_indices(labels)
        if labels.shape != logits.shape[:-1]:
            raise GraphError("integer labels have the shape of the logits without their last axis")
        return logits.with_shape(labels.shape), logits

    def compute(self, logits: Array, labels: Array, *, out: tuple[Array, Array]) -> None:
        losses, log_probabilities = out
        classes = logits.shape[-1]
        check_range(labels, classes, "label")
        LogSoftmax(logits.ndim - 1).compute(logits, out=log_probabilities)
        if losses.size:
            places = np.arange(0, logits.size, classes) + labels.reshape(-1)
            log_probabilities.take(places.reshape(losses.shape), out=losses, mode="clip")
            np.negative(losses, out=losses)

    def gradient(self, node: Node, upstream: Tensor | None, of_log: Tensor | None) -> Sequence[Tensor | None]:
        """Of the loss softmax(logits) - one_hot(label); of log(softmax) as that of `LogSoftmax`."""
        logits, labels = node.inputs
        probabilities, classes = exp(node.outputs[1]), logits.shape[-1]
        assert isinstance(classes, int)
        gradients = []
        if upstream is not None:
            difference = probabilities - one_hot(labels, classes, logits.dtype)
            gradients.append(expand_dims(upstream, -1) * difference)
        if of_log is not None:
            gradients.append(of_log - probabilities * sum(of_log, -1, keepdims=True))
        return reduce(add, gradients), None


def softmax_cross_entropy(logits: TensorLike, labels: TensorLike, name: str | None = None) -> Tensor:
    """-sum(p log(softmax(logits))) over the last axis: a loss for each example, in nats.

    Arguments:
        logits: float `[..., classes]`, any finite numbers.
        labels: int64 or uint8 `[...]`, each from 0 to classes - 1; or a distribution p over the classes, of
            the logits' shape and dtype. A p of 0 contributes 0 whatever the logit.

    Raises:
        GraphError: shapes or dtypes that don't match, or a label out of range (when it runs).
    """
    scores = operand(logits)
    with scores.graph, name_scope(name or "softmax_cross_entropy"):
        if not scores.spec.rank:
            raise GraphError(f"the logits {scores!r} need an axis of classes")
        classes = _labels_like(scores, labels)
        if not classes.spec.is_float:
            return _with_integer_labels(scores, cast(classes, "int64"))
        if classes.shape != scores.shape:
            raise GraphError(
                f"labels {classes.spec} are no distribution over the classes of logits {scores.spec}",
                fix="give both the same shape, or integer labels",
            )
        terms = where(equal(classes, 0), 0, classes * log_softmax(scores))
        return negative(sum(terms, -1))


def _with_integer_labels(logits: Tensor, labels: Tensor) -> Tensor:
    if not isinstance(logits.shape[-1], int):
        raise GraphError(f"the number of classes of {logits!r} is not known", fix="give the last axis a size")
    losses, _ = SoftmaxCrossEntropy().apply(logits, labels)
    return losses


def _labels_like(logits: Tensor, labels: TensorLike) -> Tensor:
    """The labels as a tensor; floats adopt the dtype of the logits."""
    if isinstance(labels, Tensor):
        return labels
    array = as_array(labels)
    return as_tensor(array, logits.dtype if array.dtype.kind == "f" else None)


class SigmoidCrossEntropy(FloatElementwise):
    """-z log(sigmoid(x)) - (1 - z) log(1 - sigmoid(x)), as max(x, 0) - x z + log(1 + exp(-|x|))."""

    formula = "({0} < 0 ? 0 : {0}) - {0} * {1} + log1p{F}(exp{F}(-fabs{F}({0})))"

    in_place = False

    def compute(self, x: Array, z: Array, *, out: Array) -> None:
        np.absolute(x, out=out)
        np.negative(out, out=out)
        np.exp(out, out=out)
        np.log1p(out, out=out)
        linear = np.maximum(x, 0) - x * z  # summed first: what is large cancels, and out may be small
        np.add(out, linear, out=out)

    def gradient(self, node: Node, upstream: Tensor) -> Sequence[Tensor | None]:
        x, z = node.inputs
        return upstream * (sigmoid(x) - z), -(upstream * x)


def sigmoid_cross_entropy(logits: TensorLike, labels: TensorLike, name: str | None = None) -> Tensor:
    """-z log(sigmoid(x)) - (1 - z) log(1 - sigmoid(x)) of logits x and labels z: elementwise, in nats.

    Arguments:
        logits: float, any finite numbers.
        labels: of the same dtype, from 0 to 1; both broadcast.
    """
    return SigmoidCrossEntropy()(*operands(logits, labels), name=name)
