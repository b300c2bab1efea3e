"""`dltrain validate`: check a config without training."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import prod
from pathlib import Path

import click

from dltrain.autodiff import Variable
from dltrain.cli.options import UserPath
from dltrain.cli.printing import shown_bytes, shown_operations
from dltrain.config import json_schema
from dltrain.inspection.resources import Resources, measure_resources
from dltrain.runs.run import Run
from dltrain.training.config_file import load_config, located
from dltrain.training.run_config import RunConfig


@click.command(
    epilog="Examples: dltrain validate configs/mlp.yaml | dltrain validate --json-schema > schema.json"
)
@click.argument("config", type=UserPath(), required=False)
@click.argument("overrides", metavar="[key=value]...", nargs=-1)
@click.option(
    "--json-schema", "wants_schema", is_flag=True, help="Print the JSON Schema of configs, for editors."
)
@click.option(
    "--resources",
    "measured",
    is_flag=True,
    help="Print also what training takes: memory, disk, floating-point operations.",
)
def validate(config: Path | None, overrides: tuple[str, ...], wants_schema: bool, measured: bool) -> None:
    """Check CONFIG without training.

    Checks every key, that the data set is there and whole, and that model, cost, optimizer, metrics and data
    fit each other; prints the model's layers and how many steps training takes.

    With --resources the plans are compiled as `fit` does. Operations are those of the matrix products.
    """
    if wants_schema:
        click.echo(json.dumps(json_schema(RunConfig), indent=2))
        return
    if config is None:
        raise click.UsageError("missing CONFIG: give a YAML file")
    document, parsed = load_config(config, overrides)
    with located(document):
        if measured:
            run, resources = measure_resources(parsed)
            lines = [*_description(run), *_lines(resources)]
        else:
            lines = _description(Run(parsed))
    click.echo("\n".join(lines))


def _description(run: Run) -> list[str]:
    config, network = run.config, run.network
    shape = _sizes(run.data.input_shape)
    splits = ", ".join(f"{len(split)} {name}" for name, split in run.data.splits.items())
    examples = len(run.data.splits["train"])
    total, per_epoch = config.total_steps(examples), config.steps_per_epoch(examples)
    return [
        f"dataset    {config.dataset.component_name}: {splits} examples, each {shape}",
        f"model      {config.model.component_name}: {network.parameters:,} parameters",
        *_layers(run),
        f"cost       {config.cost.component_name}",
        f"optimizer  {config.optimizer.component_name}",
        f"metrics    {', '.join(network.figures)}",
        f"train      {total} steps, {per_epoch} an epoch",
    ]


def _layers(run: Run) -> list[str]:
    """A line a layer: name, shape of the output of an example, numbers that are trained."""
    lines = []
    for layer in run.network.model.layers:
        variables = [v for v in layer.variables.values() if isinstance(v, Variable) and v.trainable]
        parameters = sum(prod(variable.spec.sizes) for variable in variables)
        lines.append(f"  {layer.scope:<30} {_sizes(layer.output.shape[1:]):<12} {parameters:>12,}")
    return lines


def _lines(resources: Resources) -> list[str]:
    evaluated = "validation" if "validation" in resources.plans else "test"
    step, *last = (shown_bytes(plan.bytes) for plan in resources.plans["train"])
    epoch = resources.operations("train") + resources.operations("validation")
    lines = [
        f"memory     data set {shown_bytes(resources.data)}, variables {shown_bytes(resources.variables)}",
        f"plans      step {step}{''.join(f', last step of an epoch {size}' for size in last)}, "
        f"evaluation {shown_bytes(resources.plan_bytes(evaluated))}",
        f"operations {shown_operations(resources.plans['train'][0].operations)} a step, "
        f"{shown_operations(epoch)} an epoch",
        f"checkpoint {shown_bytes(resources.checkpoint)}",
    ]
    peak = resources.peak
    if peak is None:
        return [*lines, "peak       unknown: this system does not tell the memory of a process"]
    return [
        *lines,
        f"peak       {shown_bytes(max(peak.loading, peak.training, peak.testing))}: "
        f"{shown_bytes(peak.loading)} while the data set is loaded, "
        f"{shown_bytes(peak.training)} in training, {shown_bytes(peak.testing)} in the test",
        f"training   program {shown_bytes(peak.program)}, graph {shown_bytes(peak.graph)}, "
        f"data {shown_bytes(peak.data)}, variables {shown_bytes(peak.variables)}, "
        f"plans {shown_bytes(peak.plans)}, at times {shown_bytes(peak.moment)}",
    ]


def _sizes(shape: Iterable[object]) -> str:
    return " x ".join(map(str, shape))
