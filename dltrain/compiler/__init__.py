"""The compiler: passes over a graph with bound sizes, that each keep the results."""
