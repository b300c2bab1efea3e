"""How long a plan takes to compile, its C cached: `compile_times.py KERNELS`, one line of JSON.

It runs on this commit and on earlier ones, so it uses only what all of them have.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from time import perf_counter

import numpy as np

import dltrain as dl
from dltrain.optimizers import Adam

NETWORKS = {"784-256-128-10": [784, 256, 128, 10], "200 layers of 8": [8] * 201}


def compile_seconds(sizes: list[int], kernels: str) -> float:
    """From a built graph to the end of its first training step."""
    with dl.Graph() as graph:
        x = dl.placeholder("float32", ("batch", sizes[0]), "x")
        h = x
        for inputs, outputs in pairwise(sizes):
            h = dl.relu(h @ dl.Variable(np.full((inputs, outputs), 1e-3, np.float32)))
        loss = dl.mean(dl.square(h))
        updates = Adam(learning_rate=1e-3).minimize(loss)
    session = dl.Session(graph, kernels=kernels)
    session.state()
    train = session.make_callable([loss, updates], [x], require_finite=[loss])
    batch = np.ones((32, sizes[0]), np.float32)
    start = perf_counter()
    train(batch)
    return perf_counter() - start


kernels = sys.argv[1]
for sizes in NETWORKS.values():
    compile_seconds(sizes, kernels)  # fills the cache
print(json.dumps({name: compile_seconds(sizes, kernels) for name, sizes in NETWORKS.items()}))
