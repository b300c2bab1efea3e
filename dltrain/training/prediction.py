"""Applying a trained network to inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dltrain.autodiff.spec import Array
from dltrain.datasets.reading import described
from dltrain.errors import DataError
from dltrain.execution import Session
from dltrain.training.batches import batches_of
from dltrain.training.network import Network


def predict(session: Session, network: Network, inputs: ArrayLike, *, where: str) -> Array:
    """What the model gives for inputs, with the values that the session holds; see `Run.predict`.

    Arguments:
        where: what has the model, for errors.
    """
    inputs, shape = np.asarray(inputs), network.inputs.shape[1:]
    if inputs.shape == shape:
        inputs = inputs[np.newaxis]
    if inputs.shape[1:] != shape or (inputs.dtype != np.uint8 and inputs.dtype.kind != "f"):
        why = f"they are {described(inputs.shape, inputs.dtype)}"
        fix = f"give uint8 or floating examples of {' x '.join(map(str, shape))}"
        raise DataError("inputs do not fit the model", where=where, why=why, fix=fix)
    scale = np.float32(network.config.dataset.input_scale(inputs.dtype))
    output = network.prediction.value
    function = session.make_callable(output, [network.inputs])
    batches = batches_of(np.arange(len(inputs)), network.config.train.evaluation_batch_size)
    with np.errstate(over="ignore"):
        parts = [function(inputs[index] * scale) for index in batches]
    none = np.empty((0, *output.spec.with_shape(output.shape[1:]).sizes), np.float32)
    outputs = np.concatenate([none, *parts])
    finite = np.isfinite(outputs).all(axis=tuple(range(1, outputs.ndim)))
    if not finite.all():
        example = int(np.argmin(finite))
        why = f"its values reach {np.abs(inputs[example]).max():.3g}"
        fix = "scale the inputs as those that the model was trained on"
        raise DataError(
            "the model's output is not finite", where=f"example {example} of the inputs", why=why, fix=fix
        )
    return outputs
