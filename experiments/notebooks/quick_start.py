# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
"""
# jaxnn: a quick start

Train a classifier as one compiled program, look at it, train many at once, use it from scikit-learn, and take it
elsewhere. Half a minute on two CPU cores; nothing is downloaded once the package is installed.

On Colab, enter the address of the repository below; elsewhere the first cell does nothing.
"""

# %%
import subprocess
import sys

REPOSITORY = ""  # @param {"type": "string", "placeholder": "https://.../jaxnn.git"}
if "google.colab" in sys.modules:
    package = f"jaxnn[commands,export] @ git+{REPOSITORY}"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=True)

# %% [markdown]
"""
## Data

1,797 handwritten digits of 8 x 8 pixels, in three splits. Images stay bytes; the statistics that scale them are fitted
on the training split alone, and are applied inside the compiled step.
"""

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax
from IPython.display import display
from PIL import Image

from jaxnn import losses, metrics, models, plots, training
from jaxnn.data import load, preprocess, toy

# %matplotlib inline

digits = load("digits")
statistics = preprocess.fit_moments(digits.train.inputs, "global")
data = training.Data(*digits.train, statistics, evaluate={"validation": digits.validation, "train": digits.train})
print(digits.train.inputs.shape, digits.train.inputs.dtype, f"mean {statistics.mean:.2f}, std {statistics.std:.2f}")

# %% [markdown]
"""
## A whole training is one program

A task says what is to be learned, as a function of the hyper-parameters: another value compiles nothing.
"""


# %%
def task(h):
    """A network of 128 hidden neurons with dropout."""
    return training.Task(
        model=models.mlp((8, 8, 1), (128,), 10, dropout=0.2),
        loss=losses.softmax,
        penalty=lambda params: h["l2"] * losses.l2(params),
        optimizer=optax.sgd(h["learning_rate"], momentum=0.9),
        transform=preprocess.standardize,
    )


hparams = {"learning_rate": 0.1, "l2": 1e-4}
run, timing = training.fit(task, hparams, jax.random.key(0), data, epochs=60, batch_size=64)
print(f"compiled in {timing.compile:.1f} s, 60 epochs in {sum(timing.epochs):.2f} s")
display(plots.learning_curves(run.history))

# %% [markdown]
"""
## What it learned

The test split is looked at once, at the end. No key, no dropout.
"""

# %%
scores = training.predict_scores(task(hparams), run.state.params, digits.test.inputs, statistics)
predictions, labels = scores.argmax(-1), jnp.asarray(digits.test.labels)
print(f"test accuracy {metrics.accuracy(scores, labels):.2%}")
display(plots.confusion(metrics.confusion(labels, predictions, 10), digits.classes))

# %% [markdown]
"""
## Your own digit

Draw one below, with `.` for paper and `#` for ink, or write `PHOTO = "seven.png"` for an image file, dark ink on paper.
It is brought to the form of the training images: 8 x 8 pixels, light on dark, from 0 to 16.
"""

# %%
PHOTO = ""
DRAWN = """
. . # # # # . .
. . . . . # . .
. . . . # . . .
. . # # # # . .
. . . # . . . .
. . . # . . . .
. . # . . . . .
. . # . . . . .
"""
if PHOTO:
    with Image.open(PHOTO) as photo:
        mine = 16 - np.asarray(photo.convert("L").resize((8, 8))) / 16
else:
    mine = 16.0 * np.array([[mark == "#" for mark in line.split()] for line in DRAWN.strip().splitlines()])
mine_scores = training.predict_scores(task(hparams), run.state.params, mine[None, :, :, None], statistics)
chances = np.asarray(jax.nn.softmax(mine_scores[0]))
print(", ".join(f"{digit}: {chances[digit]:.1%}" for digit in np.argsort(-chances)[:3]))

# %% [markdown]
"""
## Many at once

Eight learning rates with four seeds each: 32 trainings side by side in one program. The runs of a seed share their
batches.
"""

