"""softmax_regression: one linear layer, the simplest classifier."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from dltrain.autodiff.spec import Spec
from dltrain.layers.initializers import Initializer, Zeros
from dltrain.layers.layer import BuiltLayer
from dltrain.models.mlp import Mlp
from dltrain.models.model import Model


class SoftmaxRegression(Model, name="softmax_regression"):
    """y = softmax(x W + b), x one flat vector an example: multinomial logistic regression (Bishop, Pattern
    Recognition and Machine Learning, 2006, section 4.3.4). With cross_entropy the problem is convex.
    """

    kernel_initializer: Initializer = Field(default=Zeros(), description="first values of the kernel W")
    bias_initializer: Initializer = Field(default=Zeros(), description="first values of the bias b")

    def connect(self, inputs: Spec, classes: int | None, seed: int) -> Sequence[BuiltLayer]:
        mlp = Mlp(
            hidden=(), kernel_initializer=self.kernel_initializer, bias_initializer=self.bias_initializer
        )
        return mlp.connect(inputs, self.labelled(classes), seed)
