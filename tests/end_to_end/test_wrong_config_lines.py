"""Wrong lines of a config: one line with file, line, column, what is wrong there, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from wrong_inputs import Refused, config

SEQUENTIAL = "model: {name: sequential, layers: [flatten, {name: dense, units: 3}, %s]}"
NUMBER = "give a number ..."
STEP_SIZE = "(size of a step, before the schedule's factor)"

UNKNOWN_KEYS = [
    ("sed: 1", "unknown key 'sed': c.yaml:7:1; did you mean 'seed'? (keys: name, seed, dataset, ...)"),
    ("epochs: 3", "unknown key 'epochs': c.yaml:7:1; write train.epochs instead (...)"),
    ("lr: 3", "unknown key 'lr': c.yaml:7:1; write optimizer.learning_rate instead (...)"),
    ("hidden: [3]", "unknown key 'hidden': c.yaml:7:1; write model.hidden instead (...)"),
    (
        "dataset: {name: npz, path: data.npz, validation_sise: 5}",
        "unknown key 'validation_sise' of dataset 'npz': c.yaml:2:38; did you mean 'validation_size'? (...)",
    ),
    (
        "model: {name: mlp, hiden: [8], hidden: [8]}",
        "unknown key 'hiden' of model 'mlp': c.yaml:3:20; did you mean 'hidden'? (keys: hidden, ...)",
    ),
    (
        SEQUENTIAL % "{name: dense, units: 3, actvation: relu}",
        "unknown key 'actvation' of layer 'dense': c.yaml:3:94; did you mean 'activation'? (...)",
    ),
    (
        "model: {name: mlp, hidden: [8], kernel_initializer: {name: random_normal, stddev: 1}}",
        "unknown key 'stddev' of initializer 'random_normal': c.yaml:3:75; "
        "write standard_deviation instead (...)",
    ),
    (
        "cost: {name: cross_entropy, label_smothing: 0.1}",
        "unknown key 'label_smothing' of cost 'cross_entropy': c.yaml:4:29; did you mean 'label_smoothing'? "
        "(keys: l2, l1, label_smoothing)",
    ),
    (
        "optimizer: {name: adam, lr: 0.1}",
        "unknown key 'lr' of optimizer 'adam': c.yaml:5:25; write learning_rate instead (...)",
    ),
    (
        "optimizer: {name: adam, schedule: {name: step, gamma: 0.1}}",
        "unknown key 'gamma' of schedule 'step': c.yaml:5:48; write decay_rate instead (...)",
    ),
    (
        "metrics: [accuracy, {name: top_k_accuracy, kk: 2}]",
        "unknown key 'kk' of metric 'top_k_accuracy': c.yaml:7:44; did you mean 'k'? (keys: k)",
    ),
    (
        "train: {epochs: 2, batch_size: 16, max_epochs: 3}",
        "unknown key 'max_epochs' of 'train': c.yaml:6:36; write epochs instead (...)",
    ),
    (
        "train: {epochs: 2, batch_size: 16, early_stopping: {patience: 3, patients: 3}}",
        "unknown key 'patients' of 'train.early_stopping': c.yaml:6:66; did you mean 'patience'? (...)",
    ),
]

UNKNOWN_NAMES = [
    ("dataset: MNIST", "unknown dataset 'MNIST': c.yaml:2:10; its name here is 'mnist'"),
    ("dataset: cifar10", "unknown dataset 'cifar10': c.yaml:2:10; known: idx, mnist, npz..."),
    ("model: MLPClassifier", "unknown model 'MLPClassifier': c.yaml:3:8; its name here is 'mlp'"),
    (SEQUENTIAL % "LayerNorm", "unknown layer 'LayerNorm': c.yaml:3:70; its name here is 'layer_norm'"),
    (SEQUENTIAL % "flaten", "unknown layer 'flaten': c.yaml:3:70; did you mean 'flatten'? (known: ...)"),
    (
        "cost: CrossEntropyLoss",
        "unknown cost 'CrossEntropyLoss': c.yaml:4:7; its name here is 'cross_entropy'",
    ),
    ("optimizer: {name: SGD}", "unknown optimizer 'SGD': c.yaml:5:19; its name here is 'sgd'"),
    (
        "optimizer: {learning_rate: 1}",
        "the optimizer has no name: c.yaml:5:12; add 'name:' (known: adam, ...)",
    ),
    (
        "optimizer: {name: adam, schedule: CosineAnnealingLR}",
        "unknown schedule 'CosineAnnealingLR': c.yaml:5:35; its name here is 'cosine'",
    ),
    (
        "model: {name: mlp, hidden: [8], kernel_initializer: xavier_uniform}",
        "unknown initializer 'xavier_uniform': c.yaml:3:53; its name here is 'glorot_uniform'",
    ),
    (
        "model: {name: mlp, hidden: [8], activation: swish}",
        "unknown activation 'swish': c.yaml:3:45; its name here is 'silu'",
    ),
    ("metrics: [acc]", "unknown metric 'acc': c.yaml:7:11; its name here is 'accuracy'"),
]

WRONG_TYPES = [
    (
        'optimizer: {name: adam, learning_rate: "1e-3"}',
        "optimizer.learning_rate must be a number: c.yaml:5:40: it is '1e-3'; write it without quotes",
    ),
    (
        "optimizer: {name: adam, learning_rate: true}",
        f"optimizer.learning_rate must be a number: c.yaml:5:40: it is true; give a number {STEP_SIZE}",
    ),
    (
        "optimizer: {name: adam, learning_rate: [1]}",
        "optimizer.learning_rate must be a number: c.yaml:5:40: it is a list of 1 item; give a number ...",
    ),
    (
        "optimizer: {name: sgd, momentum: 0.9, nesterov: yes}",
        "optimizer.nesterov must be true or false: c.yaml:5:49: it is 'yes'; write true",
    ),
    (
        "train: {epochs: 2.0, batch_size: 16}",
        "train.epochs must be an integer: c.yaml:6:17: it is 2.0; write 2",
    ),
    ("model: {name: mlp, hidden: 8}", "model.hidden must be a list: c.yaml:3:28: it is 8; write [8]"),
    (
        "model: {name: mlp, hidden: [8, x]}",
        "model.hidden.1 must be an integer: c.yaml:3:32: it is 'x'; give an integer (...)",
    ),
    ("metrics: accuracy", "metrics must be a list: c.yaml:7:10: it is 'accuracy'; write [accuracy]"),
    ("train: 5", "train must be a mapping of keys: c.yaml:6:8: it is 5; write its keys below it, ..."),
    (
        "model: 3",
        "model must be the name of a known model, or a mapping with 'name': c.yaml:3:8: it is 3; ...",
    ),
    ("dataset: {name: npz, path: 3}", "dataset.path must be a path: c.yaml:2:28: it is 3; give a path (...)"),
    ("seed: abc", "seed must be an integer: c.yaml:1:7: it is 'abc'; give an integer (...)"),
    (
        "dataset: {name: npz, path: data.npz, target: inputs}",
        "dataset.target must be one of 'label', ..., 'input': c.yaml:2:46: it is 'inputs'; "
        "did you mean 'input'?",
    ),
    (
        "train: {epochs: 2, batch_size: 16, checkpoint_every: 1 hour}",
        "checkpoint_every must be 'N steps' or 'N epochs': c.yaml:6:54: it is '1 hour'; write '500 ...",
    ),
    ("name: ../up", "bad name for a run: c.yaml:7:7: it is '../up'; use 1 to 100 letters, digits, ..."),
]


def out_of_range(key: str, rule: str, column: int, *values: str) -> list[tuple[str, str]]:
    """Cases of one key of the optimizer adam."""
    return [
        (
            f"optimizer: {{name: adam, {key}: {value}}}",
            f"optimizer.{key} must be {rule}: c.yaml:5:{column}: it is {value.lstrip('.')}; give a ...",
        )
        for value in values
    ]


OUT_OF_RANGE = [
    *out_of_range("learning_rate", "greater than 0", 40, "0", "-1", "-0.001"),
    *out_of_range("learning_rate", "a finite number", 40, ".nan", ".inf"),
    *out_of_range("beta1", "less than 1", 32, "1", "1.5"),
    *out_of_range("beta2", "at least 0", 32, "-0.1"),
    *out_of_range("clip_norm", "greater than 0", 36, "0"),
    (
        "optimizer: {name: adam, learning_rate: 1e400}",
        "number '1e400' cannot be read: c.yaml:5:40: it is too large for a float; write one ...",
    ),
    (
        "optimizer: {name: adam, learning_rate: 1e38}",
        "learning_rate is too large: c.yaml:5:40: it is 1e+38; give one of size 1e+30 or less",
    ),
    (
        "optimizer: {name: adam, epsilon: 1e-60}",
        "epsilon is too small: c.yaml:5:34: it is 1e-60; give one of size 1e-30 or more",
    ),
    (
        "train: {epochs: 2, batch_size: 99999999999999999999}",
        "batch_size does not fit into 64 bits: c.yaml:6:32: it is 99999999999999999999; lower it",
    ),
    (
        "train: {epochs: 2, batch_size: 0}",
        f"train.batch_size must be greater than 0: c.yaml:6:32: it is 0; {NUMBER}",
    ),
    (
        "train: {epochs: -2, batch_size: 9}",
        f"train.epochs must be greater than 0: c.yaml:6:17: it is -2; {NUMBER}",
    ),
    ("seed: -1", f"seed must be at least 0: c.yaml:1:7: it is -1; {NUMBER}"),
    ("seed: 9223372036854775808", f"seed must be less than 9223372036854775808: c.yaml:1:7: ...; {NUMBER}"),
    (
        "model: {name: mlp, hidden: [8, 0]}",
        f"model.hidden.1 must be greater than 0: c.yaml:3:32: it is 0; {NUMBER}",
    ),
    (
        "model: {name: mlp, hidden: [8], dropout: 1}",
        f"model.dropout must be less than 1: c.yaml:3:42: it is 1; {NUMBER}",
    ),
    (
        "model: {name: mlp, hidden: [1000000000000]}",
        "kernel would have 16000000000000 numbers: c.yaml:3:29 (model.hidden[0]): "
        "its shape is [16, 1000000000000]; make it smaller",
    ),
    ("cost: {name: cross_entropy, l2: -1}", f"cost.l2 must be at least 0: c.yaml:4:33: it is -1; {NUMBER}"),
    (
        "dataset: {name: npz, path: data.npz, validation_size: 50}",
        "validation_size must leave examples to train on: c.yaml:2:38 (dataset.validation_size): "
        "it is 50, and x_train in data.npz holds 50 examples; give at most 49",
    ),
    (
        "model: {name: sequential, layers: []}",
        "model.layers must be a list of at least 1 item: c.yaml:3:35: it is a list of 0 items; give ...",
    ),
]

IN_CONFLICT = [
    (
        "train: {epochs: 2, steps: 5, batch_size: 16}",
        "train takes either epochs or steps: c.yaml:6:8: both are given; give one, and null for the other",
    ),
    (
        "train: {batch_size: 16}",
        "train takes either epochs or steps: c.yaml:6:8: neither is given; give one, ...",
    ),
    ("train: {epochs: 2}", "key 'batch_size' of 'train' is missing: c.yaml:6:1; add it (...)"),
    (
        "metrics: [accuracy, accuracy]",
        "metric 'accuracy' is given twice: c.yaml:7:21 (metrics[1]); keep one of them",
    ),
    (
        "optimizer: {name: sgd, nesterov: true}",
        "nesterov needs momentum: c.yaml:5:34: momentum is 0; set momentum, to 0.9 say",
    ),
    (
        "dataset: {name: npz, path: data.npz, target: input}",
        "cost cross_entropy and data set do not fit: c.yaml:4:1 (cost), c.yaml:2:38 (dataset.target): the "
        "cost is for a target of label, positions or numbers, but the target is input, which the model gives "
        "back; set dataset.target to label, positions or numbers, or the cost to ...mse, ...",
    ),
    (
        "model: {name: autoencoder, encoder: [3]}",
        "model autoencoder and data set do not fit: c.yaml:3:1 (model), c.yaml:2:1 (dataset.target): "
        "the model is for a target of input, but the target is label, one of 3 classes; set dataset.target "
        "to input, or the model to mlp, softmax_regression or sequential...",
    ),
    (
        "cost: mse",
        "cost mse and data set do not fit: c.yaml:4:1 (cost), c.yaml:2:1 (dataset.target): the cost is for a "
        "target of multi_label, numbers or input, but the target is label, one of 3 classes; set "
        "dataset.target to multi_label, numbers or input, or the cost to cross_entropy...",
    ),
    (
        "metrics: [mse]",
        "metric mse and data set do not fit: c.yaml:7:11 (metrics[0]), ...; set dataset.target to ...",
    ),
    (
        "metrics: [{name: top_k_accuracy, k: 5}]",
        "metric top_k_accuracy and data set do not fit: ...: k is 5, but there are 3 classes; set k to ...",
    ),
    (
        SEQUENTIAL % "{name: dense, units: 5}",
        "model sequential and data set do not fit: c.yaml:3:70 (model.layers[2]), c.yaml:2:1 (...): "
        "the last layer's output is [5] an example, but [3] is needed for label, one of 3 classes; end in 3 "
        "units",
    ),
    (
        SEQUENTIAL % "{name: reshape, shape: [2, 2]}",
        "reshape cannot make [2, 2] of [3]: c.yaml:3:70 (model.layers[2]): 3 numbers an example do not "
        "become 4; give a shape with as many",
    ),
    (
        "model: {name: sequential, layers: [{name: dense, units: 3}]}",
        "model sequential and data set do not fit: ... (model.layers[0]), ... (dataset.target): the last "
        "layer's output is [4, 3] an example, but [3] is needed for label, one of 3 classes; flatten before "
        "the last layer, of 3 units",
    ),
    (
        "train: {epochs: 2, batch_size: 16, keep_best: {metric: accurcy}}",
        "train.keep_best watches 'accurcy', which is not computed: c.yaml:6:48 (train.keep_best.metric): "
        "the figures are loss, accuracy; use one of them, or add the metric to 'metrics'",
    ),
]


@pytest.mark.parametrize(
    ("line", "expected"), [*UNKNOWN_KEYS, *UNKNOWN_NAMES, *WRONG_TYPES, *OUT_OF_RANGE, *IN_CONFLICT]
)
def test_a_wrong_line(refused: Refused, line: str, expected: str) -> None:
    Path("c.yaml").write_text(config(line))
    for command in ("fit", "validate"):
        refused(2, expected, command, "c.yaml")
