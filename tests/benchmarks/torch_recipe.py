"""configs/mlp.yaml as a PyTorch user writes it: EPOCHS SEED DATA FOLDER, a checkpoint an epoch in FOLDER.

With TEST in place of EPOCHS it trains nothing, but prints the test accuracy of each checkpoint as JSON.
"""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

EPOCHS, SEED, DATA, FOLDER = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
BATCH = 128


def read(name, header):
    return torch.tensor(np.frombuffer(gzip.open(DATA / f"{name}-ubyte.gz").read(), np.uint8)[header:])


def images(part):
    return read(f"{part}-images-idx3", 16).view(-1, 784).float() / 255


def labels(part):
    return read(f"{part}-labels-idx1", 8).long()


def build():
    model = nn.Sequential(
        *(nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.2)),
        *(nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.2)),
        nn.Linear(128, 10),
    )
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            nn.init.kaiming_uniform_(parameter, nonlinearity="relu")
        else:
            nn.init.zeros_(parameter)
    return model


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def train(epochs):
    torch.manual_seed(SEED)
    x, y = images("train"), labels("train")
    train_x, train_y, validation_x, validation_y = x[:55_000], y[:55_000], x[55_000:], y[55_000:]
    model = build()
    kernels = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    biases = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [{"params": kernels, "weight_decay": 0.01}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=4e-3, fused=True)
    steps = epochs * -(-len(train_x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, cycle_momentum=False)
    best = (0.0, 0)
    for epoch in range(1, epochs + 1):
        model.train()
        for batch in torch.randperm(len(train_x)).split(BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(model(train_x[batch]), train_y[batch]).backward()
            optimizer.step()
            schedule.step()
        figure = accuracy(model, validation_x, validation_y)
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, FOLDER / f"{epoch}.pt")
        print(f"epoch {epoch}/{epochs}  validation accuracy {figure:.4f}", file=sys.stderr, flush=True)
        best = max(best, (figure, epoch))
    print(f"test accuracy {test_accuracy(best[1]):.4f}")


def test_accuracy(epoch):
    model = build()
    model.load_state_dict(torch.load(FOLDER / f"{epoch}.pt")["model"])
    return accuracy(model, images("t10k"), labels("t10k"))


if EPOCHS == "TEST":
    print(json.dumps([test_accuracy(epoch) for epoch in range(1, len(list(FOLDER.iterdir())) + 1)]))
else:
    train(int(EPOCHS))
