"""Estimators with scikit-learn's interface, and its searches with all models trained side by side."""

from jaxnn.interop.sklearn._estimators import LinearClassifier, MLPClassifier, MLPRegressor
from jaxnn.interop.sklearn._search import VmapHalvingSearchCV, VmapSearchCV

__all__ = ["LinearClassifier", "MLPClassifier", "MLPRegressor", "VmapSearchCV"]
