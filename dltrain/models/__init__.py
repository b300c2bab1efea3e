"""Models: what is trained, made of layers for the shape of a data set."""

from dltrain.models.autoencoder import Autoencoder
from dltrain.models.mlp import Mlp, SoftmaxRegression
from dltrain.models.model import BuiltModel, Model
from dltrain.models.sequential import Sequential

__all__ = ["Autoencoder", "BuiltModel", "Mlp", "Model", "Sequential", "SoftmaxRegression"]
