"""What each function is, and its arguments, the same for all sides. Needs NumPy alone: peers use it too.

gmm: a mixture of Gaussians as in ADBench (Srajer, Kukelova and Fitzgibbon 2018; prior with gamma = 1, m = 0):
    for points x, weights alpha, means mu and lower triangular matrices Q_k, whose diagonal is exp(q_k) and
    whose other numbers are l_k, the sum over i of logsumexp_k(alpha_k + sum(q_k) - |Q_k (x_i - mu_k)|^2 / 2),
    - n logsumexp(alpha) + (sum(exp(q)^2) + sum(l^2)) / 2 + constant; its gradient by alpha, mu and (q, l).
rk: the Brusselator with diffusion on a ring, u' = A + u^2 v - (B + 1) u + D lap(u), v' = B u - u^2 v +
    D lap(v), `steps` classical Runge-Kutta steps: the end's sum of squares, and its gradient by the start.
saddle: min over a of max over b of f(a, b) = a.a - b.b + a.b, each of two numbers, by gradient descent until
    the last gradient is shorter than TOLERANCE, within gradient descent; the outer gradient goes through the
    inner loop. (Siskind and Pearlmutter 2008, without a.b, by which here the inner end depends on a.)
kmeans: the sum of squared distances to the nearest centre; one step of Newton's method with the diagonal of
    the Hessian, which is its product with ones: a centre's numbers do not mix.
products: `count` small products c = a b: sum(c^2) / 2, and its gradient by a and b.
product: one product.
mlp: one step of gradient descent of a perceptron with two hidden layers: its cross entropy.
lstm: an LSTM (gates i, f, g, o) from zero states: mean(h^2), and its gradient by both matrices and the bias.
"""

from __future__ import annotations

from itertools import pairwise
from math import lgamma, log, pi
from typing import NamedTuple

import numpy as np
from cases import Case

A, B, DIFFUSION, STEP = 1.0, 3.0, 10.0, 0.05  # of rk
RATE, TOLERANCE, LONGEST = 0.1, 1e-5, 1000  # of saddle
LEARNING_RATE = 0.1  # of mlp


class Problem(NamedTuple):
    """Parameters are what is differentiated by; both in the order in which the sides' functions take them."""

    parameters: list[np.ndarray]
    data: list[np.ndarray]


def problem(case: Case) -> Problem:
    generator = np.random.default_rng(0)

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * generator.standard_normal(shape)).astype(case.dtype)

    match case.function:
        case "gmm":
            n, d, k = case["points"], case["dimensions"], case["components"]
            parameters = [normal(k), normal(k, d), normal(k, d * (d + 1) // 2, scale=0.3)]
            return Problem(parameters, [normal(n, d)])
        case "rk":
            angle = np.linspace(0, 2 * pi, case["unknowns"] // 2, endpoint=False)
            return Problem([1 + np.sin(angle) / 2, 3 + np.cos(angle) / 2], [])
        case "saddle":
            return Problem([], [np.array([1.0, 0.5]), np.array([1.0, -1.0])])
        case "kmeans":
            points = normal(case["points"], case["dimensions"])
            centres = points[: case["centres"]]
            return Problem([centres + normal(*centres.shape, scale=0.01)], [points])
        case "products":
            count, rows, inner, columns = case.sizes.values()
            return Problem([normal(count, rows, inner), normal(count, inner, columns)], [])
        case "product":
            return Problem([], [normal(case["rows"], case["inner"]), normal(case["inner"], case["columns"])])
        case "mlp":
            sizes = [case["inputs"], case["hidden"], case["hidden"], case["classes"]]
            parameters = [
                array for a, b in pairwise(sizes) for array in (normal(a, b, scale=a**-0.5), normal(b))
            ]
            labels = generator.integers(0, case["classes"], case["batch"])
            return Problem(parameters, [normal(case["batch"], case["inputs"]), labels])
        case _:
            steps, batch, inputs, hidden = case.sizes.values()
            parameters = [normal(size, 4 * hidden, scale=hidden**-0.5) for size in (inputs, hidden)]
            return Problem([*parameters, normal(4 * hidden)], [normal(steps, batch, inputs)])


def gmm_positions(d: int) -> np.ndarray:
    """Where (q, l) lie in a matrix of d * d numbers: the diagonal, then what is below it by columns."""
    columns, rows = np.triu_indices(d, 1)
    return np.concatenate([np.arange(d) * (d + 1), rows * d + columns])


def gmm_constant(case: Case) -> float:
    n, d, k = case["points"], case["dimensions"], case["components"]
    log_gamma = 0.25 * d * (d - 1) * log(pi) + sum(lgamma(0.5 * (d + 1 - j)) for j in range(d))
    return -0.5 * n * d * log(2 * pi) + k * (0.5 * d * (d + 1) * log(2) + log_gamma)
