"""The course's four examples run as they stand, on fewer steps, and learn."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(script: Path, tmp_path: Path, epochs: int) -> str:
    """What the example prints when it trains for `epochs`."""
    text = script.read_text(encoding="utf-8")
    shortened = re.sub(r"^EPOCHS, (.*) = \d+, ", rf"EPOCHS, \1 = {epochs}, ", text, flags=re.MULTILINE)
    copy = tmp_path / script.name
    copy.write_text(shortened, encoding="utf-8")
    (tmp_path / "data").symlink_to(ROOT / "data")
    result = subprocess.run(
        [sys.executable, "-W", "error", copy],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""
    return result.stdout


def test_there_are_four():
    assert [path.stem for path in EXAMPLES] == ["1_add", "2_softmax", "3_perceptron", "4_autoencoder"]


def test_the_first_is_in_the_readme_and_prints_what_stands_there(tmp_path):
    printed = run(EXAMPLES[0], tmp_path, 0)
    assert printed == (
        'Tensor("node1:0", shape=(), dtype=float32) Tensor("add:0", shape=(), dtype=float32)\nResult: [7.0]\n'
    )
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = EXAMPLES[0].read_text(encoding="utf-8").partition('"""\n\n')[2]
    for line in [*code.splitlines(), *printed.splitlines()]:
        assert line in readme


def tags(folder: Path) -> dict[str, list[str] | bool]:
    """What TensorBoard finds there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    found = EventAccumulator(str(folder)).Reload().Tags()
    return {kind: found[kind] for kind in ("scalars", "histograms", "images", "graph")}


@pytest.mark.parametrize(
    ("example", "histograms"),
    [
        (EXAMPLES[1], ["W"]),
        (EXAMPLES[2], ["hidden1/W", "hidden1/b", "hidden2/W", "hidden2/b", "output/W", "output/b"]),
    ],
)
def test_one_epoch_of_the_classifiers_learns(example, histograms, tmp_path):
    printed = run(example, tmp_path, 1)
    found = re.search(r"test accuracy ([\d.]+)%", printed)
    assert found, printed
    assert float(found[1]) >= 80
    assert tags(tmp_path / "logs" / example.stem[2:]) == {
        "scalars": ["cost"],
        "histograms": histograms,
        "images": [],
        "graph": True,
    }


def test_one_epoch_of_the_autoencoder_draws_what_it_rebuilds(tmp_path):
    from PIL import Image

    printed = run(EXAMPLES[3], tmp_path, 1)
    found = re.search(r"cost ([\d.]+)", printed)
    assert found, printed
    assert float(found[1]) < 0.12
    with Image.open(tmp_path / "autoencoder.png") as picture:
        assert picture.size == (1120, 224)
    assert tags(tmp_path / "logs" / "autoencoder") == {
        "scalars": ["cost"],
        "histograms": [],
        "images": ["reconstruction"],
        "graph": True,
    }
