"""mlp and softmax_regression: dense layers one after the other, or a single one that tells classes apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import ClassVar

from pydantic import Field

from dltrain.autodiff.spec import Spec
from dltrain.layers.activations import Activation, Relu
from dltrain.layers.dense import Dense
from dltrain.layers.dropout import Dropout
from dltrain.layers.initializers import GlorotUniform, Initializer, Zeros
from dltrain.layers.layer import BuiltLayer, Layer
from dltrain.layers.shapes import Flatten, Reshape, Sizes
from dltrain.models.model import Model, chain
from dltrain.places import Key
from dltrain.task import ClassTarget, Target


class Mlp(Model, name="mlp"):
    """h_i = f(h_(i-1) W_i + b_i) for each hidden layer, h_0 one flat vector an example, and y = g(h_n W + b)
    (Rumelhart et al., 1986), where g is softmax for classes, sigmoid for labels of yes or no, and nothing for
    numbers. With an empty `hidden` it is softmax_regression, logistic or linear regression.
    """

    hidden: Sizes = Field(description="sizes of the hidden layers, from the input on; may be empty")
    activation: Activation = Field(default=Relu(), description="function of the hidden layers' sums")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of hidden units set to 0 in training")
    kernel_initializer: Initializer = Field(default=GlorotUniform(), description="first values of kernels")
    bias_initializer: Initializer = Field(default=Zeros(), description="first values of biases")

    def connect(self, inputs: Spec, target: Target, seed: int) -> Sequence[BuiltLayer]:
        dense = partial(
            Dense, kernel_initializer=self.kernel_initializer, bias_initializer=self.bias_initializer
        )
        layers: list[tuple[Layer, Key]] = [(Flatten(), Key("model"))]
        for position, units in enumerate(self.hidden):
            key = Key("model", "hidden", position)
            layers.append((dense(units=units, activation=self.activation), key))
            layers.append((Dropout(rate=self.dropout), key))
        layers.append((dense(units=prod(target.output_shape)), Key("model")))
        if len(target.output_shape) != 1:
            layers.append((Reshape(shape=target.output_shape), Key("model")))
        return chain(layers, inputs, seed)


class SoftmaxRegression(Model, name="softmax_regression"):
    """y = softmax(x W + b), x one flat vector an example: multinomial logistic regression (Bishop, Pattern
    Recognition and Machine Learning, 2006, section 4.3.4). With cross_entropy the problem is convex.
    """

    targets: ClassVar[tuple[type[Target], ...]] = (ClassTarget,)

    kernel_initializer: Initializer = Field(default=Zeros(), description="first values of the kernel W")
    bias_initializer: Initializer = Field(default=Zeros(), description="first values of the bias b")

    def connect(self, inputs: Spec, target: Target, seed: int) -> Sequence[BuiltLayer]:
        mlp = Mlp(
            hidden=(), kernel_initializer=self.kernel_initializer, bias_initializer=self.bias_initializer
        )
        return mlp.connect(inputs, target, seed)
