"""Classifiers with scikit-learn's interface, and a grid search that trains all its models side by side."""

from jaxnn.interop.sklearn._classifiers import LinearClassifier, MLPClassifier
from jaxnn.interop.sklearn._search import VmapSearchCV

__all__ = ["LinearClassifier", "MLPClassifier", "VmapSearchCV"]