# %%
rates = np.geomspace(0.003, 3.0, 8).astype(np.float32)
settings = {"learning_rate": jnp.asarray(rates), "l2": jnp.full(8, 1e-4)}
seeds = jax.random.split(jax.random.key(1), 4)
many = training.sweep(task, settings, seeds, data, epochs=20, batch_size=64)
accuracy = 100 * np.asarray(many.history["validation_accuracy"])[:, :, -1]
best = int(accuracy.mean(axis=1).argmax())
display(plots.spread_line(accuracy, ("learning rate", rates.tolist()), "validation accuracy (%)", best, log=True))

# %% [markdown]
"""
## Decision regions

The same functions on points in the plane. `width` puts networks of 1, 2, 3 and 8 hidden neurons into one program.
"""

# %%
points = toy.circle(300, noise=0.05)


def small(h):
    """A network whose width is a hyper-parameter."""
    model = models.mlp(2, (8,), 2, activation=jnp.tanh, width=(h["width"],))
    return training.Task(model, losses.softmax, optax.sgd(0.5, momentum=0.9))


widths = jnp.array([1, 2, 3, 8])
nets = training.sweep(small, {"width": widths}, seeds[:1], training.Data(*points), epochs=200, batch_size=50)
places = plots.plane(1.2, 80)
panels = []
for i, width in enumerate(widths.tolist()):
    params = jax.tree.map(lambda leaf, i=i: leaf[i, 0], nets.state.params)
    scores = small({"width": width}).model.apply(params, jnp.asarray(places))
    panels.append(plots.Regions(scores, *points, f"{width} hidden neuron{'s' if width > 1 else ''}"))
display(plots.decision_regions(panels, "What more hidden neurons can do"))

# %% [markdown]
"""
## In scikit-learn

The same network with scikit-learn's contract, in a pipeline. `VmapSearchCV` is `GridSearchCV` with all its models
trained at once.
"""

# %%
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jaxnn.interop.sklearn import MLPClassifier, VmapSearchCV

x, y = digits.train.inputs.reshape(-1, 64).astype(np.float32), digits.train.labels
model = make_pipeline(StandardScaler(), MLPClassifier((32,), tol=1e-2, random_state=0))
grid = {"mlpclassifier__learning_rate_init": [3e-3, 1e-2], "mlpclassifier__alpha": [1e-4, 1e-2]}
search = VmapSearchCV(model, grid, cv=3).fit(x, y)
print(search.best_params_)
print(f"test accuracy {search.score(digits.test.inputs.reshape(-1, 64), digits.test.labels):.2%}")

# %% [markdown]
"""
## Take it elsewhere

The trained classifier with its preprocessing as one file, which JAX runs without this package, for any number of
examples.
"""

# %%
from jaxnn.interop import export


def score(examples):
    """From pixels to scores, of any number of examples."""
    return task(hparams).model.apply(run.state.params, preprocess.standardize(statistics, examples))


content = export.to_jax(score, (8, 8, 1), np.uint8)
elsewhere = jax.export.deserialize(bytearray(content))
same = elsewhere.call(digits.test.inputs[:5]).argmax(-1) == predictions[:5]
print(f"{len(content):,} bytes; the same answers: {bool(same.all())}")

# %% [markdown]
"""
## An exercise

`losses.svm` asks only that the right score leads by 1. Train the same network with it, at the learning rates of "Many
at once", and find the best one. Is it larger or smaller than with the softmax loss? Why?

<details><summary>One solution</summary>

```python
def svm_task(h):
    return task(h)._replace(loss=losses.svm)


with_svm = training.sweep(svm_task, settings, seeds, data, epochs=20, batch_size=64)
means = np.asarray(with_svm.history["validation_accuracy"])[:, :, -1].mean(axis=1)
print(f"{rates[means.argmax()]:.3f} with the svm loss, {rates[best]:.3f} with softmax")
```

It is smaller (0.058 beside 0.155). The gradient of the svm loss with respect to the scores counts the classes that come
too close, up to 9; that of the softmax loss is a difference of probabilities, at most 1. At the same rate the steps of
the svm loss are longer, and training fails earlier.

</details>
"""
