"""Objective: what an optimizer makes small, a loss as a function of parameters."""

from __future__ import annotations

from collections.abc import Sequence

from dltrain.autodiff.gradients import gradients
from dltrain.autodiff.graph import Tensor, Variable
from dltrain.autodiff.products import gauss_newton_vector_product, hessian_vector_product, require_like, vjp
from dltrain.autodiff.substitution import substituted
from dltrain.errors import GraphError


class Objective:
    """A loss as a function of parameters, as graph: its value here and elsewhere, and its derivatives.

    Arguments:
        loss: a float scalar.
        variables: the parameters; default all trainable ones of the graph that the loss depends on.
        outputs: tensors that the loss, less the penalty, is computed from, and in which it is convex: what
            a model gives, its scores; for Gauss-Newton products.
        penalty: the part of the loss that does not go through `outputs`; default none.

    Attributes:
        loss: as given.
        variables: the parameters.
        gradient: of the loss, for each variable a tensor of its spec.

    Raises:
        GraphError: the loss is no scalar, or depends on none of the variables, or not on all given ones.
    """

    def __init__(
        self,
        loss: Tensor,
        variables: Sequence[Variable] | None = None,
        *,
        outputs: Sequence[Tensor] = (),
        penalty: Tensor | None = None,
    ) -> None:
        if loss.shape:
            what, fix = f"a loss is a scalar, but {loss.name!r} is {loss.spec}", "take its mean"
            raise GraphError(what, where=loss.source, fix=fix)
        wrt = variables if variables is not None else [v for v in loss.graph.variables if v.trainable]
        found = dict(zip(wrt, gradients(loss, wrt), strict=True))
        missing = [variable.name for variable, gradient in found.items() if gradient is None]
        if len(missing) == len(found) or (missing and variables is not None):
            raise GraphError(
                f"the loss {loss.name!r} does not depend on "
                + (", ".join(map(repr, missing)) if missing else "any trainable variable"),
                where=loss.source,
                fix="minimize with respect to variables that it is computed from",
            )
        self.loss, self._outputs, self._penalty = loss, outputs, penalty
        self.variables = [variable for variable in found if found[variable] is not None]
        self.gradient = [gradient for gradient in found.values() if gradient is not None]

    def at(self, values: Sequence[Tensor]) -> Tensor:
        """The loss where the variables have other values, a scalar: for line searches.

        Arguments:
            values: for each variable a tensor of its spec.

        Raises:
            GraphError: there is not one value of each variable's spec.
        """
        require_like(self.variables, values, "value")
        (loss,) = substituted([self.loss], dict(zip(self.variables, values, strict=True)))
        return loss

    def hessian_product(self, vectors: Sequence[Tensor]) -> list[Tensor]:
        """H v, H the Hessian of the loss: u J, u = v, of the gradient, since H is symmetric.

        Arguments:
            vectors: v, for each variable a tensor of its spec.
        """
        return vjp(self.gradient, self.variables, vectors)

    def gauss_newton_product(self, vectors: Sequence[Tensor]) -> list[Tensor]:
        """G v, with G = J^T H J + P: J the Jacobian of the outputs, H the Hessian of the loss in them, P that
        of the penalty; see `gauss_newton_vector_product`.

        Arguments:
            vectors: v, for each variable a tensor of its spec.

        Raises:
            GraphError: the objective has no outputs.
        """
        if not self._outputs:
            what, fix = "the loss has no Gauss-Newton matrix", "give the objective its outputs"
            raise GraphError(what, where=self.loss.source, fix=fix)
        products = gauss_newton_vector_product(self.loss, self._outputs, self.variables, vectors)
        if self._penalty is None:
            return products
        more = hessian_vector_product(self._penalty, self.variables, vectors)
        return [product + part for product, part in zip(products, more, strict=True)]
