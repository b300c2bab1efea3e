"""Native kernels: what they compute, what they refuse, and the cache that they come from."""

import itertools
import os
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

import dltrain as dl
from dltrain.backends.c import library
from dltrain.errors import DltrainError, GraphError, StorageError


def native():
    return dl.Session(kernels="native")


def test_reductions_over_all_choices_of_axes():
    shape = (3, 4, 5, 70)
    values = np.random.default_rng(0).normal(size=shape)
    x = dl.placeholder("float64", shape)
    choices = [axes for count in range(5) for axes in itertools.combinations(range(4), count)]
    fetches = [[dl.sum(x, axes), dl.mean(x, axes), dl.max(x, axes)] for axes in choices]
    for axes, results in zip(choices, native().run(fetches, {x: values}), strict=True):
        for result, reduce in zip(results, (np.sum, np.mean, np.max), strict=True):
            np.testing.assert_allclose(result, reduce(values, axis=axes), rtol=1e-12, atol=1e-12)


def test_broadcasts_and_views_of_all_kinds():
    rng = np.random.default_rng(0)
    x, row, column = rng.normal(size=(6, 50)), rng.normal(size=50), rng.normal(size=(6, 1))
    a, b, c = (
        dl.placeholder("float64", ("n", 50)),
        dl.placeholder("float64", (50,)),
        dl.placeholder("float64", ("n", 1)),
    )
    result = dl.transpose(a * b + c)[3:7] * 2.0 + dl.transpose(c)
    expected = (x * row + column).T[3:7] * 2 + column.T
    np.testing.assert_allclose(native().run(result, {a: x, b: row, c: column}), expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("inner", [0, 1, 255, 256, 700])
def test_products_with_few_columns(inner, dtype):
    rng = np.random.default_rng(0)
    for rows, columns in ((1, 1), (7, 16), (8, 10), (19, 3), (16, 17)):
        a, b = rng.normal(size=(rows, inner)).astype(dtype), rng.normal(size=(inner, columns)).astype(dtype)
        x, y = dl.placeholder(dtype, ("n", "k")), dl.placeholder(dtype, ("k", "m"))
        at, bt = dl.placeholder(dtype, ("k", "n")), dl.placeholder(dtype, ("m", "k"))
        fetches = [x @ y, dl.matmul(at, bt, transpose_a=True, transpose_b=True), dl.transpose(at) @ y + 1.0]
        for result, added in zip(
            native().run(fetches, {x: a, y: b, at: a.T, bt: b.T}), (0, 0, 1), strict=True
        ):
            np.testing.assert_allclose(
                result, a @ b + added, rtol=0, atol=1e-4 if dtype == "float32" else 1e-12
            )


def test_nan_and_infinities_go_where_numpy_puts_them():
    x = dl.placeholder("float32", (5,))
    values = np.array([np.nan, np.inf, -np.inf, -0.0, 1e30], "float32")
    fetches = [
        f(x) for f in (dl.relu, dl.abs, dl.sign, dl.exp, dl.sigmoid, dl.tanh, dl.softplus, dl.is_finite)
    ]
    fetches += [dl.maximum(x, 0.0), dl.minimum(0.0, x), dl.max(x), dl.sum(x), x > 0.0, dl.not_equal(x, x)]
    for fetch, got, expected in zip(
        fetches, native().run(fetches, {x: values}), dl.Session().run(fetches, {x: values}), strict=True
    ):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected), err_msg=fetch.name)
        np.testing.assert_allclose(got, expected, rtol=1e-6, err_msg=fetch.name)


def test_a_label_out_of_range_is_refused_by_name():
    logits, labels = dl.placeholder("float32", ("batch", 3)), dl.placeholder("int64", ("batch",), "labels")
    loss = dl.mean(dl.softmax_cross_entropy(logits, labels))
    w = dl.Variable(1.0)
    session = native()
    with pytest.raises(GraphError, match=r"softmax_cross_entropy\(.*label 3 is out of range"):
        session.run([loss, w.assign(w + 1.0)], {logits: np.zeros((2, 3)), labels: [0, 3]})
    assert session.value(w) == 1


def test_an_op_without_a_c_expression_runs_beside_the_others():
    class Cube(dl.Elementwise, abstract=True):
        """x^3."""

        def compute(self, x, *, out):
            np.power(x, 3, out=out)

    x = dl.placeholder("float64", (4,))
    result = dl.exp(Cube()(x + 1.0)) * 2.0
    values = np.linspace(-1, 1, 4)
    np.testing.assert_allclose(native().run(result, {x: values}), 2 * np.exp((values + 1) ** 3), rtol=1e-14)


