"""Metrics: figures of how good a model is."""

from dltrain.metrics.classification import Accuracy, ConfusionMatrix, Perplexity, TopKAccuracy
from dltrain.metrics.distances import R2, Mae, Mse
from dltrain.metrics.metric import Metric
from dltrain.metrics.retrieval import F1, Precision, Recall, RocAuc

__all__ = [
    "F1",
    "R2",
    "Accuracy",
    "ConfusionMatrix",
    "Mae",
    "Metric",
    "Mse",
    "Perplexity",
    "Precision",
    "Recall",
    "RocAuc",
    "TopKAccuracy",
]
