from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from run_helpers import Dltrain, autoencoder_config, dltrain_in, write_data
from wrong_inputs import Refused, config, refusing

from dltrain.cli.main import main


@pytest.fixture
def dltrain_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Dltrain:
    """Runs command lines in a folder with `data.npz` and a right `c.yaml`."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    Path("c.yaml").write_text(config())
    return dltrain_in(capsys)


@pytest.fixture
def refused(dltrain_here: Dltrain, tmp_path: Path) -> Refused:
    return refusing(dltrain_here, tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs: `mlp-1`, a perceptron with checkpoints of steps 3 and 6, `mlp-2`, an autoencoder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("trained"))
        write_data(Path())
        Path("c.yaml").write_text(config())
        Path("a.yaml").write_text(autoencoder_config(Path("data.npz"), steps=6, epochs="null"))
        for name, run in (("c.yaml", "mlp-1"), ("a.yaml", "mlp-2")):
            assert main(["fit", name, "--run-dir", f"runs/{run}", "--quiet"]) == 0
        return Path.cwd() / "runs"


@pytest.fixture
def two_runs(dltrain_here: Dltrain, trained: Path, tmp_path: Path) -> None:
    """The runs of `trained` in the folder of `dltrain_here`, whose data set they name."""
    shutil.copytree(trained, "runs")
    for file in Path("runs").glob("*/config.yaml"):
        file.write_text(file.read_text().replace(str(trained.parent), str(tmp_path)))