def test_updates_in_place_over_many_sizes():
    for size in (1, 15, 16, 17, 100_003):
        with dl.Graph():
            w = dl.Variable(np.arange(size, dtype="float64"))
            m = dl.Variable(np.ones(size), trainable=False)
            new_m = 0.5 * m + w
            session = native()
            session.run([w.assign(w - 0.1 * new_m), m.assign(new_m)])
            expected = 0.5 + np.arange(size)
            np.testing.assert_allclose(session.value(m), expected, rtol=1e-15)
            np.testing.assert_allclose(session.value(w), np.arange(size) - 0.1 * expected, atol=1e-11)


def test_plans_of_other_sizes_share_the_compiled_kernels(cache):
    x = dl.placeholder("float32", ("batch", 10))
    function = native().make_callable(dl.sum(dl.tanh(x) * 3.0, axes=0), [x])
    function(np.ones((128, 10), "float32"))
    compiled = set(cache.iterdir())
    function(np.ones((77, 10), "float32"))
    assert set(cache.iterdir()) == compiled


def test_a_damaged_file_in_the_cache_is_rebuilt(cache):
    x = dl.placeholder("float32", ())
    before = set(cache.glob("*.so"))
    assert native().run(x * 7.25 + 1.0, {x: 2.0}) == 15.5
    (made,) = set(cache.glob("*.so")) - before
    for damage in (b"", made.read_bytes()[:-1], b"\x7fELF" + bytes(100)):
        made.unlink()  # the old one is still mapped by this process
        made.write_bytes(damage)
        assert native().run(x * 7.25 + 1.0, {x: 2.0}) == 15.5
        assert made.stat().st_size > 1000


def test_no_file_is_left_beside_the_libraries(cache):
    native().run(dl.constant(2.0) + dl.Variable(3.5))
    assert {path.suffix for path in cache.iterdir()} == {".so", ".sha256"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 12, 13, 4091, 4092, 4093, 4097, 10_000])
def test_dropout_draws_the_bits_of_numpy(dtype, size):
    """Sizes around the ends of a block (12), of a task (4092), and of several."""
    x = dl.placeholder(dtype, ("n",))
    kept = dl.dropout(x, 0.3, seed=2**64 - 5)
    step = x.graph.step
    for number in (0, 7, 2**40):
        feeds = {x: np.ones(size), step: number}
        assert native().run(kept, feeds).tobytes() == dl.Session(kernels="numpy").run(kept, feeds).tobytes()


def test_a_cache_that_others_may_write_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "dltrain" / "kernels"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(StorageError, match="not private to you"):
        native().run(dl.Variable(1.0) + 1.0)


def test_a_cache_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "dltrain").write_text("a file in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(StorageError, match="kernel cache cannot be made"):
        native().run(dl.Variable(1.0) + 1.0)


def test_a_compiler_that_refuses_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nprintf 'cc: no luck today: \\344\\n' >&2\nexit 1\n")  # no UTF-8
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(DltrainError, match=r"the C compiler refused.*no luck today"):
        native().run(dl.Variable(1.0) * 3.0)
    assert list((tmp_path / "cache" / "dltrain" / "kernels").iterdir()) == []


def test_without_a_compiler_auto_is_numpy_and_native_is_refused(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    assert dl.Session(kernels="auto").kernels == "numpy"
    with pytest.raises(GraphError, match="there is no C compiler"):
        native()


def test_what_a_killed_compilation_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    left, in_use = (tmp_path / "dltrain" / "kernels" / name for name in ("build-left", "build-in-use"))
    for folder in (left, in_use):
        folder.mkdir(parents=True)
        (folder / "kernels.c").touch()
    an_hour_ago = time.time() - 3601
    os.utime(left, (an_hour_ago, an_hour_ago))
    x = dl.Variable(2.0)
    assert native().run(x * 7.25) == 14.5
    assert not left.exists()
    assert in_use.exists()


def test_processes_that_compile_the_same_at_once_all_succeed(tmp_path):
    script = (
        "import dltrain as dl\n"
        "x = dl.placeholder('float32', ())\n"
        "print(dl.Session(kernels='native').run(dl.exp(x) * 0.5, {x: 0.0}))\n"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [process.communicate()[0].strip() for process in processes] == ["0.5"] * 4
    kernels = (tmp_path / "dltrain" / "kernels").iterdir()
    assert Counter(path.suffix for path in kernels) == {".so": 2, ".sha256": 2}  # the plan's, and the threads


def test_the_compiler_runs_once_for_each_library(tmp_path, monkeypatch):
    compiler, log = tmp_path / "cc", tmp_path / "log"
    compiler.write_text(f'#!/bin/sh\necho run >>{log}\nexec {library.find_compiler()} "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    x = dl.Variable(3.0)
    for _ in range(2):
        assert native().run(x * 3.5) == 10.5
    assert log.read_text() == "run\n" * 2  # for the plan, and for the threads
