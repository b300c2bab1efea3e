"""`dltrain download-mnist` of a small set of files instead of MNIST; run in forked processes."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
from collections.abc import Sequence

from dltrain.cli.main import main
from dltrain.datasets.published import PUBLISHED, PublishedFile, PublishedSet

CONTENTS = {name: random.Random(name).randbytes(300_000) for name in ("images-ubyte", "labels-ubyte")}
FILES = {f"{name}.gz": gzip.compress(content) for name, content in CONTENTS.items()}
SMALL_SET = PublishedSet(
    "Small",
    [PublishedFile(name, len(c), hashlib.sha256(c).hexdigest()) for name, c in CONTENTS.items()],
    mirrors=(),
)


def download(words: Sequence[str]) -> int:
    os.environ["no_proxy"] = "127.0.0.1"
    PUBLISHED["mnist"] = SMALL_SET
    return main(["download-mnist", *words])
