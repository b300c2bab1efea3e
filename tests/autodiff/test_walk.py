"""The walk over a graph."""

from dltrain.autodiff.walk import postorder

GRAPH = {"loss": "hidden weight", "hidden": "x weight", "weight": "", "x": "", "other": "x"}


def names(roots: str, stops: str = "") -> str:
    def inputs(node: str) -> list[str]:
        return [] if node in stops.split() else GRAPH[node].split()

    return " ".join(postorder(roots.split(), inputs))


def test_every_node_comes_once_and_after_its_inputs() -> None:
    assert names("loss") == "x weight hidden loss"
    assert names("other loss other") == "x other weight hidden loss"
    assert names("") == ""


def test_a_walk_goes_only_to_the_inputs_it_is_given() -> None:
    assert names("loss", stops="hidden") == "hidden weight loss"


def test_a_chain_may_be_longer_than_the_interpreters_stack() -> None:
    order = postorder([100_000], lambda number: [number - 1] if number else [])
    assert order == list(range(100_001))
