"""What the library is compared with: NumPy float64, written for one example, with loops."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Loss = Callable[[np.ndarray, int], float]
Gradient = Callable[[np.ndarray, int], np.ndarray]


def linear(w: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    w, b, x = (np.asarray(a, np.float64) for a in (w, b, x))
    scores = np.zeros(len(w))
    for i in range(len(w)):
        scores[i] = b[i]
        for j in range(len(x)):
            scores[i] += w[i, j] * x[j]
    return scores


def svm(scores: np.ndarray, label: int, margin: float = 1.0) -> float:
    total = 0.0
    for j, score in enumerate(scores):
        if j != label:
            total += max(0.0, float(score) - float(scores[label]) + margin)
    return total


def softmax(scores: np.ndarray, label: int, smoothing: float = 0.0) -> float:
    highest = max(float(s) for s in scores)
    shares = [math.exp(float(s) - highest) for s in scores]
    log_total = math.log(sum(shares))
    total = 0.0
    for j, score in enumerate(scores):
        target = smoothing / len(scores) + (1.0 - smoothing if j == label else 0.0)
        if target > 0.0:
            total += target * (log_total - (float(score) - highest))
    return total


def probabilities(scores: np.ndarray) -> np.ndarray:
    shares = np.exp(np.asarray(scores, np.float64) - np.max(scores))
    return shares / shares.sum()


def softmax_gradient(scores: np.ndarray, label: int) -> np.ndarray:
    gradient = probabilities(scores)
    gradient[label] -= 1.0
    return gradient


def svm_gradient(scores: np.ndarray, label: int, margin: float = 1.0) -> np.ndarray:
    gradient = np.zeros(len(scores))
    for j in range(len(scores)):
        if j != label and scores[j] - scores[label] + margin > 0:
            gradient[j] += 1.0
            gradient[label] -= 1.0
    return gradient


def gelu(z: np.ndarray) -> np.ndarray:
    return 0.5 * z * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3)))


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.where(z > 0, z, 0.0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "gelu": gelu,
}


def mlp(params: Sequence[Any], x: np.ndarray, activation: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The scores of one example, which is flattened first."""
    h = np.asarray(x, np.float64).ravel()
    for layer in params[:-1]:
        h = activation(linear(layer["w"], layer["b"], h))
    return linear(params[-1]["w"], params[-1]["b"], h)


def differences(f: Callable[[np.ndarray], float], x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """The gradient of f at x by central differences, one coordinate at a time."""
    x = np.array(x, np.float64)
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        high, low = x.copy(), x.copy()
        high[i] += step
        low[i] -= step
        gradient[i] = (f(high) - f(low)) / (2.0 * step)
    return gradient


def linear_step(
    loss: Loss,
    gradient_of_scores: Gradient,
    l2: float,
    params: dict[str, np.ndarray],
    x: np.ndarray,
    labels: np.ndarray,
) -> tuple[float, float, float, dict[str, np.ndarray]]:
    """The mean loss, the penalty, the share of right answers, and the gradient of the objective, example by example."""
    w, b = params["w"], params["b"]
    mean, right, gw, gb = 0.0, 0, np.zeros_like(w), np.zeros_like(b)
    for one, label in zip(x.astype(np.float64), labels, strict=True):
        scores = linear(w, b, one)
        mean += loss(scores, label) / len(x)
        right += int(np.argmax(scores) == label)
        up = gradient_of_scores(scores, label) / len(x)
        gw += np.outer(up, one)
        gb += up
    return mean, l2 * (w**2).sum(), right / len(x), {"w": gw + 2 * l2 * w, "b": gb}
