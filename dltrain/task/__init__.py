"""The task: what a data set asks for, what a model gives, and whether the parts of a config fit it."""

from dltrain.task.fitting import TaskPart
from dltrain.task.prediction import Bernoulli, Categorical, Point, Prediction, Probabilities
from dltrain.task.target import (
    ClassTarget,
    FloatTarget,
    InputTarget,
    LabelTarget,
    MultiLabelTarget,
    NumbersTarget,
    PositionsTarget,
    Target,
)

__all__ = [
    "Bernoulli",
    "Categorical",
    "ClassTarget",
    "FloatTarget",
    "InputTarget",
    "LabelTarget",
    "MultiLabelTarget",
    "NumbersTarget",
    "Point",
    "PositionsTarget",
    "Prediction",
    "Probabilities",
    "Target",
    "TaskPart",
]
