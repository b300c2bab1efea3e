"""Costs: what training makes small."""

from dltrain.costs.cost import Cost
from dltrain.costs.distances import Huber, Mae, Mse
from dltrain.costs.entropies import BinaryCrossEntropy, CrossEntropy

__all__ = ["BinaryCrossEntropy", "Cost", "CrossEntropy", "Huber", "Mae", "Mse"]
