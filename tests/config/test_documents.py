"""Reading a config file: what is there, and what is said when it cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dltrain.config import load_document
from dltrain.errors import ConfigError
from dltrain.places import Position


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_document(path)
    assert caught.value.exit_code == 2
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_file_is_read_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mlp.yaml"
    path.write_bytes("\ufeffseed: 3\nname: é\n".encode())
    document = load_document(str(path))
    assert document.value == {"seed": 3, "name": "é"}
    assert document.text == "seed: 3\nname: é\n"
    assert document.position(("name",)) == Position(str(path), 2, 1)


def test_a_missing_file_names_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "softmax.yaml").touch()
    (tmp_path / "autoencoder.yaml").touch()
    assert refused(tmp_path / "sofmax.yaml").endswith(f"did you mean '{tmp_path / 'softmax.yaml'}'?")
    assert refused(tmp_path / "autoencoder").endswith(f"did you mean '{tmp_path / 'autoencoder.yaml'}'?")
    assert refused(tmp_path / "mlp.yaml").endswith("in that folder: autoencoder.yaml, softmax.yaml")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "nowhere"
    assert refused(folder / "x.yaml").endswith(f"there is no folder '{folder}'")


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    line = refused(tmp_path)
    assert line.startswith(f"not a config file but a folder: {tmp_path};")
    assert line.endswith(f"did you mean '{tmp_path / 'config.yaml'}'?")


def test_a_file_too_large_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"#" * (2**16 + 1))
    assert refused(path) == f"the config file is too large: {path}: it has more than 65536 bytes"


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**31)


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (os.mkfifo, "not a plain file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a plain file"),
        (lambda path: path.symlink_to("/dev/null"), "not a plain file"),
        (sparse, "the config file is too large"),
    ],
)
def test_only_plain_files_of_bounded_size_are_read(
    make: Callable[[Path], None], what: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    make(path)
    assert refused(path).startswith(f"{what}: {path}")


def test_links_and_homes_lead_to_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.yaml").write_text("seed: 3")
    (tmp_path / "link.yaml").symlink_to("x.yaml")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_document(tmp_path / "link.yaml").value == {"seed": 3}
    assert load_document("~/x.yaml").value == {"seed": 3}
    assert refused(Path("~/link.yml")).startswith(f"no such config file: {tmp_path}/link.yml; did you mean")


def test_bytes_that_are_not_utf8_are_placed(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes("seed: 0\nné: ".encode() + b"caf\xe9\n")
    assert refused(path).startswith(f"the config file is not text in UTF-8: {path}:2:8: byte 0xe9;")
    path.write_bytes("seed: 0".encode("utf-16"))
    assert refused(path).startswith(f"the config file is not text in UTF-8: {path}:1:1: byte 0xff;")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("seed: 0")
    path.chmod(0)
    assert refused(path) == f"cannot read the config file: {path}: Permission denied"


def test_a_path_that_is_none(tmp_path: Path) -> None:
    assert refused(Path("a\0b")).startswith("cannot read the config file: a\\x00b:")
    assert refused(tmp_path / "\x1b[31m.yaml").startswith(f"no such config file: {tmp_path}/\\x1b[31m.yaml;")
    assert refused(tmp_path / ("x" * 5000)).startswith("cannot read the config file: ")
