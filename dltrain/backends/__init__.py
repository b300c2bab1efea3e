"""Who computes: each backend makes calls of instructions; the only place that knows addresses."""
