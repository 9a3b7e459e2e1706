"""Graphs put together with onnx.helper in forms that PyTorch's exporters do not write, and what onnx.reference says of them.

    python make_onnx.py        (numpy, onnx)

For each case: helper_CASE.onnx, and helper_CASE.io.safetensors with x (B, T, F), lengths and y.
"""

from pathlib import Path

import numpy as np
from make_onnxruntime import save
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = Path(__file__).parent
FEATURES, HIDDEN, OUTPUTS, BATCH, STEPS = 3, 4, 2, 5, 6
random = np.random.RandomState(11)


def array(name, *shape):
    return numpy_helper.from_array((random.standard_normal(shape) * 0.5).astype("f4"), name)


def weights(gates, end="", directions=1, inputs=FEATURES):
    return [
        array(f"W{end}", directions, gates * HIDDEN, inputs),
        array(f"R{end}", directions, gates * HIDDEN, HIDDEN),
        array(f"B{end}", directions, 2 * gates * HIDDEN),
    ]


def integers(name, *values):
    return numpy_helper.from_array(np.array(values, "i8"), name)


def number(name, *values):
    return numpy_helper.from_array(np.array(values, "f4"), name)


def keras_converted():
    """As tf2onnx writes Keras layers: the series turned, each layer squeezed, MatMul and Add."""
    node = helper.make_node
    nodes = [
        node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        node("LSTM", ["turned", "W", "R", "B"], ["y1"], hidden_size=HIDDEN, direction="forward"),
        node("Squeeze", ["y1", "one"], ["s1"]),
        node("LSTM", ["s1", "W2", "R2", "B2"], ["", "h2"], hidden_size=HIDDEN, direction="forward"),
        node("Squeeze", ["h2", "zero"], ["s2"]),
        node("MatMul", ["s2", "K"], ["m"]),
        node("Add", ["m", "b"], ["y"]),
    ]
    constants = [*weights(4), *weights(4, "2", inputs=HIDDEN), integers("one", 1), integers("zero", 0)]
    return nodes, [*constants, array("K", HIDDEN, OUTPUTS), array("b", OUTPUTS)], False


def batchwise():
    """layout=1 and both directions, laid beside each other by a reshape; the reset before the product."""
    node = helper.make_node
    nodes = [
        node("GRU", ["x", "W", "R", "B"], ["", "h"], hidden_size=HIDDEN, direction="bidirectional", layout=1),
        node("Flatten", ["h"], ["rows"]),
        node("Gemm", ["rows", "K", "b"], ["y"], transB=1, alpha=0.5, beta=2.0),
    ]
    return nodes, [*weights(3, directions=2), array("K", OUTPUTS, 2 * HIDDEN), array("b", OUTPUTS)], False


def scaled():
    """Scales by constants before, units behind, lengths as an input, a hidden dense layer."""
    node = helper.make_node
    nodes = [
        node("Sub", ["x", "mean"], ["centred"]),
        node("Mul", ["centred", "inverse"], ["small"]),
        node("Transpose", ["small"], ["turned"], perm=[1, 0, 2]),
        node("RNN", ["turned", "W", "R", "B", "lengths"], ["", "h"], hidden_size=HIDDEN, activations=["Tanh"]),
        node("Squeeze", ["h", "zero"], ["rows"]),
        node("MatMul", ["rows", "K"], ["m"]),
        node("Add", ["b", "m"], ["a"]),
        node("Relu", ["a"], ["r"]),
        node("Gemm", ["r", "K2"], ["g"]),
        node("Mul", ["g", "unit"], ["u"]),
        node("Add", ["u", "level"], ["y"]),
    ]
    constants = [*weights(1), integers("zero", 0), number("mean", 1.0, -2.0, 0.5), number("inverse", 0.5, 2.0, 1.5)]
    constants += [array("K", HIDDEN, 3), array("b", 3), array("K2", 3, OUTPUTS), number("unit", 3.0), number("level", 7.0)]
    return nodes, constants, True


def average():
    """The mean of all steps."""
    node = helper.make_node
    nodes = [
        node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        node("GRU", ["turned", "W", "R", "B"], ["steps"], hidden_size=HIDDEN, linear_before_reset=1),
        node("Squeeze", ["steps", "one"], ["s"]),
        node("ReduceMean", ["s"], ["mean"], axes=[0], keepdims=0),
        node("Gemm", ["mean", "K", "b"], ["y"]),
    ]
    return nodes, [*weights(3), integers("one", 1), array("K", HIDDEN, OUTPUTS), array("b", OUTPUTS)], False


def main():
    for make in (keras_converted, batchwise, scaled, average):
        nodes, constants, ragged = make()
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "time", FEATURES])]
        lengths = np.full(BATCH, STEPS, "i4")
        if ragged:
            inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, ["batch"]))
            lengths = np.array([6, 2, 4, 1, 6], "i4")
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", OUTPUTS])]
        graph = helper.make_graph(nodes, make.__name__, inputs, outputs, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        checker.check_model(model)
        x = random.standard_normal((BATCH, STEPS, FEATURES)).astype("f4")
        # Each sequence alone and by its own length, which every evaluator walks alike.
        whole = ReferenceEvaluator(model)
        y = []
        for b, length in enumerate(lengths):
            feed = {"x": x[b : b + 1, :length]} | ({"lengths": lengths[b : b + 1]} if ragged else {})
            y.append(whole.run(None, feed)[0])
        (HERE / f"helper_{make.__name__}.onnx").write_bytes(model.SerializeToString())
        save(HERE / f"helper_{make.__name__}.io.safetensors", {"x": x, "lengths": lengths, "y": np.concatenate(y).astype("f4")})


if __name__ == "__main__":
    main()
