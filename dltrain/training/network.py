"""The graph of a run: the model applied twice to the same variables, its cost, its metrics, its updates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from dltrain.autodiff import Graph, Tensor, name_scope, placeholder, source
from dltrain.autodiff.ops import cast, gather
from dltrain.autodiff.program import Program
from dltrain.autodiff.spec import Array
from dltrain.errors import ConfigError, RunError
from dltrain.execution import Session
from dltrain.metrics import Accuracy, Metric, Mse
from dltrain.models.model import BuiltModel
from dltrain.optimizers import Objective
from dltrain.places import Key
from dltrain.task import Prediction, Target
from dltrain.training.figures import Figure
from dltrain.training.run_config import RunConfig


@dataclass(frozen=True, eq=False)
class Stored:
    """A batch as graph: what is gathered from stored examples, made float32 and scaled.

    Attributes:
        inputs: placeholders: the stored inputs, dtype[examples, *input_shape]; the stored targets, unless
            these are the inputs; and int64[batch], which rows of them are the batch.
        substitutions: the network's inputs and targets, and what stands for them.
    """

    inputs: tuple[Tensor, ...]
    substitutions: tuple[tuple[Tensor, Tensor], ...]


@dataclass(frozen=True)
class Network:
    """A model in a graph of its own, ready to be evaluated.

    Attributes:
        inputs: placeholder, float32[batch, *input_shape].
        target: what the data set asks for.
        targets: placeholder, `(batch, *target.shape)`; `inputs` itself where the target is the input.
        prediction: what the model gives.
        loss: the cost of a batch, without penalty, scalar.
        figures: by name: "loss"; then the metrics.
    """

    config: RunConfig
    graph: Graph
    inputs: Tensor
    target: Target
    targets: Tensor
    model: BuiltModel
    prediction: Prediction
    loss: Tensor
    figures: Mapping[str, Figure]
    _stored: dict[tuple[np.dtype[Any], float], Stored] = field(default_factory=dict, init=False, repr=False)

    @property
    def scalars(self) -> tuple[str, ...]:
        """Names of all figures that are one number, the loss first."""
        return tuple(name for name, figure in self.figures.items() if figure.is_number)

    @property
    def units(self) -> Mapping[str, str]:
        """The unit of each figure, see `Metric`."""
        return {name: figure.unit for name, figure in self.figures.items()}

    @property
    def fed(self) -> list[Tensor]:
        """The placeholders to be given values, each once."""
        return list(dict.fromkeys([self.inputs, self.targets]))

    @property
    def parameters(self) -> int:
        """How many trainable numbers the model has."""
        return sum(prod(variable.spec.sizes) for variable in self.model.variables if variable.trainable)

    def stored(self, dtype: np.dtype[Any], scale: np.float32) -> Stored:
        """A batch of examples whose inputs are stored as `dtype`, and are to be multiplied by `scale`.

        It is no part of the network, which is also used for what is not stored so, or not stored at all.
        """
        found = self._stored.get((dtype, float(scale)))
        if found is None:
            with self.graph, name_scope("batch"), source(Key("dataset")):
                rows = placeholder("int64", ("batch",), "rows")
                dtypes = [dtype, *(tensor.dtype for tensor in self.fed[1:])]
                memory = [
                    placeholder(dtype, ("examples", *tensor.shape[1:]), tensor.name)
                    for tensor, dtype in zip(self.fed, dtypes, strict=True)
                ]
                inputs, *targets = [gather(stored, rows) for stored in memory]
                inputs = cast(inputs, self.inputs.dtype)
                pairs = zip(self.fed, [inputs if scale == 1 else inputs * scale, *targets], strict=True)
            found = self._stored[dtype, float(scale)] = Stored((*memory, rows), tuple(pairs))
        return found

    def evaluating(self, names: Iterable[str]) -> Program:
        """The sums of the figures of these names, one after the other, for a batch."""
        fetches = tuple(tensor for name in names for tensor in self.figures[name].sums)
        return Program(tuple(self.fed), fetches, guards=(self.loss,))

    def add_training(self, total_steps: int) -> Program:
        """Applies the model once more, for training, and adds the optimizer; to be called once.

        Returns:
            a step: the cost of a batch, without penalty, and the learning rate; cost and penalty together
            must stay finite.

        Raises ConfigError or GraphError, with the config's key, when the parts don't fit.
        """
        config = self.config
        with self.graph, name_scope("training"):
            prediction, followed = self.model(self.inputs, training=True)
            with source(Key("cost")):
                loss = config.cost(prediction, self.targets)
                penalty = config.cost.penalty(self.model.variables)
                minimized = loss if penalty is None else loss + penalty
        with self.graph, source(Key("optimizer")):
            objective = Objective(minimized, outputs=[prediction.scores], penalty=penalty)
            updates = config.optimizer.step(objective, total_steps) + followed
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


def build_network(config: RunConfig, input_shape: tuple[int, ...], target: Target) -> Network:
    """The graph that evaluates the config's model; `Network.add_training` adds what trains it.

    Arguments:
        input_shape: of one example, such as (28, 28).
        target: what the data set asks for.

    Raises ConfigError or GraphError, with the config's key, when the parts don't fit.
    """
    graph = Graph(seed=config.seed)
    with graph:
        with source(Key("dataset")):
            inputs = placeholder("float32", ("batch", *input_shape), name="input")
            targets = target.of(inputs)
        model = config.model.build(inputs.spec, target, config.seed)
        config.cost.check_prediction(model.prediction, target, Key("cost"))
        with name_scope("evaluation"):
            prediction, _ = model(inputs, training=False)
            with source(Key("cost")):
                loss = config.cost(prediction, targets)
                figures = {"loss": Figure.of_loss(loss, targets)}
            for number, metric in enumerate(_metrics(config, model.prediction, target)):
                key = Key("metrics", number)
                if metric.label in figures:
                    what = f"metric {metric.label!r} is given twice"
                    raise ConfigError(what, where=key, fix="keep one of them")
                metric.check_prediction(model.prediction, target, key)
                with source(key):
                    sums = metric.build(prediction, targets)
                figures[metric.label] = Figure.of_metric(metric, sums)
    return Network(config, graph, inputs, target, targets, model, prediction, loss, figures)


def _metrics(config: RunConfig, prediction: type[Prediction], target: Target) -> Sequence[Metric]:
    """Those of the config; where it names none, the first of accuracy and mse that fits."""
    if config.metrics is not None:
        return config.metrics
    return [metric for metric in (Accuracy(), Mse()) if metric.fits(prediction, target)][:1]
