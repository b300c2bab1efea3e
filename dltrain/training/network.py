"""The graph of a run: the model applied twice to the same variables, its cost, its metrics, its updates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from dltrain.autodiff import Graph, Tensor, name_scope, placeholder, source
from dltrain.autodiff.program import Program
from dltrain.autodiff.spec import Array
from dltrain.errors import ConfigError, RunError
from dltrain.execution import Session
from dltrain.models.model import BuiltModel
from dltrain.places import Key
from dltrain.training.run_config import RunConfig


@dataclass(frozen=True)
class Network:
    """A model in a graph of its own, ready to be evaluated.

    Attributes:
        inputs: placeholder, float32[batch, *input_shape].
        targets: placeholder, int64[batch]; `inputs` itself where the target is the input.
        output: float32[batch, ...]: probabilities of the classes, or a reconstruction.
        figures: of a batch, by name: "loss", the cost without penalty, scalar; then the metrics.
        sums: the names of those figures that add up over batches; the others are means over examples.
    """

    config: RunConfig
    graph: Graph
    inputs: Tensor
    targets: Tensor
    model: BuiltModel
    output: Tensor
    figures: Mapping[str, Tensor]
    sums: frozenset[str]

    @property
    def scalars(self) -> tuple[str, ...]:
        """Names of all figures that are one number, the loss first."""
        return tuple(name for name, tensor in self.figures.items() if not tensor.shape)

    @property
    def fed(self) -> list[Tensor]:
        """The placeholders to be given values, each once."""
        return list(dict.fromkeys([self.inputs, self.targets]))

    @property
    def parameters(self) -> int:
        """How many trainable numbers the model has."""
        return sum(prod(variable.spec.sizes) for variable in self.model.variables if variable.trainable)

    def evaluating(self, names: Iterable[str]) -> Program:
        """The figures of these names, for a batch."""
        fetches = tuple(self.figures[name] for name in names)
        return Program(tuple(self.fed), fetches, guards=(self.figures["loss"],))

    def add_training(self, total_steps: int) -> Program:
        """Applies the model once more, for training, and adds the optimizer; to be called once.

        Returns:
            a step: the cost of a batch, without penalty, and the learning rate; cost and penalty together
            must stay finite.

        Raises ConfigError or GraphError, with the config's key, when the parts don't fit.
        """
        config = self.config
        with self.graph, name_scope("training"):
            forward = self.model(self.inputs, training=True)
            with source(Key("cost")):
                loss = config.cost(forward, self.targets)
                penalty = config.cost.penalty(self.model.variables)
                minimized = loss if penalty is None else loss + penalty
        with self.graph, source(Key("optimizer")):
            updates = config.optimizer.minimize(minimized, total_steps=total_steps) + forward.updates
            learning_rate = config.optimizer.learning_rate_at(self.graph.step, total_steps)
        return Program(tuple(self.fed), (loss, learning_rate), updates, (minimized,))

    def load(self, session: Session, arrays: Mapping[str, Array]) -> None:
        """Gives the session the values of a checkpoint, which may hold more variables than the graph has.

        Raises RunError when one is missing or of another shape.
        """
        for variable in self.graph.variables:
            array = arrays.get(variable.name)
            if array is None or (array.shape, array.dtype) != (variable.shape, variable.dtype):
                found = "it is missing" if array is None else f"it holds {array.dtype}{list(array.shape)}"
                raise RunError(
                    "checkpoint and config do not fit",
                    where=variable.name,
                    why=f"the model needs {variable.spec}, {found}",
                    fix="restore the run's config.yaml, or start a new run",
                )
        session.load_state({variable.name: arrays[variable.name] for variable in self.graph.variables})


def build_network(config: RunConfig, input_shape: tuple[int, ...], classes: int | None) -> Network:
    """The graph that evaluates the config's model; `Network.add_training` adds what trains it.

    Arguments:
        input_shape: of one example, such as (28, 28).
        classes: number of classes; None when the target is the input.

    Raises ConfigError or GraphError, with the config's key, when the parts don't fit.
    """
    graph = Graph(seed=config.seed)
    with graph:
        with source(Key("dataset")):
            inputs = placeholder("float32", ("batch", *input_shape), name="input")
            targets = inputs if classes is None else placeholder("int64", ("batch",), name="target")
        model = config.model.build(inputs.spec, classes, config.seed)
        with name_scope("evaluation"):
            forward = model(inputs, training=False)
            with source(Key("cost")):
                figures = {"loss": config.cost(forward, targets)}
            for number, metric in enumerate(config.used_metrics):
                name, key = metric.component_name, Key("metrics", number)
                if name in figures:
                    raise ConfigError(f"metric {name!r} is given twice", where=key, fix="keep one of them")
                with source(key):
                    figures[name] = metric.build(forward, targets)
    sums = frozenset(m.component_name for m in config.used_metrics if m.reduction == "sum")
    return Network(config, graph, inputs, targets, model, forward.output, figures, sums)
