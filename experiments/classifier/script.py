"""A trained network as a short script in NumPy, JAX or PyTorch that holds its weights and needs nothing else."""

from __future__ import annotations

import base64
import textwrap
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from experiments.classifier.config import Settings
    from experiments.classifier.saved_classifier import Described, SavedClassifier

Library = Literal["numpy", "jax", "torch"]
LITERAL = 200
"""A network of more numbers is written as compressed bytes."""
_IMPORTS = {
    "numpy": "import numpy as np",
    "jax": "import jax\nimport jax.numpy as jnp\nimport numpy as np",
    "torch": "import numpy as np\nimport torch",
}
_PREFIX = {"numpy": "np.", "jax": "jnp.", "torch": "torch."}
_ARRAY = {
    "numpy": "np.asarray({}, np.float32)",
    "jax": "jnp.asarray({}, jnp.float32)",
    "torch": "torch.tensor(np.asarray({}, np.float32))",
}
_ACTIVATIONS: Mapping[str, Sequence[str]] = {
    "sigmoid": ("(1 + np.tanh(z / 2)) / 2", "jax.nn.sigmoid(z)", "torch.sigmoid(z)"),
    "tanh": ("np.tanh(z)", "jnp.tanh(z)", "torch.tanh(z)"),
    "relu": ("np.maximum(z, 0)", "jax.nn.relu(z)", "torch.relu(z)"),
    "leaky_relu": ("np.where(z > 0, z, 0.01 * z)", "jax.nn.leaky_relu(z)", "torch.nn.functional.leaky_relu(z)"),
    "gelu": (
        "z / 2 * (1 + np.tanh(0.7978845608 * (z + 0.044715 * z**3)))",
        "jax.nn.gelu(z)",
        'torch.nn.functional.gelu(z, approximate="tanh")',
    ),
    "linear": ("z", "z", "z"),
}


class Network(NamedTuple):
    """A fully connected network, with what becomes of its inputs before the first layer."""

    title: str
    shape: tuple[int, ...]
    """Of one example."""
    layers: Sequence[Mapping[str, Any]]
    """f32 W[out, in] and b[out] of each."""
    activation: str
    names: Sequence[str] = ()
    """Of the classes; none for a regression."""
    arrays: Mapping[str, Any] = {}
    """Named arrays that `prepare` uses."""
    prepare: Sequence[str] = ()
    """Statements that change x[N, *shape], in which `xp.` stands for the library."""
    normalize: bool = False
    normalize_inputs: bool = False
    mirror: bool = False


def from_run(described: Described, saved: SavedClassifier) -> Network:
    """The network of a run folder; ValueError for a convolutional one."""
    settings, names, shape = described
    if settings.model not in ("linear", "mlp"):
        raise ValueError(
            f"--formats script writes linear classifiers and fully connected networks, not --model {settings.model}: "
            "use --formats jax or onnx"
        )
    arrays, prepare = _preprocessing(settings, saved.classifier.statistics)
    return Network(
        f"{settings.dataset}, {settings.model}",
        shape,
        saved.classifier.params,
        settings.activation,
        names,
        arrays,
        prepare,
        settings.normalize,
        settings.normalize_inputs,
        settings.mirror,
    )


