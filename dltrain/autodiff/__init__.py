"""Define and differentiate: graphs, ops, gradients. It knows nothing of training, nor of who computes."""

import dltrain.autodiff.operators  # noqa: F401 - gives tensors their operators
from dltrain.autodiff.gradients import gradients
from dltrain.autodiff.graph import (
    Graph,
    Node,
    Tensor,
    Updates,
    Variable,
    default_graph,
    name_scope,
    reset_default_graph,
    source,
)
from dltrain.autodiff.leaves import constant, placeholder
from dltrain.autodiff.loops import scan, while_loop
from dltrain.autodiff.op import Op
from dltrain.autodiff.ops.bases import Elementwise, View
from dltrain.autodiff.products import gauss_newton_vector_product, hessian_vector_product, jacobian, jvp, vjp
from dltrain.autodiff.program import Program
from dltrain.autodiff.spec import Spec

__all__ = [
    "Elementwise",
    "Graph",
    "Node",
    "Op",
    "Program",
    "Spec",
    "Tensor",
    "Updates",
    "Variable",
    "View",
    "constant",
    "default_graph",
    "gauss_newton_vector_product",
    "gradients",
    "hessian_vector_product",
    "jacobian",
    "jvp",
    "name_scope",
    "placeholder",
    "reset_default_graph",
    "scan",
    "source",
    "vjp",
    "while_loop",
]
