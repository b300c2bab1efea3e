"""dropout: noise in training that keeps units from relying on each other."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from dltrain.autodiff import ops
from dltrain.autodiff.graph import Tensor
from dltrain.layers.layer import Forward, Layer


class Dropout(Layer, name="dropout"):
    """In training y = x * mask / (1 - rate), each element of mask 0 with probability `rate`, else 1;
    elsewhere y = x (Srivastava et al., 2014, section 10, "inverted" as noted there).
    """

    rate: float = Field(default=0.5, ge=0, lt=1, description="share of inputs that are set to 0 in training")

    def apply(self, x: Tensor, variables: Mapping[str, Tensor], *, training: bool) -> Forward:
        return Forward(ops.dropout(x, self.rate) if training and self.rate > 0 else x)
