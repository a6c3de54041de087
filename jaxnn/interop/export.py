"""Export a trained classifier to a file that does not need this package: a serialized JAX program, or ONNX."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
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
    batch = export.symbolic_shape("batch - 1")  # a dimension of its own would be at least 1
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
        ValueError: the function computes in bfloat16 or multiplies matrices in float16, for which ONNX runtimes have no
            kernels, or uses an operation that ONNX or the converter does not support. A model with 16-bit weights
            exports once they and the examples are cast to float32.

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
    program = jax.make_jaxpr(score)(jax.ShapeDtypeStruct((2, *shape), dtype))
    if short := _unsupported_precision(program.jaxpr):
        raise ValueError(
            f"to_onnx: the function computes in {short}, for which ONNX runtimes have no kernels; export it in "
            f"float32: leave out models.with_compute_dtype (the parameters are float32), or cast weights and examples "
            f"with .astype(jnp.float32); to_jax keeps {short}"
        )
    model: Any = jax2onnx.to_onnx(
        score,
        inputs=[jax.ShapeDtypeStruct(("batch", *shape), dtype)],
        model_name=name,
        input_names=["examples"],
        output_names=["scores"],
    )
    return model.SerializeToString()


def _unsupported_precision(jaxpr: Any) -> str:
    """The 16-bit type in which a traced function computes more than ONNX runtimes support, or ""."""
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        inner = [part for value in equation.params.values() for part in _jaxprs(value)]
        if found := next(filter(None, map(_unsupported_precision, inner)), ""):
            return found
        types = {getattr(v.aval, "dtype", None) for v in equation.invars}
        if jnp.dtype("bfloat16") in types and not inner and name != "convert_element_type":
            return "bfloat16"
        if jnp.dtype("float16") in types and name in ("dot_general", "conv_general_dilated"):
            return "float16"
    return ""


def _jaxprs(value: Any) -> list[Any]:
    """The traced functions in a parameter of an equation."""
    if isinstance(value, list | tuple):
        return [part for one in value for part in _jaxprs(one)]
    value = getattr(value, "jaxpr", value)
    return [value] if hasattr(value, "eqns") else []


def _missing(package: str) -> ImportError:
    return ImportError(f"exporting needs {package}, which is not installed: pip install 'jaxnn[export]'")
