"""Runs of earlier versions are opened and go on; `format_1/` holds two, of 3 and of 2 epochs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from run_helpers import autoencoder_config, dltrain_in, softmax_config, write_data

from dltrain.runs.metrics_files import read_lines

FORMAT_1 = Path(__file__).parent / "format_1"


@pytest.mark.parametrize(
    ("name", "config", "epochs"), [("label", softmax_config, 4), ("input", autoencoder_config, 3)]
)
def test_a_run_of_format_1_goes_on_as_if_it_were_of_today(
    name: str,
    config: object,
    epochs: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    dltrain = dltrain_in(capsys)
    Path("c.yaml").write_text(config(write_data(tmp_path), epochs=epochs))  # type: ignore[operator]
    shutil.copytree(FORMAT_1 / name, "run")
    assert dltrain("eval", "run").code == 0
    assert dltrain("fit", "--resume", "run", f"train.epochs={epochs}", "--kernels", "numpy").code == 0
    assert dltrain("fit", "c.yaml", "--run-dir", "new", "--kernels", "numpy").code == 0
    old, new = (list(read_lines(Path(folder))) for folder in ("run", "new"))
    assert len(old) == len(new) == 2 * epochs
    for line, expected in zip(old, new, strict=True):
        assert (line.step, line.split) == (expected.step, expected.split)
        assert line.values == pytest.approx(expected.values, rel=1e-4)
