"""Optimizers and learning rate schedules: formulas in the graph, one class each."""

from dltrain.optimizers.adaptive import Adadelta, Adagrad, Adam, AdamW, Nadam, RmsProp
from dltrain.optimizers.lion import Lion
from dltrain.optimizers.optimizer import LearningRate, Optimizer
from dltrain.optimizers.schedules import Constant, Cosine, Exponential, OneCycle, Schedule, StepDecay
from dltrain.optimizers.sgd import Sgd

__all__ = [
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Exponential",
    "LearningRate",
    "Lion",
    "Nadam",
    "OneCycle",
    "Optimizer",
    "RmsProp",
    "Schedule",
    "Sgd",
    "StepDecay",
]
