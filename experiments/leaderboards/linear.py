"""How far a linear function of the pixels can go on CIFAR-10: the bounds of the leaderboard's linear rows.

    python -m experiments.leaderboards.linear

Fits linear functions to the test images themselves. Such a fit is no result: it has seen the answers. It says what no
training on other images can be expected to exceed. Also on record: a fit to the training and the test images together,
each with the penalty of the recipe. A CPU minute at most for a row of softmax, two for one of the SVM.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.classifier.config import Config
from experiments.classifier.presets import resolve
from experiments.cli import command, environment, files, parser
from experiments.leaderboards.recipes import RECIPES

if TYPE_CHECKING:
    from rich.console import Console

    from jaxnn.data import Dataset

ROWS = tuple(name for name, row in RECIPES.items() if row.recipe.get("model") == "linear")
FOR_COVARIANCE = 4000
"""The coordinates of a fit are scaled by the covariance of so many of its examples."""
ITERATIONS = 300
TOLERANCE = 1e-4
"""A fit has converged when no entry of the gradient, in those coordinates, exceeds this."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of the measurement."""

    out: Path = Path(__file__).resolve().parents[1] / "results" / "linear.json"
    """Where the numbers are written."""
    row: tuple[str, ...] = ROWS
    """Rows of the leaderboard to measure it for; those of others are kept."""
    data_dir: Path | None = None
    """Where TFDS keeps prepared datasets."""
    iterations: int = ITERATIONS
    """Of a fit, at most."""


class Fit(NamedTuple):
    """A linear function that was fitted."""

    w: np.ndarray
    """f32[C, D]."""
    b: np.ndarray
    """f32[C]."""
    objective: float
    iterations: int
    converged: bool

    def accuracy(self, x: np.ndarray, labels: np.ndarray) -> float:
        """The percentage of the examples x[N, D] that are classified correctly."""
        return 100 * float(((x @ self.w.T + self.b).argmax(1) == labels).mean())


