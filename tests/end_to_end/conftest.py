from __future__ import annotations

from pathlib import Path

import pytest
from run_helpers import Dltrain, dltrain_in, write_data
from wrong_inputs import Refused, config, refusing


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
