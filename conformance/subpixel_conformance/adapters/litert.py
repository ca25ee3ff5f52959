"""LiteRT's interpreter (formerly TensorFlow Lite) on models of one operator, judged on what TensorFlow documents of the operation.

https://www.tensorflow.org/api_docs/python/tf/nn/depth_to_space: DEPTH_TO_SPACE and SPACE_TO_DEPTH are what the converter makes of
``tf.nn.depth_to_space`` and ``tf.nn.space_to_depth``, so the documentation of these holds: DCR, channels last, 2-D, one factor of at
least 2. The types are those that the operators' kernels accept. The model is written as a flatbuffer, so that no converter stands
between. Nothing is said of empty tensors, and they are not claimed.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from subpixel_conformance.adapters.one_factor import one_factor
from subpixel_conformance.callables import Adapter

TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "uint8": schema.TensorType.UINT8,
}


def one_operator(operation: str, block: int, dtype: str) -> bytes:
    """Return a model whose only operator is the one for ``operation``, with a tensor (1, 1, 1, 1) to be resized."""
    if operation == "phase_shift":
        code, kind, options = (
            schema.BuiltinOperator.DEPTH_TO_SPACE,
            schema.BuiltinOptions.DepthToSpaceOptions,
            schema.DepthToSpaceOptionsT(),
        )
    else:
        code, kind, options = (
            schema.BuiltinOperator.SPACE_TO_DEPTH,
            schema.BuiltinOptions.SpaceToDepthOptions,
            schema.SpaceToDepthOptionsT(),
        )
    options.blockSize = block
    graph = schema.SubGraphT()
    graph.tensors = []
    for name in ("x", "y"):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, [1, 1, 1, 1], TYPES[dtype], 0
        graph.tensors.append(tensor)
    operator = schema.OperatorT()
    operator.inputs, operator.outputs, operator.builtinOptionsType, operator.builtinOptions = [0], [1], kind, options
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    listed = schema.OperatorCodeT()
    listed.builtinCode = listed.deprecatedBuiltinCode = code
    listed.version = 1
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [listed], [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class LiteRt(Adapter):
    """DEPTH_TO_SPACE and SPACE_TO_DEPTH."""

    name = "litert"
    versions: Mapping[str, str] = {"ai-edge-litert": version("ai-edge-litert")}
    claims: Mapping[str, Any] = {
        "operations": ("phase_shift", "inverse_phase_shift"),
        "orders": ("DCR",),
        "data_formats": ("channels_last",),
        "ndims": (2,),
        "batch_ndims": (1,),
        "anisotropic": False,
        "empty": False,
        "scale_one": False,
        "dtypes": tuple(TYPES),
        "devices": ("cpu",),
    }

    def phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        """Return what the interpreter gives for DEPTH_TO_SPACE."""
        return self._run("phase_shift", x, scale)

    def inverse_phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        """Return what the interpreter gives for SPACE_TO_DEPTH."""
        return self._run("inverse_phase_shift", x, scale)

    def _run(self, operation: str, x: np.ndarray, scale: Any) -> np.ndarray:
        interpreter = Interpreter(model_content=one_operator(operation, one_factor(scale), x.dtype.name), num_threads=1)
        interpreter.resize_tensor_input(0, x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(0, x)
        interpreter.invoke()
        return interpreter.get_tensor(1)


adapter = LiteRt()
