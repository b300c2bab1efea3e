"""Optimizers and learning rate schedules: formulas in the graph, one class each."""

from dltrain.optimizers.adaptive import Adadelta, Adagrad, Adam, AdamW, Nadam, RmsProp
from dltrain.optimizers.first_order import FirstOrder, LearningRate
from dltrain.optimizers.lion import Lion
from dltrain.optimizers.objective import Objective
from dltrain.optimizers.optimizer import Optimizer
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
    "FirstOrder",
    "LearningRate",
    "Lion",
    "Nadam",
    "Objective",
    "OneCycle",
    "Optimizer",
    "RmsProp",
    "Schedule",
    "Sgd",
    "StepDecay",
]
