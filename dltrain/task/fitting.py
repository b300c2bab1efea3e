"""Whether data set, model, cost and metrics fit each other: asked here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from dltrain.config import Component
from dltrain.places import Key
from dltrain.task.prediction import Prediction
from dltrain.task.target import Target

TARGET, MODEL = Key("dataset", "target"), Key("model")


class TaskPart(Component):
    """A component that is made for some tasks: a model, a cost or a metric."""

    targets: ClassVar[tuple[type[Target], ...]] = (Target,)
    """What a data set may ask for."""

    predictions: ClassVar[tuple[type[Prediction], ...]] = (Prediction,)
    """What is compared with the target; of a model, nothing."""

    @classmethod
    def fits(cls, prediction: type[Prediction], target: Target) -> bool:
        """Whether it compares such a prediction with the target."""
        return isinstance(target, cls.targets) and issubclass(prediction, cls.predictions)

    def check_target(self, target: Target, key: Key) -> None:
        """
        Arguments:
            key: of the component in the config.

        Raises:
            ConfigError: the component is not made for the target.
        """
        if isinstance(target, self.targets):
            return
        kinds = [kind for kind, each in Target.kinds.items() if issubclass(each, self.targets)]
        others = [name for name, cls in self._others() if isinstance(target, cls.targets)]
        why = f"the {self.component_kind} is for a target of {_one_of(kinds)}, but the target is {target}"
        fix = f"set dataset.target to {_one_of(kinds)}"
        if others:
            fix += f", or the {self.component_kind} to {_one_of(others)}"
        raise self.misfit("data set", key, TARGET, why=why, fix=fix)

    def check_prediction(self, prediction: type[Prediction], target: Target, key: Key) -> None:
        """
        Arguments:
            key: of the component in the config.

        Raises:
            ConfigError: the component does not compare such a prediction with the target.
        """
        self.check_target(target, key)
        if issubclass(prediction, self.predictions):
            return
        others = [name for name, cls in self._others() if cls.fits(prediction, target)]
        wanted = [each.meaning for each in self.predictions]
        why = f"the {self.component_kind} needs {_one_of(wanted)}, but the model gives {prediction.meaning}"
        fix = _one_of([each.ending for each in self.predictions])
        if others:
            fix += f", or set the {self.component_kind} to {_one_of(others)}"
        raise self.misfit("model", key, MODEL, why=why, fix=fix)

    def check_output(
        self, shape: Sequence[object], prediction: type[Prediction], target: Target, key: Key
    ) -> None:
        """
        Arguments:
            shape: of the model's output for one example.
            key: of what makes it, in the config.

        Raises:
            ConfigError: the output of a model is not what the data set asks for.
        """
        found, wanted = list(shape), list(target.output_shape)
        if found != wanted:
            why = f"the last layer's output is {found} an example, but {wanted} is needed for {target}"
            fix = f"end in a reshape to {wanted}"
            if wanted and found[:-1] == wanted[:-1]:
                fix = f"end in {wanted[-1]} units"
            elif len(wanted) == 1:
                fix = f"flatten before the last layer, of {wanted[0]} units"
            raise self.misfit("data set", key, TARGET, why=why, fix=fix)
        if not issubclass(prediction, target.predictions):
            why = f"the model gives {prediction.meaning}, but the target is {target}"
            fix = _one_of([each.ending for each in target.predictions])
            raise self.misfit("data set", key, TARGET, why=why, fix=fix)

    def _others(self) -> Sequence[tuple[str, type[TaskPart]]]:
        """The registered components of this one's kind."""
        kinds = Component.registered_kinds()
        registered = next(found for base, found in kinds.items() if isinstance(self, base))
        return [(name, cls) for name, cls in registered.items() if issubclass(cls, TaskPart)]


def _one_of(words: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
