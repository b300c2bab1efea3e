"""What a PyTorch user writes for mlp-adam: two epochs, evaluated after each, and the test set in the end."""

import gzip
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

DATA = Path(sys.argv[1])


def read(name, header):
    return torch.tensor(np.frombuffer(gzip.open(DATA / f"{name}-ubyte.gz").read(), np.uint8)[header:])


def images(part):
    return read(f"{part}-images-idx3", 16).view(-1, 784).float() / 255


def labels(part):
    return read(f"{part}-labels-idx1", 8).long()


def accuracy(x, y):
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


torch.manual_seed(0)
x, y = images("train"), labels("train")
train_x, validation_x = x[:50_000], x[50_000:]
train_y, validation_y = y[:50_000], y[50_000:]
model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(2):
    for batch in torch.randperm(len(train_x)).split(128):
        optimizer.zero_grad()
        functional.cross_entropy(model(train_x[batch]), train_y[batch]).backward()
        optimizer.step()
    print(f"epoch {epoch + 1} validation accuracy {accuracy(validation_x, validation_y):.4f}")
torch.save(model.state_dict(), "model.pt")
print(f"test accuracy {accuracy(images('t10k'), labels('t10k')):.4f}")
