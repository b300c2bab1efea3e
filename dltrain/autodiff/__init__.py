"""Define and differentiate: graphs, ops, gradients. It knows nothing of training, nor of who computes."""

from dltrain.autodiff.gradients import gradients
from dltrain.autodiff.graph import (
    Graph,
    Op,
    Tensor,
    default_graph,
    name_scope,
    reset_default_graph,
    source,
)
from dltrain.autodiff.leaves import constant, placeholder
from dltrain.autodiff.ops.bases import Elementwise, View
from dltrain.autodiff.spec import Spec
from dltrain.autodiff.variable import Updates, Variable

__all__ = [
    "Elementwise",
    "Graph",
    "Op",
    "Spec",
    "Tensor",
    "Updates",
    "Variable",
    "View",
    "constant",
    "default_graph",
    "gradients",
    "name_scope",
    "placeholder",
    "reset_default_graph",
    "source",
]
