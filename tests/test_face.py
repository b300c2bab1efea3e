"""The Python face, `import dltrain as dl`: what it offers, and that type checkers see all of it."""

from __future__ import annotations

import ast
import operator
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dltrain as dl
from dltrain.aliases import ATTRIBUTES

ROOT = Path(__file__).parent.parent
TYPED = [*sorted((ROOT / "examples").glob("*.py")), ROOT / "tests" / "public_use.py"]


def mypy(*files: Path) -> str:
    """What a user sees who has no config for mypy; nothing if all is well."""
    options = ["--strict", "--no-error-summary", "--config-file=", f"--cache-dir={ROOT / '.mypy_cache/user'}"]
    command = [sys.executable, "-m", "mypy", *options, *files]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


def pyright(*files: Path) -> str:
    """What pyright says, which runs in Node."""
    pytest.importorskip("pyright")
    if shutil.which("node") is None:
        pytest.skip("pyright needs node, and would download it")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, *files]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


# --- types ---


def test_mypy_takes_the_examples_and_public_use():
    assert mypy(*TYPED) == ""


def test_pyright_takes_the_examples_and_public_use():
    assert pyright(*TYPED).strip() == "0 errors, 0 warnings, 0 informations"


def test_type_checkers_see_every_name_and_no_other(tmp_path):
    file = tmp_path / "names.py"
    names = [name for name in dir(dl) if name != "__version__"]
    file.write_text(
        "\n".join(["import dltrain as dl", "dl.reduce", *(f"reveal_type(dl.{n})" for n in names)])
    )
    missing, *seen = mypy(file).splitlines()
    assert 'has no attribute "reduce"' in missing
    assert [
        line for line in seen if "Revealed type is" not in line or '"Any"' in line or "object" in line
    ] == []
    assert len(seen) == len(names)


def test_defaults_of_fields_are_seen_by_type_checkers():
    """They look for `default=`: a default without its name would make the key a required argument."""
    unseen = [
        f"{path}:{node.lineno}"
        for path in (ROOT / "dltrain").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Field"
        and node.args
    ]
    assert unseen == []


# --- names ---


def test_public_use_runs(tmp_path):
    command = [sys.executable, "-W", "error", ROOT / "tests" / "public_use.py"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [
        "(60,)",
        "learning_rate must be greater than 0",
        "True (4, 3) True",
        "(8, 4) (8, 3)",
        "2 True (48, 4) int64",
    ]


def test_every_public_name_is_there_and_says_what_it_is():
    for name in dir(dl):
        assert getattr(dl, name).__doc__, name
    for part in (
        "Session",
        "Program",
        "Function",
        "add",
        "gradients",
        "check_gradients",
        "trace",
        "fit",
        "load_run",
    ):
        assert part in dir(dl)


# --- arguments without a name ---


def test_the_learning_rate_needs_no_name():
    assert dl.optimizers.Sgd(0.5) == dl.optimizers.Sgd(learning_rate=0.5)
    assert dl.optimizers.Adam(0.5, beta1=0.8).learning_rate == 0.5
    with pytest.raises(
        dl.errors.ConfigError, match="Sgd takes 1 value without a name, not 2; write key=value"
    ):
        dl.optimizers.Sgd(0.5, 0.9)  # type: ignore[call-arg]
    with pytest.raises(dl.errors.ConfigError, match="Dense takes 0 values without a name, not 1"):
        dl.layers.Dense(3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="multiple values for keyword argument 'learning_rate'"):
        dl.optimizers.Sgd(0.5, learning_rate=0.1)
    with pytest.raises(dl.errors.ConfigError, match="learning_rate must be greater than 0"):
        dl.optimizers.Sgd(-0.5)


# --- names that are not here ---


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("float32", 'write "float32", in quotes'),
        ("reduce_mean", "write dl.mean"),
        ("GradientDescentOptimizer", "write dl.optimizers.Sgd"),
        ("AdamOptimizer", "write dl.optimizers.Adam"),
        ("Adam", "write dl.optimizers.Adam"),
        ("global_variables_initializer", "write nothing: a session gives variables their first values"),
        ("nn", "write an op, such as dl.relu, or a layer of dl.layers"),
        ("train", "write dl.optimizers"),
        ("tensor", "write dl.constant"),
        ("zeros", "write dl.constant(np.zeros(shape)), or ones"),
        ("InteractiveSession", "write dl.Session"),
        ("FileWriter", "write dl.summary.Writer"),
        ("CrossEntropyLoss", "write dl.costs.CrossEntropy"),
        ("Dense", "write dl.layers.Dense"),
        ("MNIST", "write dl.datasets.Mnist"),
        ("accuracy", "write dl.metrics.Accuracy"),
        ("ReLU", "did you mean dl.relu?"),
        ("placehoder", "did you mean dl.placeholder?"),
    ],
)
def test_a_name_of_another_library_gets_the_one_here(name, hint):
    with pytest.raises(AttributeError) as raised:
        getattr(dl, name)
    assert str(raised.value) == f"module 'dltrain' has no attribute {name!r}; {hint}"


def test_what_is_like_nothing_gets_no_hint():
    for name in ("xyzzy", "__wrapped__", "_private"):
        assert not hasattr(dl, name)
        with pytest.raises(AttributeError, match=f"^module 'dltrain' has no attribute '{name}'$"):
            getattr(dl, name)


def test_hints_lead_to_what_there_is():
    words = [word for words in ATTRIBUTES.values() for word in words.split()]
    assert set(words) & set(dir(dl)) == set()
    assert len(words) == len(set(words))
    for hint in ATTRIBUTES:
        for path in re.findall(r"\bdl((?:\.\w+)+)", hint):
            operator.attrgetter(path[1:])(dl)
