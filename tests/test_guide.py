"""The examples of ARCHITECTURE.md run as they stand."""

import re
from pathlib import Path

import numpy as np
import pytest

import dltrain as dl
from dltrain.autodiff.op import Op
from dltrain.backends.c.compiler import find_compiler
from dltrain.costs import CrossEntropy
from dltrain.errors import DataError, GraphError
from dltrain.models import SoftmaxRegression
from dltrain.optimizers import Sgd
from dltrain.runs.run import Run
from dltrain.task import Bernoulli
from dltrain.training.run_config import RunConfig, Train
from dltrain.training.trainer import Trainer

GUIDE = (Path(__file__).parent.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
OP, OP_IN_C, BACKEND, OPTIMIZER, METRIC, DATASET, SOURCE = re.findall(
    r"```python\n(.*?)```", GUIDE, flags=re.DOTALL
)


@pytest.fixture(autouse=True)
def registries_as_they_were():
    """The guide's classes are gone again after the test."""
    ops = dict(Op.registry)
    yield
    Op.registry.clear()
    Op.registry.update(ops)


def test_the_op_computes_and_has_the_right_gradient(capsys):
    with dl.Graph():
        exec(OP, {"__name__": "guide"})
    assert capsys.readouterr().out == "[[-0.5   0.    0.75]]\n"


def test_a_wrong_gradient_of_the_op_is_found():
    wrong = OP.replace("dl.square(1 + dl.abs(x))", "(1 + dl.abs(x))")
    assert wrong != OP
    with dl.Graph(), pytest.raises(GraphError, match="placeholder"):
        exec(wrong, {"__name__": "guide"})


def test_the_op_with_c_computes_and_has_the_right_gradient(capsys):
    with dl.Graph():
        names = {"__name__": "guide"}
        exec(OP_IN_C, names)
    assert capsys.readouterr().out == "[1. 1. 1.]\n"
    if find_compiler():
        x, native = names["x"], dl.Session(names["x"].graph, kernels="native")
        function = native.make_callable([names["sine"], names["cosine"]], [x])
        assert [call.function for call in function.bind().plan.compute] == ["sin_cos"]
        angles = np.array([0.3, 1.0, -2.0])
        np.testing.assert_allclose(function(angles), [np.sin(angles), np.cos(angles)], rtol=1e-15)


def test_the_backend_is_asked_first(capsys):
    names = {"__name__": "guide"}
    with dl.Graph():
        exec(BACKEND, names)
    assert capsys.readouterr().out == "[[1. 2.]\n [0. 0.]]\n"
    assert names["session"].kernels == "python"


def test_the_optimizer_takes_the_step_of_its_formula():
    names = {"__name__": "guide"}
    exec(OPTIMIZER, names)
    with dl.Graph():
        w = dl.Variable(np.array([1.0, -2.0]))
        update = names["SignSgd"](learning_rate=0.1).minimize(dl.sum(w * w))
        session = dl.Session()
        session.run(update)
    np.testing.assert_allclose(session.value(w), [0.9, -1.9])


def test_the_metric_is_a_ratio_of_sums():
    names = {"__name__": "guide"}
    exec(METRIC, names)
    with dl.Graph():
        scores, target = dl.placeholder("float32", ("batch", 3)), dl.placeholder("float32", ("batch", 3))
        sums = names["Jaccard"]().build(Bernoulli(scores), target)
        feeds = {scores: [[9.0, -9.0, 9.0]] * 4, target: [[1.0, 1.0, 0.0]] * 4}
        assert names["Jaccard"]().figure(*dl.Session().run(list(sums), feeds)) == 1 / 3


def test_the_data_set_is_split_and_batched():
    names = {"__name__": "guide"}
    exec(DATASET, names)
    data = names["Parity"](validation_size=56).load()
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 200,
        "validation": 56,
        "test": 256,
    }
    _, labels = data.splits["test"].take(np.array([7]))
    assert labels == [1]


def test_the_source_reads_files(tmp_path):
    names = {"__name__": "guide"}
    exec(SOURCE, names)
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        for number in range(10):
            (tmp_path / part / f"{number % 2}-{number}.raw").write_bytes(bytes([100 * (number % 2)] * 64))
    config = RunConfig(
        dataset=names["Folder"](path=tmp_path),
        model=SoftmaxRegression(),
        cost=CrossEntropy(),
        optimizer=Sgd(learning_rate=0.1),
        train=Train(epochs=2, batch_size=4),
    )
    run = Run(config)
    inputs, labels = run.data.splits["test"].arrays()
    np.testing.assert_array_equal(inputs[:, 0, 0] > 0, labels)
    trainer = Trainer(
        run.network, run.training, run.session, run.data, run.state, lambda state, best: tmp_path
    )
    *_, epoch, _, _ = trainer.fit()
    assert epoch.validation["accuracy"] == 1
    (tmp_path / "test" / "0-0.raw").write_bytes(b"cut")
    with pytest.raises(DataError, match=r"damaged picture: .*0-0\.raw: it has 3 bytes, not 64"):
        run.evaluate("test")
