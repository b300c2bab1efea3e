"""Metrics: figures of how good a model is."""

from dltrain.metrics.classification import Accuracy, ConfusionMatrix, TopKAccuracy
from dltrain.metrics.distances import Mae, Mse
from dltrain.metrics.metric import Metric

__all__ = ["Accuracy", "ConfusionMatrix", "Mae", "Metric", "Mse", "TopKAccuracy"]
