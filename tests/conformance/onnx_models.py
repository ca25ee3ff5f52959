"""Small ONNX models of small whole numbers, so that every sum is exact and a converted model must be equal bit for bit."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 17


def integers(*shape, seed=0):
    """Whole numbers from -4 to 4, none of the first ones equal to its neighbour."""
    return np.random.default_rng((seed, *shape)).integers(-4, 5, shape).astype("float32")


def model(nodes, weights, x=("n", 4, "h", "w"), outputs=("y",), opset=OPSET, dtype=onnx.TensorProto.FLOAT):
    """A model with an input x and constants by name."""
    values = [helper.make_tensor_value_info(name, dtype, [None] * len(x)) for name in outputs]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "graph", [helper.make_tensor_value_info("x", dtype, x)], values, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def conv_transpose(taps, *, inputs=4, outputs=3, groups=1, bias=True, declared=None, opset=OPSET, **given):
    """One ConvTranspose, ``outputs`` per group."""
    weights = {"W": integers(inputs, outputs, *taps)} | ({"b": integers(outputs * groups)} if bias else {})
    node = helper.make_node("ConvTranspose", ["x", *weights], ["y"], name="up", group=groups, **given)
    return model([node], weights, declared or ("n", inputs, *"dhw"[: len(taps)]), opset=opset)


def resize_conv(taps, factors, *, inputs=4, outputs=3, groups=1, bias=True, resize=None, opset=OPSET, declared=None, between=(), **given):
    """One Resize to the nearest neighbour, by default in the way that PyTorch exports it, and one Conv."""
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor", "mode": "nearest"} | (resize or {})
    weights = {"scales": np.array([1, 1, *factors], "float32"), "W": integers(outputs, inputs // groups, *taps)}
    weights |= {"b": integers(outputs)} if bias else {}
    roi = "" if opset > 12 else "roi"  # which must be there before opset 13
    weights |= {"roi": np.zeros(0, "float32")} if roi else {}
    nodes = [
        helper.make_node("Resize", ["x", roi, "scales"], ["large"], name="resize", **how),
        *between,
        helper.make_node("Conv", ["large", *(["W", "b"] if bias else ["W"])], ["y"], name="conv", group=groups, **given),
    ]
    return model(nodes, weights, declared or ("n", inputs, *"dhw"[: len(taps)]), opset=opset)


def operators(converted):
    """The operators of a model, in their order."""
    return [node.op_type for node in converted.graph.node]


def attribute(converted, operator, name):
    """An attribute of the one node with this operator."""
    (node,) = (node for node in converted.graph.node if node.op_type == operator)
    return next(onnx.helper.get_attribute_value(entry) for entry in node.attribute if entry.name == name)
