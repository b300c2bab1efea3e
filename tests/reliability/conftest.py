from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("reliability.experiment")

from reliability.experiment import Experiment  # noqa: E402
from reliability.fork_server import ForkServer  # noqa: E402

CORES = 2


@pytest.fixture(scope="session")
def servers(kernel_cache: None) -> Iterator[list[ForkServer]]:
    servers = [ForkServer() for _ in range(CORES)]
    yield servers
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def prepared_experiment(servers: list[ForkServer], tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return Experiment.prepare(tmp_path_factory.mktemp("prepared"), servers)


@pytest.fixture
def experiment(prepared_experiment: Experiment, tmp_path: Path) -> Experiment:
    """With a folder of its own, in which run directories are made."""
    (tmp_path / "c.yaml").write_text((prepared_experiment.folder / "c.yaml").read_text())
    return Experiment(
        tmp_path, prepared_experiment.servers, prepared_experiment.reference, prepared_experiment.events
    )
