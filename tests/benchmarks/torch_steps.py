"""PyTorch: eager; as the side torch-compile, forward and backward through torch.compile."""

from __future__ import annotations

import numpy as np
import torch
from protocol import Task, first_parameters, measure, mnist, task, test_result
from torch import nn
from torch.nn import functional
from workloads import Workload

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}


def build(workload: Workload) -> nn.Sequential:
    layers: list[nn.Module] = []
    for layer, (kernel, bias) in enumerate(first_parameters(workload)):
        linear = nn.Linear(*kernel.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(kernel.T))
            linear.bias.copy_(torch.from_numpy(bias))
        layers.append(linear)
        if workload.is_activated(layer):
            layers.append(ACTIVATIONS[workload.activation]())
    return nn.Sequential(*layers)


def optimizer_of(workload: Workload, model: nn.Module) -> torch.optim.Optimizer:
    """The fastest that PyTorch has on a CPU: fused where there is one."""
    parameters, rate = model.parameters(), workload.learning_rate
    match workload.optimizer:
        case "sgd":
            return torch.optim.SGD(parameters, rate, fused=True)
        case "adam":
            return torch.optim.Adam(parameters, rate, fused=True)
    return torch.optim.RMSprop(parameters, rate, alpha=0.9)


def run(task: Task) -> None:
    torch.set_num_threads(task.threads)
    workload = task.workload
    train_x, train_y, test_x, test_y = (torch.from_numpy(array) for array in mnist(task.data))
    model = build(workload)
    optimizer = optimizer_of(workload, model)
    cost = functional.mse_loss if workload.reconstruct else functional.cross_entropy

    def forward_backward(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = cost(model(x), target)
        loss.backward()
        return loss

    if task.side == "torch-compile":
        forward_backward = torch.compile(forward_backward)

    def step(batch: torch.Tensor) -> float:
        x = train_x.index_select(0, batch)
        target = x if workload.reconstruct else train_y.index_select(0, batch)
        optimizer.zero_grad(set_to_none=True)
        loss = forward_backward(x, target)
        optimizer.step()
        return loss.item()

    def result() -> float:
        with torch.no_grad():
            return test_result(workload, model(test_x).numpy(), test_x.numpy(), test_y.numpy())

    versions = {"torch": torch.__version__, "numpy": np.__version__}
    measure(task, step, result, versions, place=torch.from_numpy)


run(task())
