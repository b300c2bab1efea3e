"""Define, differentiate, compile, run: the autodiff core. It knows nothing of training."""