def fit(x: np.ndarray, labels: np.ndarray, l2: float, loss: str = "softmax", iterations: int = ITERATIONS) -> Fit:
    """The minimum of `mean loss + l2 * sum(W**2)`, softmax or svm, over linear functions of x f32[N, D], by L-BFGS.

    The corners of the hinge are so many that it is taken for smooth; its fits end where float32 finds no lower
    objective. The weights are sought in coordinates in which the covariance of the inputs, plus `2 * l2`, is about the
    identity.
    """
    import jax
    import jax.numpy as jnp
    import scipy.linalg
    import scipy.optimize

    from jaxnn import layers, losses

    of_scores = losses.svm if loss == "svm" else losses.softmax
    classes, size = int(labels.max()) + 1, x.shape[1]
    some = x[:: max(1, len(x) // FOR_COVARIANCE)]
    covariance = np.cov(some - some.mean(0), rowvar=False, dtype=np.float32).astype(np.float64)
    root = np.linalg.cholesky(covariance + (2 * l2 + 1e-3) * np.eye(size))
    to = jnp.asarray(scipy.linalg.solve_triangular(root, np.eye(size), lower=True), jnp.float32)
    x_there, labels_there = jnp.asarray(x), jnp.asarray(labels)

    def unpack(theta: Any) -> tuple[Any, Any]:
        return theta[classes:].reshape(classes, size) @ to, theta[:classes]

    @jax.jit
    def evaluate(theta: Any, x: Any, labels: Any) -> Any:
        def objective(theta: Any) -> Any:
            w, b = unpack(theta)
            return of_scores(layers.linear({"w": w, "b": b}, x), labels).mean() + l2 * (w**2).sum()

        return jax.value_and_grad(objective)(theta)

    def in_float64(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = evaluate(jnp.asarray(theta, jnp.float32), x_there, labels_there)
        return float(value), np.asarray(gradient, np.float64)

    options = {"maxiter": iterations, "maxfun": 2 * iterations, "gtol": TOLERANCE, "ftol": 0.0, "maxcor": 20}
    start = np.zeros(classes * (size + 1))
    found: Any = scipy.optimize.minimize(in_float64, start, method="L-BFGS-B", jac=True, options=options)
    w, b = (np.asarray(part) for part in unpack(jnp.asarray(found.x, jnp.float32)))
    return Fit(w, b, float(found.fun), int(found.nit), bool(np.abs(found.jac).max() <= TOLERANCE))


def pixels(images: np.ndarray, moments: Any, mirrored: bool) -> np.ndarray:
    """The standardized pixels, f32[N, D]; mirrored: the left half of the mean of image and mirror image.

    A linear classifier that averages the scores of an image and its mirror image is a function of that half.
    """
    x = (images - np.asarray(moments.mean)) / np.asarray(moments.std)
    x = ((x + x[:, :, ::-1]) / 2)[:, :, : images.shape[2] // 2] if mirrored else x
    return np.ascontiguousarray(x.reshape(len(x), -1), np.float32)


def bounds(dataset: Dataset, name: str, iterations: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Accuracies of a row's linear function, fitted to the test images, and to training and test images together."""
    from jaxnn.data import preprocess

    settings = _resolved(name, dataset)
    moments = preprocess.fit_moments(dataset.train.inputs, "pixel")
    train, test = (pixels(split.inputs, moments, settings.mirror) for split in (dataset.train, dataset.test))
    of = {
        "train": (train, dataset.train.labels),
        "test": (test, dataset.test.labels),
        "train and test": (np.concatenate([train, test]), np.concatenate([dataset.train.labels, dataset.test.labels])),
    }
    penalty = settings.l2 / (2 if settings.mirror else 1)  # a weight of a half stands for two equal ones
    wanted = [("test", penalty), ("train and test", penalty)]
    wanted += [("test", 0.0)] if name == "linear-softmax" else []
    rows = []
    for fitted_to, l2 in wanted:
        started = time.process_time()
        found = fit(*of[fitted_to], l2, settings.loss, iterations)
        accuracy = {split: found.accuracy(*of[split]) for split in fitted_to.split(" and ")}
        numbers = {"objective": found.objective, "iterations": found.iterations, "converged": found.converged}
        seconds = time.process_time() - started
        rows.append({"fitted_to": fitted_to, "l2": l2, "accuracy": accuracy, **numbers, "cpu_seconds": seconds})
        say(f"{name}, fitted to {fitted_to}, l2 {l2:g}: {accuracy}, {found.iterations} iterations, {seconds:.0f} s")
    return {"row": name, "title": RECIPES[name].title, "fits": rows}


def _resolved(name: str, dataset: Dataset) -> Any:
    return resolve(Config(dataset="cifar10", **RECIPES[name].recipe), dataset)


def measure(options: Options, console: Console) -> dict[str, Any]:
    """Measure the bounds; write after each row, and return the content of the file."""
    from jaxnn.data import load

    if options.iterations < 1:
        raise ValueError(f"--iterations {options.iterations} must be at least 1")
    if unknown := [name for name in options.row if name not in ROWS]:
        raise ValueError(f"--row {' '.join(unknown)}: choose from {', '.join(ROWS)}")
    say = functools.partial(command.say, console)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    every = {row["row"]: row for row in json.loads(options.out.read_text())["rows"]} if options.out.exists() else {}
    whole = load("cifar10", data_dir=options.data_dir, validation_share=0)
    found: dict[str, Any] = {}
    for name in options.row:
        every[name] = bounds(whole, name, options.iterations, say) | {"environment": environment.environment()}
        found = {"rows": [every[name] for name in ROWS if name in every]}
        files.write_json(options.out, found)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 0, or 2 for bad input."""
    options = parser.parse(Options, prog="jaxnn leaderboards.linear", description=__doc__, args=arguments)
    from rich.console import Console

    return command.run(measure, options, Console())


if __name__ == "__main__":
    sys.exit(main())
