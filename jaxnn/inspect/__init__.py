"""Looking inside: what a model, its gradients and its loss surface look like, as arrays."""

__all__ = []
