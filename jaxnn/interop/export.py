"""A trained classifier as a file that needs nothing of this package: a serialized JAX program, or ONNX."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import Array, export
from jax.typing import DTypeLike

__all__ = ["to_jax", "to_onnx"]

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def to_jax(score: Callable[[Array], Array], shape: Sequence[int], dtype: DTypeLike) -> bytes:
    """A function of a batch as a serialized `jax.export` program, for any number of examples and every platform.

    It is run without this package:

        jax.export.deserialize(bytearray(content)).call(examples)

    The bytes hold the version of their format; JAX reads those of earlier releases for at least six months.

    Args:
        score: from examples [B, *shape] to scores [B, C]; parameters and preprocessing are part of it.
        shape: of one example.
        dtype: of the examples.

    Returns:
        The program as bytes.

    Raises:
        ImportError: `flatbuffers` is not installed; it is in the extra "export".

    Source: JAX documentation, "Exporting and serializing staged-out computations".

    Example:
        >>> from jaxnn.interop.export import to_jax
        >>> content = to_jax(lambda x: x.sum(1, keepdims=True), shape=(3,), dtype=jnp.float32)
        >>> print(jax.export.deserialize(bytearray(content)).call(jnp.ones((2, 3))))
        [[3.]
         [3.]]
    """
    if importlib.util.find_spec("flatbuffers") is None:
        raise _lacks("flatbuffers")
    batch = export.symbolic_shape("batch")
    examples = jax.ShapeDtypeStruct((*batch, *shape), dtype)
    return bytes(export.export(jax.jit(score), platforms=PLATFORMS)(examples).serialize())


def to_onnx(score: Callable[[Array], Array], shape: Sequence[int], dtype: DTypeLike, name: str) -> bytes:
    """A function of a batch as an ONNX model, for any number of examples: input "examples", output "scores".

    Args:
        score, shape, dtype: as `to_jax`.
        name: of the graph.

    Returns:
        The model as bytes.

    Raises:
        ImportError: `jax2onnx` is not installed; it is in the extra "export".
        ValueError: the function has an operation that ONNX or the converter does not have.

    Example:
        >>> import onnxruntime
        >>> from jaxnn.interop.export import to_onnx
        >>> content = to_onnx(lambda x: x.sum(1, keepdims=True), (3,), np.float32, "sum")
        >>> onnxruntime.InferenceSession(content).run(None, {"examples": np.ones((2, 3), np.float32)})
        [array([[3.],
               [3.]], dtype=float32)]
    """
    try:
        import jax2onnx
    except ImportError as error:
        raise _lacks("jax2onnx") from error
    model: Any = jax2onnx.to_onnx(
        score,
        inputs=[jax.ShapeDtypeStruct(("batch", *shape), dtype)],
        model_name=name,
        input_names=["examples"],
        output_names=["scores"],
    )
    return model.SerializeToString()


def _lacks(package: str) -> ImportError:
    return ImportError(f"exporting needs {package}, which is not installed: pip install 'jaxnn[export]'")
