"""`dltrain download-mnist`: the files of MNIST or Fashion-MNIST, checked, into a folder."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import click
from tqdm import tqdm

from dltrain.cli.options import UserPath
from dltrain.cli.printing import say
from dltrain.datasets.download import copy_from, download
from dltrain.datasets.published import PUBLISHED


def _check_urls(_context: click.Context, _option: click.Parameter, urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise click.BadParameter(f"{url} is not a URL that begins with http:// or https://")
        try:
            whole = urlsplit(url).hostname and urlsplit(url).port != 0
        except ValueError:  # brackets without an end, a port that is no number
            whole = False
        if not whole:
            raise click.BadParameter(f"{url} is not a URL that names a server")
    return urls


@click.command(epilog="Example: dltrain download-mnist --dataset fashion_mnist --dir data/fashion_mnist")
@click.option(
    "--dir",
    "folder",
    type=UserPath(file_okay=False),
    help="Folder to put the files into.  [default: data/mnist or data/fashion_mnist]",
)
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    callback=_check_urls,
    help="Where to download from instead of the public mirrors; may be repeated, tried in turn.",
)
@click.option(
    "--from",
    "source",
    type=UserPath(),
    help="Take the files from this folder, or this one file, instead of the network.",
)
@click.option(
    "--dataset",
    type=click.Choice(list(PUBLISHED)),
    default="mnist",
    show_default=True,
    help="Which data set.",
)
def download_mnist(folder: Path | None, mirrors: tuple[str, ...], source: Path | None, dataset: str) -> None:
    """Download MNIST or Fashion-MNIST.

    Files that are there and whole are left alone, damaged ones are replaced; each is checked by its SHA-256.
    """
    if source and mirrors:
        raise click.UsageError("--from and --mirror exclude each other")
    folder = folder or Path("data", dataset)
    published = PUBLISHED[dataset]
    missing: list[str] = []
    with closing(_Reporter()) as reporter:
        if source:
            missing = copy_from(source, published, folder, reporter)
        else:
            download(published, folder, reporter, mirrors=mirrors)
    if missing:
        say(f"{folder} still lacks {', '.join(missing)}")
    else:
        say(f"{published.title} is complete in {folder}")


class _Reporter:
    """A line for each file on stderr and, on a terminal, a progress bar before it."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None

    def say(self, line: str) -> None:
        self.close()
        say(line, err=True)

    def progress(self, name: str, received: int, expected: int | None) -> None:
        if self._bar is None:
            self._bar = tqdm(desc=name, unit="B", unit_scale=True, leave=False, disable=None)
        self._bar.total = expected
        self._bar.update(received - self._bar.n)  # less than 0 when a transfer begins again

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
