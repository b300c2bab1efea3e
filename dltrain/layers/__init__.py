"""Layers, their activations and initializers: the parts that models are made of."""

from dltrain.layers.activations import Activation as ActivationFunction
from dltrain.layers.dense import Activation, Dense
from dltrain.layers.dropout import Dropout
from dltrain.layers.initializers import Initializer
from dltrain.layers.layer import BuiltLayer, Forward, Layer
from dltrain.layers.normalization import BatchNorm, LayerNorm
from dltrain.layers.shapes import Flatten, Reshape

__all__ = [
    "Activation",
    "ActivationFunction",
    "BatchNorm",
    "BuiltLayer",
    "Dense",
    "Dropout",
    "Flatten",
    "Forward",
    "Initializer",
    "Layer",
    "LayerNorm",
    "Reshape",
]
