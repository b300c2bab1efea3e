"""PyTorch: eager; as the side torch-compile, through torch.compile, a loop's step alone where there is one.

Unrolled, 100 Runge-Kutta steps would take torch.compile many minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import torch
from cases import Case
from measuring import Asked, Evaluation, asked, measure
from problems import (
    DIFFUSION,
    LEARNING_RATE,
    RATE,
    STEP,
    TOLERANCE,
    A,
    B,
    gmm_constant,
    gmm_positions,
    problem,
)
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn import functional

Compile = Callable[[Callable[..., Any]], Callable[..., Any]]


def gmm(case: Case, compile: Compile) -> Callable[..., Any]:
    k, d = case["components"], case["dimensions"]
    positions, constant = torch.from_numpy(gmm_positions(d)), gmm_constant(case)

    def objective(alphas: Tensor, means: Tensor, icf: Tensor, x: Tensor) -> Tensor:
        log_diagonals, lower = icf[:, :d], icf[:, d:]
        diagonals = log_diagonals.exp()
        numbers = torch.cat([diagonals, lower], 1)
        q = numbers.new_zeros(k, d * d).index_copy(1, positions, numbers).view(k, d, d)
        y = (x - means[:, None]) @ q.mT  # [k, n, d]
        weights = (alphas + log_diagonals.sum(1))[:, None]
        likelihood = torch.logsumexp(weights - 0.5 * y.square().sum(2), 0).sum()
        prior = 0.5 * (diagonals.square().sum() + lower.square().sum()) + constant
        return likelihood - len(x) * torch.logsumexp(alphas, 0) + prior

    return with_gradient(compile(objective))


def rk(case: Case, compile: Compile) -> Callable[..., Any]:
    def laplacian(x: Tensor) -> Tensor:
        return torch.cat([x[1:], x[:1]]) + torch.cat([x[-1:], x[:-1]]) - 2 * x

    def slopes(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        reaction = u.square() * v
        slope_u = A + reaction - (B + 1) * u + DIFFUSION * laplacian(u)
        return slope_u, B * u - reaction + DIFFUSION * laplacian(v)

    def step(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        u1, v1 = slopes(u, v)
        u2, v2 = slopes(u + STEP / 2 * u1, v + STEP / 2 * v1)
        u3, v3 = slopes(u + STEP / 2 * u2, v + STEP / 2 * v2)
        u4, v4 = slopes(u + STEP * u3, v + STEP * v3)
        return u + STEP / 6 * (u1 + 2 * u2 + 2 * u3 + u4), v + STEP / 6 * (v1 + 2 * v2 + 2 * v3 + v4)

    compiled = compile(step)

    def objective(u: Tensor, v: Tensor) -> Tensor:
        for _ in range(case["steps"]):
            u, v = compiled(u, v)
        return u.square().sum() + v.square().sum()

    return with_gradient(objective)


def saddle(case: Case, compile: Compile) -> Callable[..., Any]:
    def f(a: Tensor, b: Tensor) -> Tensor:
        return a.square().sum() - b.square().sum() + (a * b).sum()

    def descend(slope: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        squares = inf
        while squares > TOLERANCE**2:
            gradient = slope(x)
            x, squares = x - RATE * gradient, gradient.square().sum().item()
        return x

    def highest(at: Tensor, start: Tensor) -> Tensor:
        return descend(lambda x: grad(-f(at, x), x, create_graph=True)[0], start.requires_grad_())

    def run(a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        def slope(x: Tensor) -> Tensor:
            x = x.detach().requires_grad_()
            return grad(f(x, highest(x, b)), x)[0]

        a = descend(slope, a)
        b = highest(a, b)
        return f(a, b), a, b

    return run


def kmeans(case: Case, compile: Compile) -> Callable[..., Any]:
    def cost(centres: Tensor, points: Tensor) -> Tensor:
        return (points[:, None] - centres).square().sum(2).amin(1).sum()

    if compile is not eager:

        def both(centres: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
            def slope(centres: Tensor) -> tuple[Tensor, Tensor]:
                return torch.func.grad_and_value(cost)(centres, points)

            (gradient, value), (diagonal, _) = torch.func.jvp(slope, (centres,), (torch.ones_like(centres),))
            return value, centres - gradient / diagonal

        return compile(both)

    def run(centres: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        value = cost(centres, points)
        (gradient,) = grad(value, centres, create_graph=True)
        (diagonal,) = grad(gradient.sum(), centres)
        return value, centres - gradient / diagonal

    return run


def products(case: Case, compile: Compile) -> Callable[..., Any]:
    return with_gradient(compile(lambda a, b: 0.5 * (a @ b).square().sum()))


def product(case: Case, compile: Compile) -> Callable[..., Any]:
    return compile(lambda a, b: (a @ b,))


def lstm(case: Case, compile: Compile) -> Callable[..., Any]:
    """PyTorch has one bias a product; the second is left zero."""
    layer = nn.LSTM(case["inputs"], case["hidden"])
    names = [name for name, _ in layer.named_parameters()]
    w_x, w_h, bias = (problem(case).parameters[at] for at in range(3))
    with torch.no_grad():
        for name, array in zip(names, (w_x.T, w_h.T, bias, 0 * bias), strict=True):
            getattr(layer, name).copy_(torch.from_numpy(array))
    layer.bias_hh_l0.requires_grad_(False)
    weights = [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0]

    def run(*arguments: Tensor) -> tuple[Tensor, ...]:
        value = layer(arguments[-1])[0].square().mean()
        d_x, d_h, d_bias = grad(value, weights)
        return value, d_x.T, d_h.T, d_bias

    return run


def mlp(case: Case, compile: Compile) -> Callable[..., Any]:
    def objective(x: Tensor, y: Tensor, parameters: list[Tensor]) -> Tensor:
        h = x
        for layer in range(0, len(parameters), 2):
            h = torch.addmm(parameters[layer + 1], functional.relu(h) if layer else h, parameters[layer])
        return functional.cross_entropy(h, y)

    compiled = compile(objective)
    optimizer: torch.optim.Optimizer | None = None

    def run(*arguments: Tensor) -> tuple[Tensor, ...]:
        nonlocal optimizer
        *parameters, x, y = arguments
        optimizer = optimizer or torch.optim.SGD(parameters, LEARNING_RATE, fused=True)
        optimizer.zero_grad(set_to_none=True)
        loss = compiled(x, y, parameters)
        loss.backward()
        optimizer.step()
        return loss.item(), *parameters

    return run


def with_gradient(objective: Callable[..., Tensor]) -> Callable[..., Any]:
    def run(*arguments: Tensor) -> tuple[Tensor, ...]:
        value = objective(*arguments)
        return value, *grad(value, [argument for argument in arguments if argument.requires_grad])

    return run


def eager(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def build(asked: Asked) -> Evaluation:
    torch.set_num_threads(asked.threads)
    function = globals()[asked.case.function](asked.case, eager if asked.side == "torch" else torch.compile)
    parameters, data = problem(asked.case)
    arguments = [torch.from_numpy(array).requires_grad_() for array in parameters]
    arguments += [torch.from_numpy(array) for array in data]

    def run() -> Any:
        return function(*arguments)

    def arrays(outputs: Any) -> list[Any]:
        return [output.detach().numpy() if isinstance(output, Tensor) else output for output in outputs]

    return Evaluation(run, arrays, lambda: {"memory": peak_growth(run)})


def peak_growth(run: Callable[[], Any]) -> int:
    """By how many bytes the process grows while it evaluates once more; Linux alone."""
    if sys.platform != "linux":
        return 0
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    before = _resident("VmRSS")
    run()
    return max(0, _resident("VmHWM") - before)


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def run(asked: Asked) -> None:
    measure(asked, lambda: build(asked), {"torch": torch.__version__})


run(asked())
