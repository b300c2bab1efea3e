"""What can be told of a config or a run: its plan, its resources, its predictions, whether it repeats."""
