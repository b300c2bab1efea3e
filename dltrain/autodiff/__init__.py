"""Define, differentiate, compile, run: the autodiff core. It knows nothing of training."""

from dltrain.autodiff.checking import check_gradients
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
from dltrain.autodiff.session import Session
from dltrain.autodiff.spec import Spec
from dltrain.autodiff.variable import Updates, Variable

__all__ = [
    "Elementwise",
    "Graph",
    "Op",
    "Session",
    "Spec",
    "Tensor",
    "Updates",
    "Variable",
    "View",
    "check_gradients",
    "constant",
    "default_graph",
    "gradients",
    "name_scope",
    "placeholder",
    "reset_default_graph",
    "source",
]
