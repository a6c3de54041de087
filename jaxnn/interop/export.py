"""Export a trained classifier to a file that does not need this package: a serialized JAX program, or ONNX."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import Array, export
from jax.typing import DTypeLike

__all__ = ["to_jax", "to_onnx"]

_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def to_jax(score: Callable[[Array], Array], shape: Sequence[int], dtype: DTypeLike) -> bytes:
    """A function of a batch as a serialized `jax.export` program, for any batch size and every platform.

    To run it without this package:

        jax.export.deserialize(bytearray(content)).call(examples)

    JAX can read programs serialized by its earlier releases for at least six months.

    Args:
        score: from examples [B, *shape] to scores [B, C], parameters and preprocessing included.
        shape: of one example.
        dtype: of the examples.

    Returns:
        The program as bytes.

    Raises:
        ImportError: `flatbuffers` is not installed; the extra "export" installs it.

    Source: JAX documentation, "Exporting and serializing staged-out computations".

    Example:
        >>> from jaxnn.interop.export import to_jax
        >>> content = to_jax(lambda x: x.sum(1, keepdims=True), shape=(3,), dtype=jnp.float32)
        >>> print(jax.export.deserialize(bytearray(content)).call(jnp.ones((2, 3))))
        [[3.]
         [3.]]
    """
    if importlib.util.find_spec("flatbuffers") is None:
        raise _missing("flatbuffers")
    batch = export.symbolic_shape("batch")
    examples = jax.ShapeDtypeStruct((*batch, *shape), dtype)
    return bytes(export.export(jax.jit(score), platforms=_PLATFORMS)(examples).serialize())


def to_onnx(score: Callable[[Array], Array], shape: Sequence[int], dtype: DTypeLike, name: str) -> bytes:
    """A function of a batch as an ONNX model, for any batch size: input "examples", output "scores".

    Args:
        score, shape, dtype: as `to_jax`.
        name: of the graph.

    Returns:
        The model as bytes.

    Raises:
        ImportError: `jax2onnx` is not installed; the extra "export" installs it.
        ValueError: the function uses an operation that ONNX or the converter does not support.

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
        raise _missing("jax2onnx") from error
    model: Any = jax2onnx.to_onnx(
        score,
        inputs=[jax.ShapeDtypeStruct(("batch", *shape), dtype)],
        model_name=name,
        input_names=["examples"],
        output_names=["scores"],
    )
    return model.SerializeToString()


def _missing(package: str) -> ImportError:
    return ImportError(f"exporting needs {package}, which is not installed: pip install 'jaxnn[export]'")