def write(network: Network, library: Library) -> str:
    """The source text; its function `scores` takes examples [N, *shape] and returns scores [N, outputs]."""
    index = tuple(_PREFIX).index(library)
    as_array, prefix = _ARRAY[library], _PREFIX[library]
    sizes = [np.shape(network.layers[0]["w"])[1], *(len(layer["b"]) for layer in network.layers)]
    arrays = dict(network.arrays)
    for i, layer in enumerate(network.layers, start=1):
        arrays |= {f"W{i}": layer["w"], f"b{i}": layer["b"]}
    literal = sum(np.size(a) for a in arrays.values()) <= LITERAL
    shape = ", ".join(map(str, network.shape))
    title = repr(network.title)[1:-1].replace('"', "'")
    what = "scores" if network.names else "values"
    lines = [
        f'"""{title}: a trained network, {" - ".join(map(str, sizes))}."""',
        "",
        *([] if literal else ["import base64", "import zlib", ""]),
        *_IMPORTS[library].split("\n"),
        "",
    ]
    if not literal:
        lines += [
            "",
            "def unpack(text, *shape):",
            '    return np.frombuffer(zlib.decompress(base64.b85decode(text)), "<f4").reshape(shape)',
            "",
            "",
        ]
    for name, array in arrays.items():
        lines += _assignment(name, np.asarray(array, np.float32), as_array, literal=literal)
    lines += [f"classes = {list(map(str, network.names))!r}"] if network.names else []
    if network.normalize or network.normalize_inputs:
        lines += ["", "", "def normalize(z):", "    z = z - z.mean(-1)[..., None]"]
        lines += [f"    return z / {prefix}sqrt((z * z).mean(-1)[..., None] + 1e-6)"]
    if len(network.layers) > 1:
        lines += ["", "", "def activation(z):", f"    return {_ACTIVATIONS[network.activation][index]}"]
    lines += ["", "", f"def {'forward' if network.mirror else 'scores'}(x):"]
    lines += [f'    """Examples [N, {shape}], in the units of the training examples, to {what} [N, {sizes[-1]}]."""']
    lines += [f"    x = {as_array.format('x')}", *(f"    {line}" for line in network.prepare)]
    lines += ["    h = x.reshape(len(x), -1)"] + (["    h = normalize(h)"] if network.normalize_inputs else [])
    for i in range(1, len(network.layers)):
        inside = f"normalize(h @ W{i}.T) + b{i}" if network.normalize else f"h @ W{i}.T + b{i}"
        lines += [f"    h = activation({inside})"]
    lines += [f"    return h @ W{len(network.layers)}.T + b{len(network.layers)}"]
    if network.mirror:
        lines += ["", "", "def scores(x):", f"    x = {as_array.format('x')}"]
        lines += ["    return (forward(x) + forward(xp.flip(x, (2,)))) / 2"]
    lines += ["", "", 'if __name__ == "__main__":', f"    found = scores(np.zeros((1, {shape})))"]
    lines += ["    print(found, classes[int(found.argmax())])" if network.names else "    print(found)"]
    code = [line if "unpack(" in line else line.replace("xp.", prefix) for line in lines]
    return "\n".join(code) + "\n"


def _assignment(name: str, array: np.ndarray, as_array: str, *, literal: bool) -> list[str]:
    """Lines that define an array, exactly."""
    if not literal:
        packed = base64.b85encode(zlib.compress(np.ascontiguousarray(array, "<f4").tobytes(), 9)).decode()
        shape = "".join(f", {n}" for n in array.shape)
        return [f"{name} = {as_array.format(f'unpack({packed!r}{shape})')}"]
    line = f"{name} = {as_array.format(_numbers(array))}"
    return textwrap.wrap(line, 100, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _numbers(array: np.ndarray) -> str:
    """The array as nested lists of the shortest decimals that give the same float32."""
    return str(np.float32(array)) if array.ndim == 0 else f"[{', '.join(map(_numbers, array))}]"


def _preprocessing(settings: Settings, statistics: Any) -> tuple[dict[str, Any], list[str]]:
    """The arrays and statements of `--preprocess`."""
    if settings.preprocess == "none":
        return {}, []
    arrays, low = {"mean": statistics.mean}, ""
    if statistics.mean_low is not None:
        arrays["mean_low"], low = statistics.mean_low, " - mean_low"
    match settings.preprocess:
        case "center":
            return arrays, [f"x = x - mean{low}"]
        case "pca" | "whiten":
            arrays["components"] = statistics.components
            lines = [f"x = (x - mean{low}).reshape(len(x), -1) @ components.T"]
            if settings.preprocess == "whiten":
                std = np.asarray(statistics.std, np.float64)
                variance = std**2 + (1e-5 if settings.whiten_epsilon is None else settings.whiten_epsilon)
                arrays["whitening"] = np.where(std > 0, 1 / np.sqrt(np.where(std > 0, variance, 1.0)), 0.0)
                lines.append("x = x * whitening")
            return arrays, lines
        case _:
            return arrays | {"std": statistics.std}, [f"x = (x - mean{low}) / std"]
