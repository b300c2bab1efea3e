"""The published data sets that can be downloaded: their files, their checksums and their mirrors."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dltrain.datasets.reading import CHUNK, open_content, open_data_file


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file: its name without `.gz`, the size of its content, and the SHA-256 of that or of the `.gz`."""

    name: str
    content_size: int
    sha256: str
    sha256_of: Literal["content", "gzip"] = "content"

    @property
    def size_limit(self) -> int:
        """No honest copy is larger: content that does not compress grows by less than a thousandth."""
        return self.content_size + self.content_size // 1000 + 1024

    def find(self, folder: Path) -> Path | None:
        """The file in `folder`, compressed or else plain; None if it is not there."""
        candidates = (folder / f"{self.name}.gz", folder / self.name)
        return next((path for path in candidates if path.is_file()), None)

    def fault(self, path: Path) -> str:
        """What is wrong with the copy at `path`, "" if nothing. Decompresses no more than it must."""
        with open_data_file(path) as file:
            stream, limit = open_content(file)[0], self.content_size
            if self.sha256_of == "gzip":
                stream, limit = file, self.size_limit
            digest, size = hashlib.sha256(), 0
            try:
                while part := stream.read(min(CHUNK, limit + 1 - size)):
                    digest.update(part)
                    size += len(part)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                return f"the compressed data is damaged after {size} bytes of content ({error})"
        if self.sha256_of == "content" and size != self.content_size:
            found = "more" if size > self.content_size else str(size)
            return f"the content has {found} bytes, not {self.content_size}"
        if digest.hexdigest() != self.sha256:
            return f"the SHA-256 of its {self.sha256_of} is {digest.hexdigest()}, not {self.sha256}"
        return ""


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """A data set: the name people know it by, its files, and the URLs below which they are served."""

    title: str
    files: Sequence[PublishedFile]
    mirrors: Sequence[str]


SIZES = {
    "train-images-idx3-ubyte": 47_040_016,
    "train-labels-idx1-ubyte": 60_008,
    "t10k-images-idx3-ubyte": 7_840_016,
    "t10k-labels-idx1-ubyte": 10_008,
}


def _files(sha256_of: Literal["content", "gzip"], *digests: str) -> list[PublishedFile]:
    """The four files, in the order of `SIZES`."""
    return [
        PublishedFile(*file, sha256, sha256_of) for file, sha256 in zip(SIZES.items(), digests, strict=True)
    ]


MNIST = PublishedSet(
    "MNIST",
    _files(
        "content",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
)

# Its checksums are published (in the catalogue of TensorFlow Datasets) of the compressed files only, so only
# those very files are taken.
FASHION_MNIST = PublishedSet(
    "Fashion-MNIST",
    _files(
        "gzip",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
)

PUBLISHED = {"mnist": MNIST, "fashion_mnist": FASHION_MNIST}
