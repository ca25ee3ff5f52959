"""ONNX models of one node, DepthToSpace or SpaceToDepth."""

from typing import Any

import numpy as np
import onnx


def one_node(operation: str, scale: Any, order: str, dtype: np.dtype[Any], opset: int) -> onnx.ModelProto:
    """Return the model whose only node is the operator for ``operation``, with tensors of any four extents.

    Before opset 28 SpaceToDepth has no mode; it is DCR.
    """
    operator = {"phase_shift": "DepthToSpace", "inverse_phase_shift": "SpaceToDepth"}[operation]
    attributes = {"blocksize": scale} | ({"mode": order} if operator == "DepthToSpace" or opset >= 28 else {})
    node = onnx.helper.make_node(operator, ["x"], ["y"], **attributes)
    kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    x, y = (onnx.helper.make_tensor_value_info(name, kind, ["n", "c", f"h_{name}", f"w_{name}"]) for name in "xy")
    y.type.tensor_type.shape.dim[1].dim_param = "d"
    graph = onnx.helper.make_graph([node], "one_node", [x], [y])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=10)
