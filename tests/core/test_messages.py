"""Every rule of `subpixel_core.check` and every door that applies it, word for word: the argument, the rule, what came."""

import numpy as np
import pytest

from subpixel_core import (
    ResidualUNetConfig,
    Stage,
    base_shape,
    box_blur,
    channel_permutation,
    check,
    checkerboard,
    collapse_stages,
    conv,
    conv_transpose,
    conv_unshift_to_strided,
    deconv_to_subpixel,
    depthwise_conv,
    factorizations,
    few_axes,
    fractionally_strided_conv,
    icnr,
    icnr_bias,
    icnr_residual,
    icnr_weight_norm,
    inverse_phase_shift,
    nearest_upsample,
    phase_shift,
    plan_stages,
    rearrangement,
    resize_conv_to_subpixel,
    separable_subpixel_conv,
    shift_conv_to_subpixel,
    subpixel_conv,
    subpixel_to_deconv,
    unshift_conv_to_strided,
)
from subpixel_core._upsampling import of_deconv, of_resize_conv

LINE, MAP, VOLUME = np.zeros((1, 6, 4)), np.zeros((1, 6, 6, 4)), np.zeros((1, 2, 2, 2, 4))
TAPS, KERNEL = np.zeros((3, 4, 4)), np.zeros((3, 3, 4, 4))
EITHER = "an integer or a tuple of integers"
WORDS = "one of 'DCR', 'CRD', 'DRC', 'RCD'"
RULE = "padding must be 'same', 'valid' or a pair (before, after) for each of 1 spatial axes"
TELLING = "example must have finite values that differ along every axis, for the exported file is verified on them; got"
XLA = "padding must be 'SAME', 'VALID', or an integer or a pair (before, after) for each of 2 spatial axes"
RESIZE = "mode must be 'nearest', for any other resize continues the border with its pixels, where a convolution has zeros"
STAGES = "stages must be a sequence of (kernel, bias, scale), one per stage"
LEVELS = "an integer or a tuple of integers, one per level"
DCR = {"order": "DCR"}
CHAIN = {"in_channels": 2, "out_channels": 3}
CONFIG = ResidualUNetConfig(widths=(8, 8), groups=4)


def runs_on(given, error):
    with check.example_runs(given):
        raise error


def not_traced(cause):
    try:
        raise RuntimeError("the message of torch") from ValueError("on the way")
    except RuntimeError as error:
        error.__cause__.__cause__ = cause
        check.traceable(error)


RULES = [
    (lambda: check.opset(17), "opset_version must be 18 or more; got 17"),
    (
        lambda: check.one_file(2**31, "ONNX", "this"),
        "model must have less than 2 GiB of parameters for one ONNX file; got 2147483648 bytes. Use this",
    ),
    (
        lambda: check.real_example(True, "complex64", "ONNX"),
        "example must hold real numbers for ONNX; got complex64. Export real and imaginary parts as channels",
    ),
    (
        lambda: runs_on([], RuntimeError("a" * 400)),
        f"example must be an input on which the model runs; got none, on which it raised RuntimeError: {'a' * 300}",
    ),
    (
        lambda: check.same_when_rebuilt("layer", [(2,)], [(3,)]),
        "layer must have the variables that its configuration makes, [(3,)]; got [(2,)]",
    ),
    (lambda: few_axes(4, 0, data_format="channels_last", **DCR), "scale must be 1 or more; got 0"),
    (lambda: check.calibrated(True, None, MAP.shape), "calibration must have inputs as the model will see them, for int8; got none"),
    (lambda: check.calibrated(True, [], MAP.shape), "calibration must have inputs as the model will see them, for int8; got none"),
    (lambda: check.calibrated(False, [MAP], MAP.shape), "int8 must be True for a calibration; got False and 1 inputs"),
    (lambda: check.calibrated(True, [MAP * 1j], MAP.shape), "calibration must be real numbers; got complex128 in 'input 0'"),
    (
        lambda: check.calibrated(True, [np.ones((2, 2)), np.ones((2, 2)) * 1j], (2, 2)),
        "calibration must be real numbers; got complex128 in 'input 1'",
    ),
    (lambda: check.calibrated(True, [MAP + 1e300], MAP.shape), "calibration must have finite values in float32; got inf"),
    (lambda: check.calibrated(True, [[1.0, -1e300, np.nan]], (3,)), "calibration must have finite values in float32; got -inf"),
    (
        lambda: check.calibrated(True, [MAP], (None, 6, None, 3)),
        "calibration must have inputs of the shape (None, 6, None, 3), that of a batch for the model; got (1, 6, 6, 4)",
    ),
    (
        lambda: check.calibrated(True, [MAP[:0]], (None, 6, 6, 4)),
        "calibration must have inputs of the shape (None, 6, 6, 4), that of a batch for the model; got (0, 6, 6, 4)",
    ),
    (
        lambda: check.calibrated(True, [MAP], MAP.shape),
        "calibration must have values that differ, for their ranges become the scales; got one value everywhere",
    ),
    (
        lambda: check.puts_out("x", (1, 2), np.zeros((0, 3)), everywhere=False),
        "x must be an input for which the model puts out finite numbers; got nothing, for (1, 2)",
    ),
    (
        lambda: check.puts_out("x", (1, 2), np.array([1, np.inf]), everywhere=True),
        "x must be an input for which the model puts out finite numbers; got inf, for (1, 2)",
    ),
    (
        lambda: check.puts_out("x", (1, 2), np.array([np.nan]), everywhere=False),
        "x must be an input for which the model puts out finite numbers; got nan, for (1, 2)",
    ),
    (
        lambda: check.puts_out("x", (1, 2), np.array([1, -np.inf, np.nan]), everywhere=True),
        "x must be an input for which the model puts out finite numbers; got -inf, for (1, 2)",
    ),
    *[
        (
            lambda inputs=inputs, outputs=outputs: check.one_in_one_out(inputs, outputs, "a runtime"),
            f"model must have one input and one output to be run in a runtime; got {inputs} and {outputs}. "
            "Export it in float with verify=False, or its parts",
        )
        for inputs, outputs in [(1, 2), (0, 1)]
    ],
    (lambda: check.known_inputs(1, None), "model must say what it takes and gives, as keras.Model(inputs, outputs) does; got int"),
    (
        lambda: check.in_float32(["float32", "uint8", "float16", "bfloat16"], "TFLite"),
        "model must be float32 for TFLite; got bfloat16, float16. Make it in float32 and give it the weights; nothing was written",
    ),
    (
        lambda: check.integers_only(["ADD", "CONV"], "TFLite"),
        "model must have layers that TFLite computes in integers, with int8; got ADD, CONV in float32. Replace them "
        "(convolutions in 3-D are in float only), or leave int8 out, or verify=False to have them as they are; nothing was written",
    ),
    (
        lambda: check.few_axes_only([4, 7, 6], 5, "TFLite"),
        "model must have transposes of at most 5 axes for TFLite; got one of 7. Take the layers PhaseShift and InversePhaseShift "
        "instead of the functions; verify=False writes what TFLite can hold; nothing was written",
    ),
    (
        lambda: check.runs_somewhere(64, "\x1b[1mno\nroom " + 300 * "a"),
        f"model must run where its open extents are some number up to 64, to be verified; got: no room {292 * 'a'}. "
        "Give every extent of its input, or verify=False; nothing was written",
    ),
    (lambda: check.telling((2, 0), True, ()), f"{TELLING} none, in the shape (2, 0). Take random values, or give verify=False"),
    (lambda: check.telling((2, 3), False, ()), f"{TELLING} some that are not finite. Take random values, or give verify=False"),
    (
        lambda: check.telling((2, 3, 4), True, (1, 2, 0)),
        f"{TELLING} the same values all along axis 1 of (2, 3, 4). Take random values, or give verify=False",
    ),
    (
        lambda: check.answered(False),
        "example must be one for which the model gives finite values; got none. Take other values, or give verify=False",
    ),
    *[
        (
            lambda given=given, other=other: check.same_format(given, other),
            f"data_format must be that of the exported function, {other!r}; got {given!r}",
        )
        for given, other in [("channels_last", "channels_first"), ("channels_first", "channels_last")]
    ],
    *[
        (
            lambda asked=asked, written=written: check.opset_written(asked, written),
            f"opset_version must be one that torch.onnx.export writes; got {asked}, for which it wrote {written}",
        )
        for asked, written in [(25, 18), (18, 20)]
    ],
    (
        lambda: not_traced(KeyError("no\n room" + 600 * "a")),
        f"model must be one that torch.onnx.export takes, at the extents that may change; got KeyError: 'no\\n room{490 * 'a'}. "
        "An axis that the model needs to know, as a convolution its channels, must not be in dynamic_shapes; nothing was written",
    ),
    *[
        (
            lambda given=given, kept=kept: check.kept_dtype("JAX", np.dtype(given), np.dtype(kept), "x64"),
            f"dtype must be one that JAX keeps; got {given}, of which it makes {kept} without x64",
        )
        for given, kept in [("float64", "float32"), ("float32", "float64")]
    ],
    (lambda: check.words("platforms", "cpu"), "platforms must be a tuple or list of str; got 'cpu'"),
    (lambda: check.words("platforms", ["cpu", 1]), "platforms must be a tuple or list of str; got ['cpu', 1]"),
    (lambda: check.of_kind("function", False, "a function", 3), "function must be a function; got 3"),
    (lambda: check.of_kind("function", False, "a function", "a" * 99), f"function must be a function; got '{'a' * 12}...{'a' * 13}'"),
    (lambda: check.several("shapes", 3, str), "shapes must be a str, or a tuple or list of them; got 3"),
    (lambda: check.several("shapes", {"n"}, str), "shapes must be a str, or a tuple or list of them; got {'n'}"),
    (lambda: check.several("shapes", ["n", 1], str), "shapes must be a str, or a tuple or list of them; got ['n', 1]"),
    (lambda: check.several("shapes", [], str), "shapes must have at least one str; got []"),
    (lambda: check.known_dtype(False, "float33"), "dtype must be a dtype, or the name of one; got 'float33'"),
    (
        lambda: check.decided(["n, d - 2", "h"], "\nSymbolic dimension comparison is inconclusive.\nMore"),
        "shapes must have extents of which JAX can tell what the function asks; got 'n, d - 2', 'h': Symbolic dimension comparison is "
        "inconclusive. Give multiples as such, '2*h', or known extents",
    ),
    (lambda: check.named("path", 3), "path must be a str or a path; got 3"),
    (lambda: check.named("path", b"a"), "path must be a str or a path; got b'a'"),
    (lambda: check.named("path", ""), "path must name something; got ''"),
    (lambda: check.file_path("path", ""), "path must name something; got ''"),
    (lambda: check.calibrated(True, [[1, [2]]], (2,)), "calibration must have inputs that are arrays; got lists of unequal lengths"),
    (lambda: check.words("platforms", ()), "platforms must have at least one value; got ()"),
    (
        lambda: check.verified_on(False, "cpu", ["cuda", "tpu"]),
        "platforms must have 'cpu', on which the program is verified; got ('cuda', 'tpu'). Add it, or give verify=False",
    ),
    (lambda: check.in_folder("path", "a/b"), "path must be in a folder that is there and can be written to; got a/b"),
    (lambda: check.file_path("path", "a/b"), "path must be in a folder that is there and can be written to; got a/b"),
    (lambda: check.file_path("path", "."), "path must name a file; got the folder ."),
    (lambda: check.new_folder("path", True, "there"), "path must name a folder that is not there yet; got there"),
    (
        lambda: check.convertible("TFLite", "why", True),
        "model must have layers that TFLite has operators for; got: why. "
        "Give every extent of its input but the batch, or replace that layer; nothing was written",
    ),
    (
        lambda: check.convertible("TFLite", "why", False),
        "model must have layers that TFLite has operators for; got: why. Replace that layer; nothing was written",
    ),
    (
        lambda: check.runnable("a runtime", "int32", "why"),
        "model must be one that a runtime can run; got int32 (why). "
        "Export it in float32, or with verify=False for another runtime; nothing was written",
    ),
    (lambda: check.integer("n", 1.0, minimum=0), "n must be an integer; got 1.0"),
    (lambda: check.integer("n", True, minimum=0), "n must be an integer; got True"),
    (lambda: check.integer("n", -1, minimum=0), "n must be 0 or more; got -1"),
    (lambda: check.per_axis("n", ()), "n must have at least one value; got ()"),
    (lambda: check.per_axis("n", (1,), 2), "n must have one value per spatial axis, 2; got (1,)"),
    (lambda: check.per_axis("n", [1, 2, 3], 2), "n must have one value per spatial axis, 2; got (1, 2, 3)"),
    (lambda: check.per_axis("n", 0), "n must be 1 or more; got 0"),
    (lambda: check.per_axis("n", 1.0), f"n must be {EITHER}; got 1.0"),
    (lambda: check.per_axis("n", [1, 2.0]), f"n must be {EITHER}; got [1, 2.0]"),
    (lambda: check.per_axis("n", [1, 0]), "n must be 1 or more on every axis; got (1, 0)"),
    (lambda: check.plannable("n", (2**10, 2**11)), "n must have a product of at most 1048576 to be planned; got (1024, 2048)"),
    (lambda: check.plannable("n", (2**20 + 1,)), "n must have a product of at most 1048576 to be planned; got (1048577,)"),
    (lambda: check.one_of("n", "c", ("a", "b")), "n must be one of 'a', 'b'; got 'c'"),
    (lambda: check.flag("n", 1), "n must be True or False; got 1"),
    (lambda: check.rank(None, 2, (2, 2)), "x must have a known number of axes; got a tensor of unknown rank"),
    (lambda: check.rank(2, 2, (2, 3)), "x must have 2 spatial axes for scale=(2, 3) and a channel axis, at least 3 axes; got 2"),
    (lambda: check.multiple("n", 7, 4, "why"), "n must be a multiple of 4, why; got 7"),
    (lambda: check.pooled_axes((2,) * 4), "scale must have at most 3 factors for a blur in this framework; got (2, 2, 2, 2)"),
    (lambda: check.layer_input((1, 2), 2, 3), "x must have 4 axes: one batch axis, 2 spatial and the channels; got 2"),
    (lambda: check.layer_input((1, 5, 6, 4), 2, 3), "x must have 3 channels; got 4"),
    (lambda: check.layer_input((1, 4, 5, 3), 2, 3, "channels_first"), "x must have 3 channels; got 4"),
    (lambda: check.padding_widths("full", (3,)), "padding must be one of 'same', 'valid'; got 'full'"),
    (lambda: check.padding_widths(1, (3,)), f"{RULE}; got 1"),
    (lambda: check.padding_widths((1,), (3,)), f"{RULE}; got (1,)"),
    (lambda: check.padding_widths(((1, 1), (1, 1)), (3,)), f"{RULE}; got ((1, 1), (1, 1))"),
    (
        lambda: check.padding_widths(((1, 1),), (3, 3)),
        "padding must be 'same', 'valid' or a pair (before, after) for each of 2 spatial axes; got ((1, 1),)",
    ),
    (lambda: check.padding_widths(((1, 1, 1),), (3,)), f"{RULE}; got ((1, 1, 1),)"),
    (lambda: check.padding_widths(((1,),), (3,)), f"{RULE}; got ((1,),)"),
    (lambda: check.padding_widths(((1, -1),), (3,)), "padding must be 0 or more on every axis; got (1, -1)"),
    (lambda: check.padding_widths("same", (3, 0)), "kernel_size must be 1 or more on every axis; got (3, 0)"),
    (lambda: check.cuts(-1, 2), "padding must be 0 or more; got -1"),
    (lambda: check.cuts((1, -1), 2), "padding must be 0 or more on every axis; got (1, -1)"),
    (lambda: check.cuts(((1, 2), (0, -1)), 2), "padding must be 0 or more on every axis; got (0, -1)"),
    (lambda: check.cuts(((1, 2),), 2), "padding must have one value per spatial axis, 2; got ((1, 2),)"),
    (lambda: check.cuts(((1, 2), (0, 1)), 1), "padding must have one value per spatial axis, 1; got ((1, 2), (0, 1))"),
    (lambda: check.cuts(((1, 2), (1, 2, 3)), 2), "padding must have one value per spatial axis, 2; got (1, 2, 3)"),
    (lambda: check.cuts(((1, 2), 1), 2), f"padding must be {EITHER}; got ((1, 2), 1)"),
    (lambda: check.xla_padding("same", 2), f"{XLA}; got 'same'"),
    (
        lambda: check.xla_padding("VALID", 1, ("SAME", "CAUSAL")),
        "padding must be 'SAME', 'CAUSAL', or an integer or a pair (before, after) for each of 1 spatial axes; got 'VALID'",
    ),
    (lambda: check.xla_padding((1,), 2), f"{XLA}; got (1,)"),
    (lambda: check.xla_padding((1, 1, 1), 2), f"{XLA}; got (1, 1, 1)"),
    (lambda: check.xla_padding((1, (1, 2, 3)), 2), f"{XLA}; got (1, (1, 2, 3))"),
    (lambda: check.xla_padding((1, (1,)), 2), f"{XLA}; got (1, (1,))"),
    (lambda: check.xla_padding((1, (1, 2.0)), 2), f"{XLA}; got (1, (1, 2.0))"),
    (lambda: check.xla_padding((1, True), 2), f"{XLA}; got (1, True)"),
    (lambda: check.xla_padding(None, 2), f"{XLA}; got None"),
    (lambda: check.kernel_fits((2, 3), (3, 6), ((1, 0), (1, 1))), "kernel must not be larger than the padded input (3, 5); got (3, 6)"),
    (lambda: check.kernel_shape((3, 4)), "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (3, 4)"),
    (lambda: check.kernel_shape((3, 0, 4, 4)), "kernel must have at least one tap on every axis; got (3, 0, 4, 4)"),
    (lambda: check.output_padding((1, 3), (2, 3)), "output_padding must be below the stride (2, 3); got (1, 3)"),
    (lambda: check.output_padding((1, 4), (2, 3), (1, 1)), "output_padding must be below the stride (2, 3); got (1, 4)"),
    (lambda: check.output_padding((1, 3), (2, 3), (2, 3)), "output_padding must be below the stride (2, 3); got (1, 3)"),
    (
        lambda: check.output_padding((1, 3), (4, 1), (3, 3)),
        "output_padding must be below the larger of stride and dilation (4, 3); got (1, 3)",
    ),
    (lambda: check.spatial_extents((2, 0)), "x must have spatial extents of (1, 1) or more; got (2, 0)"),
    (
        lambda: check.something_left((2, 1), (0, -1)),
        "x must have spatial extents of which something is left after cropping; got (2, 1), cropped to (0, -1)",
    ),
    (
        lambda: check.grouped_order("DRC", 2),
        "order must be 'CRD' or 'RCD' for groups=2, whose channels are neighbours in no other; got 'DRC'",
    ),
    (
        lambda: check.block_constant(False, 3.0),
        "bias must be the same for every offset of a block to be that of a transposed convolution; got a difference of 3.0",
    ),
    (lambda: check.exact_resize("bilinear", False), f"{RESIZE}; got 'bilinear'"),
    (lambda: check.exact_resize(None, True), f"{RESIZE}; got None"),
    (
        lambda: check.exact_resize("nearest", True),
        "align_corners must be False, for the distance of its samples changes with the extents; got True",
    ),
    (lambda: check.layer_kind("layer", "C", ("A", "B")), "layer must be a A or B to be converted; got C"),
    (
        lambda: check.nothing_attached("layer", ("a hook", "a parametrization")),
        "layer must have nothing attached that its replacement would lose; got a hook, a parametrization",
    ),
    (lambda: check.is_built("layer", False), "layer must be built, for kernels are what is converted; got one that has none yet"),
    (lambda: check.same_in_both("axes", 1, 2), "axes must be the same in the resize and the convolution; got 1 and 2"),
    (lambda: check.same_in_both("axes", 2, 1), "axes must be the same in the resize and the convolution; got 2 and 1"),
    (
        lambda: check.own_positions([1, 0], (1, 0)),
        "output_padding must give the last pixel a position of its own with padding='same'; got (1, 0)",
    ),
    *(
        (
            lambda shapes=shapes: check.example_inputs([*map(np.zeros, shapes)], [(None, 3), (2, 4)]),
            f"example must have an array for each input of the model, (None, 3), (2, 4); got {', '.join(map(str, shapes))}",
        )
        for shapes in ([(1, 3)], [(1, 3), (2, 4), (5,)], [(1, 3), (2, 5)], [(1, 3), (2, 4, 1)], [(1, 3), (2,)], [(1, 2), (2, 4)])
    ),
    (
        lambda: check.example_inputs(["x"], [(2, 4)]),
        "example must have an array for each input of the model, (2, 4); got str",
    ),
    (lambda: check.example_inputs([], [(2, 4)]), "example must have an array for each input of the model, (2, 4); got none"),
    (
        lambda: runs_on([np.zeros((1, 3)), "x"], KeyError("a\n b")),
        "example must be an input on which the model runs; got (1, 3), str, on which it raised KeyError: 'a\\n b'",
    ),
    (
        lambda: runs_on([], RuntimeError()),
        "example must be an input on which the model runs; got none, on which it raised RuntimeError",
    ),
    (
        lambda: check.same_when_rebuilt("layer", [(3,), (2,)], [(3,)]),
        "layer must have the variables that its configuration makes, [(3,)]; got [(3,), (2,)]",
    ),
    (
        lambda: check.zeros_around("reflect"),
        "padding_mode must be 'zeros', for other values around the input are no part of a kernel; got 'reflect'",
    ),
    (
        lambda: check.whole_factors(None, (4, 4), 2),
        "size must be None, for the factor of a resize to a size changes with the extents; got (4, 4)",
    ),
    (
        lambda: check.whole_factors((2, 1.5), None, 2),
        "scale_factor must be whole on every axis, for pixels are repeated unequally otherwise; got (2, 1.5)",
    ),
    (
        lambda: check.whole_factors(1.5, None, 2),
        "scale_factor must be whole on every axis, for pixels are repeated unequally otherwise; got 1.5",
    ),
    (lambda: check.whole_factors((2, 2), None, 1), "scale_factor must have one value per spatial axis, 1; got (2, 2)"),
    (lambda: check.whole_factors(0.0, None, 2), "scale_factor must be 1 or more on every axis; got (0, 0)"),
    (lambda: check.whole_factors(None, None, 1), f"scale_factor must be {EITHER}; got (None,)"),
    (
        lambda: check.neighbours_found([3, 5], False),
        "scale_factor must be one at which mode 'nearest' finds every pixel, in float32; got (3, 5)",
    ),
    (lambda: check.values_at_hand("layer", "meta"), "layer must hold values to be converted; got parameters on the meta device"),
    (
        lambda: check.exact_everywhere(((0, 0), (0, 1))),
        "stages must be one layer up to the border: one tap each, or no zeros around all but the first; "
        "got an interior of ((0, 0), (0, 1))",
    ),
    (
        lambda: check.one_kernel(a=False, b=True, c=True),
        "stages must be convolutions with one kernel each to become one layer; got b=True",
    ),
    (lambda: check.unit_steps((1, 2)), "stride must be 1 on every axis of a convolution behind a resize; got (1, 2)"),
    (lambda: check.unit_steps((1, 0)), "stride must be 1 on every axis of a convolution behind a resize; got (1, 0)"),
    (
        lambda: check.linear("relu"),
        "activation must be None, for a chain with a nonlinearity between its stages is no linear layer; got 'relu'",
    ),
    (lambda: check.stages(1), f"{STAGES}; got int"),
    (lambda: check.stages([(0, 0, 0), 1]), f"{STAGES}; got list"),
    (lambda: check.stages([]), f"{STAGES}; got [] entries"),
    (lambda: check.stages(((0, 0, 0), (0, 0))), f"{STAGES}; got [3, 2] entries"),
    (lambda: check.stages(((0, 0, 0), (0, 0, 0, 0))), f"{STAGES}; got [3, 4] entries"),
    (
        lambda: check.follows((3, 3, 4, 8), (3, 3, 1, 2)),
        "stages must fit each other: a kernel with 2 spatial axes and 2 input channels must follow; got the shape (3, 3, 4, 8)",
    ),
    (
        lambda: check.follows((3, 2, 8), (3, 3, 1, 2)),
        "stages must fit each other: a kernel with 2 spatial axes and 2 input channels must follow; got the shape (3, 2, 8)",
    ),
    (
        lambda: check.follows((3, 3, 1, 8), (3, 3, 1, 2)),
        "stages must fit each other: a kernel with 2 spatial axes and 2 input channels must follow; got the shape (3, 3, 1, 8)",
    ),
    (
        lambda: check.follows((3, 3, 3, 2, 8), (3, 3, 1, 2)),
        "stages must fit each other: a kernel with 2 spatial axes and 2 input channels must follow; got the shape (3, 3, 3, 2, 8)",
    ),
    (lambda: check.bias_scale(2), "scale must have one factor per spatial axis to initialize a bias, which has no such axes; got 2"),
    (lambda: check.bias_scale(0), "scale must be 1 or more; got 0"),
    (lambda: check.bias_scale((2, 0)), "scale must be 1 or more on every axis; got (2, 0)"),
    (lambda: check.instance("n", 1, dict), "n must be a dict; got int"),
    (lambda: check.floating(False, "int32"), "x must be floating point for a blur in this framework; got int32"),
    (lambda: check.bias_shape((1,), 4), "bias must have the shape (4,), one value per output channel; got (1,)"),
    (lambda: check.bias_shape((5,), 4), "bias must have the shape (4,), one value per output channel; got (5,)"),
    (lambda: check.depthwise_shape((3, 4, 2)), "depthwise must have the shape (*k, Ci, 1), one kernel per channel; got (3, 4, 2)"),
    (lambda: check.depthwise_shape((3, 4, 0)), "depthwise must have the shape (*k, Ci, 1), one kernel per channel; got (3, 4, 0)"),
    (lambda: check.pointwise_shape((1, 3, 4, 4)), "pointwise must have the shape (1, ..., 1, Ci, Co), one tap per axis; got (1, 3, 4, 4)"),
    (lambda: check.pointwise_shape((1, 0, 4, 4)), "pointwise must have the shape (1, ..., 1, Ci, Co), one tap per axis; got (1, 0, 4, 4)"),
    (lambda: check.dimensions("n", 4), "n must be 1, 2 or 3; got 4"),
    (lambda: check.dimensions("n", 0), "n must be 1 or more; got 0"),
    (lambda: check.per_level("n", 1), "n must be a tuple of integers, one per level; got 1"),
    (lambda: check.per_level("n", 1.0, 2), f"n must be {LEVELS}; got 1.0"),
    (lambda: check.per_level("n", ()), "n must have at least one level; got ()"),
    (lambda: check.per_level("n", (1,), 2), "n must have one value per level, 2 as widths has; got (1,)"),
    (lambda: check.per_level("n", (1, 0)), "every value of n must be 1 or more; got 0"),
    (lambda: check.steps("n", (2,), 2, 1), "n must have one entry per step between levels, 2, one less than widths; got (2,)"),
    (lambda: check.steps("n", (2, 0), 2, 1), "every entry of n must be 1 or more; got 0"),
    (lambda: check.steps("n", 0, 2, 1), "n must be 1 or more; got 0"),
    (lambda: check.divisible_widths((8, 12), 8), "widths must be multiples of groups=8 with norm='group'; got (8, 12)"),
    (lambda: check.unet_input((1, 5, 0, 3), 2, 3), "x must have spatial extents of (1, 1) or more; got (5, 0)"),
    (lambda: check.unet_input((1, 3, 0, 5), 2, 3, "channels_first"), "x must have spatial extents of (1, 1) or more; got (0, 5)"),
    (lambda: check.unet_input((1, 4, 5, 5), 2, 3, "channels_first"), "x must have 3 channels; got 4"),
    (lambda: check.batch_values(1), "x must give batch normalization 2 or more values per channel in training; got 1"),
    (lambda: check.floating_dtype(False, "int32"), "dtype must be a floating-point dtype; got int32"),
    (lambda: check.arrays("n", [], {}), "n must be a Mapping; got list"),
    (lambda: check.arrays("n", {"a": [1, 2]}, {"a": (1,)}), "n must have 'a' of shape (1,); got (2,)"),
    (lambda: check.arrays("n", {"a": [1j]}, {"a": (1,)}), "n must be real numbers; got complex128 in 'a'"),
    (lambda: check.sections("n", 1, ("a", "b")), "n must be a dict of 'a' and 'b'; got int"),
    (lambda: check.sections("n", {}, ("a", "b")), "n must be a dict of 'a' and 'b'; got an empty one"),
    (lambda: check.sections("n", {"b": 0}, ("a", "b")), "n must be a dict of 'a' and 'b'; got 'b'"),
    (lambda: check.sections("n", dict.fromkeys("acd"), ("a", "b")), "n must be a dict of 'a' and 'b'; got 'a', 'c', 'd'"),
    (lambda: check.sections("n", dict.fromkeys("acde"), ("a", "b")), "n must be a dict of 'a' and 'b'; got 'a', 'c', 'd', ..."),
    (lambda: check.tensors("n", {"b": (1,)}, {"a": (1,)}), "n must have the tensor 'a' of shape (1,); got 'b' instead"),
    (lambda: check.tensors("n", {}, {"a": [1]}), "n must have the tensor 'a' of shape (1,); got 0 tensors without it"),
    (
        lambda: check.tensors("n", {"c": (1,), "d": (1,)}, {"a": (1,), "b": (2,)}),
        "n must have the tensor 'a' of shape (1,); got 2 tensors without it",
    ),
    (
        lambda: check.tensors("n", {"a": (1,), "b": (1,), "c": (1,)}, {"a": (1,)}),
        "n must have no tensors but those of the configuration; got 'b'",
    ),
    (lambda: check.tensors("n", {"a": (2, 3)}, {"a": (3, 2)}), "n must have 'a' of shape (3, 2); got (2, 3)"),
    (lambda: check.weight_dtypes({"a": "float16"}), "params must be float32 or float64; got float16 in 'a'"),
    (lambda: check.weight_dtypes({"a": "float64", "b": "float32"}), "params must have one dtype; got float32, float64"),
    (lambda: check.real("n", {"a": np.zeros(1), "b": np.zeros(1, complex)}), "n must be real numbers; got complex128 in 'b'"),
    (lambda: check.weight_dtypes({"a": "float32", "b": "float16"}), "params must be float32 or float64; got float16 in 'b'"),
    (
        lambda: check.keras_backend("jax"),
        "subpixel_tensorflow needs Keras on the TensorFlow backend: set KERAS_BACKEND=tensorflow; got 'jax'",
    ),
    (
        lambda: check.in_place(False),
        "weight must be a parameter that can be written in place; got the result of a computation "
        "(under a parametrization such as weight_norm, initialize first and apply it afterwards)",
    ),
]

DOORS = [
    *[
        refusal
        for function in (phase_shift, inverse_phase_shift)
        for refusal in [
            (lambda f=function: f(MAP, (2, 0), order="DCR"), "scale must be 1 or more on every axis; got (2, 0)"),
            (lambda f=function: f(MAP, 0, order="DCR"), "scale must be 1 or more; got 0"),
            (lambda f=function: f(MAP, 2, order="dcr"), f"order must be {WORDS}; got 'dcr'"),
            (
                lambda f=function: f(MAP, 2, order="DCR", data_format="NHWC"),
                "data_format must be one of 'channels_last', 'channels_first'; got 'NHWC'",
            ),
            (lambda f=function: f(MAP, 2, order=["DCR"]), f"order must be {WORDS}; got ['DCR']"),
            (
                lambda f=function: f(MAP, 2, order="DCR", data_format=["channels_last"]),
                "data_format must be one of 'channels_last', 'channels_first'; got ['channels_last']",
            ),
            (
                lambda f=function: f(LINE, (1, 2, 2), order="DCR"),
                "x must have 3 spatial axes for scale=(1, 2, 2) and a channel axis, at least 4 axes; got 3",
            ),
        ]
    ],
    (lambda: phase_shift(MAP, (2, 3), order="DCR"), "channels must be a multiple of 6, the product of scale=(2, 3); got 4"),
    (
        lambda: inverse_phase_shift(MAP, (2, 4), order="DCR"),
        "extent of spatial axis 1 must be a multiple of 4, its factor in scale=(2, 4); got 6",
    ),
    (
        lambda: rearrangement(None, 2, order="DCR", data_format="channels_last"),
        "x must have a known number of axes; got a tensor of unknown rank",
    ),
    (lambda: channel_permutation(-1, (1, 1), source="DCR", target="CRD"), "channels must be 0 or more; got -1"),
    (
        lambda: channel_permutation(4, (2**32, 2**32), source="DCR", target="CRD"),
        f"channels must be a multiple of {2**64}, the product of scale=(4294967296, 4294967296); got 4",
    ),
    (lambda: channel_permutation(4.0, 2, source="DCR", target="CRD"), "channels must be an integer; got 4.0"),
    (lambda: channel_permutation(4, 0, source="DCR", target="CRD"), "scale must be 1 or more; got 0"),
    (lambda: channel_permutation(4, 2, source="dcr", target="CRD"), f"source must be {WORDS}; got 'dcr'"),
    (lambda: channel_permutation(4, 2, source="DCR", target="crd"), f"target must be {WORDS}; got 'crd'"),
    (lambda: box_blur(MAP, 0), "scale must be 1 or more; got 0"),
    (lambda: box_blur(LINE[0], 2), "x must have 2 spatial axes for scale=(2, 2) and a channel axis, at least 3 axes; got 2"),
    (lambda: checkerboard(MAP, 0), "scale must be 1 or more; got 0"),
    (lambda: nearest_upsample(MAP, 0), "scale must be 1 or more; got 0"),
    (lambda: nearest_upsample(LINE[0], 2), "x must have 2 spatial axes for scale=(2, 2) and a channel axis, at least 3 axes; got 2"),
    *[
        refusal
        for function in (
            conv,
            depthwise_conv,
            lambda x, k: conv_transpose(x, k, stride=2),
            lambda x, k: subpixel_conv(x, k, scale=2, **DCR),
        )
        for refusal in [
            (
                lambda f=function: f(LINE, np.zeros(3)),
                "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (3,)",
            ),
            (lambda f=function: f(LINE, np.zeros((0, 4, 4))), "kernel must have at least one tap on every axis; got (0, 4, 4)"),
            (lambda f=function: f(LINE[0], TAPS), "x must have 3 axes: one batch axis, 1 spatial and the channels; got 2"),
            (lambda f=function: f(LINE, np.zeros((3, 2, 4))), "x must have 2 channels; got 4"),
        ]
    ],
    (lambda: conv(LINE, TAPS, np.zeros(3)), "bias must have the shape (4,), one value per output channel; got (3,)"),
    (lambda: conv(LINE, np.zeros((7, 4, 4)), padding="valid"), "kernel must not be larger than the padded input (6,); got (7,)"),
    (lambda: depthwise_conv(LINE, TAPS), "depthwise must have the shape (*k, Ci, 1), one kernel per channel; got (3, 4, 4)"),
    (lambda: conv_transpose(LINE, TAPS, stride=0), "stride must be 1 or more; got 0"),
    (lambda: conv_transpose(LINE, TAPS, stride=2, padding=-1), "padding must be 0 or more; got -1"),
    (lambda: conv_transpose(LINE, TAPS, stride=2, output_padding=-1), "output_padding must be 0 or more; got -1"),
    (lambda: conv_transpose(LINE, TAPS, stride=2, output_padding=2), "output_padding must be below the stride (2,); got (2,)"),
    (
        lambda: conv_transpose(LINE, TAPS, stride=2, padding=7),
        "padding must not crop more than the extents (13,) from both ends; got (7,)",
    ),
    (
        lambda: conv_transpose(LINE[:, :0], np.zeros((1, 4, 4)), stride=2),
        "padding must not crop more than the extents (-1,) from both ends; got (0,)",
    ),
    (
        lambda: subpixel_conv(LINE, TAPS[0], scale=(2,), **DCR),
        "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (4, 4)",
    ),
    (lambda: subpixel_conv(LINE, TAPS, scale=0, **DCR), "scale must be 1 or more; got 0"),
    (lambda: subpixel_conv(LINE, TAPS, scale=(2, 2), **DCR), "scale must have one value per spatial axis, 1; got (2, 2)"),
    (
        lambda: separable_subpixel_conv(LINE, np.zeros((3, 4, 1)), TAPS, scale=2, **DCR),
        "pointwise must have the shape (1, ..., 1, Ci, Co), one tap per axis; got (3, 4, 4)",
    ),
    *[
        refusal
        for function in (icnr, icnr_weight_norm, icnr_residual)
        for refusal in [
            (lambda f=function: f(KERNEL, 0, order="DCR"), "scale must be 1 or more; got 0"),
            (lambda f=function: f(KERNEL, 2, order="dcr"), f"order must be {WORDS}; got 'dcr'"),
            (lambda f=function: f(KERNEL, (2, 2, 2), order="DCR"), "scale must have one value per spatial axis, 2; got (2, 2, 2)"),
            (
                lambda f=function: f(KERNEL[0, 0], 2, order="DCR"),
                "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (4, 4)",
            ),
        ]
    ],
    (lambda: icnr_bias([[1]], 2, order="DCR"), "bias must have one axis; got 2"),
    (lambda: icnr_bias(1, 2, order="DCR"), "bias must have one axis; got 0"),
    (lambda: icnr_bias([1], 0, order="DCR"), "scale must be 1 or more; got 0"),
    (
        lambda: icnr_residual(KERNEL, 2, order="DCR", bias=[0, 0]),
        "bias must have the shape (4,), one value per output channel; got (2,)",
    ),
    (lambda: icnr_residual(KERNEL, (2, 3), order="DCR"), "channels must be a multiple of 6, the product of scale=(2, 3); got 4"),
    (lambda: base_shape((3, 3, 4), 0), "scale must be 1 or more; got 0"),
    (lambda: base_shape((3, 3, -4), 2), "kernel_shape must be 0 or more on every axis; got (3, 3, -4)"),
    (lambda: base_shape((3, 3, 4.0), 2), f"kernel_shape must be {EITHER}; got (3, 3, 4.0)"),
    (lambda: base_shape((3, 4), 2), "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (3, 4)"),
    (lambda: Stage((0,), 1, 1, (3,)), "scale must be 1 or more on every axis; got (0,)"),
    (lambda: Stage((2,), 1, 1, (0,)), "kernel_size must be 1 or more on every axis; got (0,)"),
    (lambda: Stage((2,), 1, 1, (3, 3)), "kernel_size must have one value per spatial axis, 1; got (3, 3)"),
    (lambda: Stage((2,), 0, 1, (3,)), "in_channels must be 1 or more; got 0"),
    (lambda: Stage((2,), 1, 0, (3,)), "out_channels must be 1 or more; got 0"),
    (lambda: Stage((2,), 1, 1, (3,)).macs((1, 1)), "spatial must have one value per spatial axis, 1; got (1, 1)"),
    (lambda: Stage((2,), 1, 1, (3,)).activations(-1), "spatial must be 0 or more; got -1"),
    (lambda: plan_stages(2, 1, 1).macs((-1, 1)), "spatial must be 0 or more on every axis; got (-1, 1)"),
    (lambda: plan_stages(2, **CHAIN, ndim=0), "ndim must be 1 or more; got 0"),
    (lambda: plan_stages(0, **CHAIN), "scale must be 1 or more; got 0"),
    (lambda: plan_stages((2, 2), **CHAIN, ndim=3), "scale must have one value per spatial axis, 3; got (2, 2)"),
    (lambda: plan_stages(2, 0, 1), "in_channels must be 1 or more; got 0"),
    (lambda: plan_stages(2, 1, 0), "out_channels must be 1 or more; got 0"),
    (lambda: plan_stages(2, **CHAIN, kernel_size=0), "kernel_size must be 1 or more; got 0"),
    (lambda: plan_stages(2, **CHAIN, width=0), "width must be 1 or more; got 0"),
    (lambda: plan_stages(2, **CHAIN, objective="time"), "objective must be one of 'parameters', 'macs'; got 'time'"),
    (lambda: plan_stages(2, **CHAIN, max_parameters=-1), "max_parameters must be 0 or more; got -1"),
    (lambda: plan_stages(2, **CHAIN, max_parameters=0), "max_parameters must be 228 or more to reach scale=(2, 2); got 0"),
    (lambda: plan_stages(2, **CHAIN, bias=1), "bias must be True or False; got 1"),
    (lambda: plan_stages(2, **CHAIN, separable=0), "separable must be True or False; got 0"),
    (lambda: plan_stages(2**11, **CHAIN), "scale must have a product of at most 1048576 to be planned; got (2048, 2048)"),
    (lambda: plan_stages(2, **CHAIN, factors=2), "factors must be a tuple with the scale of every stage; got 2"),
    (lambda: plan_stages(2, **CHAIN, factors=(0,)), "factors must be 1 or more; got 0"),
    (
        lambda: plan_stages(4, **CHAIN, factors=(2, 3)),
        "factors must multiply to scale=(4, 4); got (2, 3), which multiply to (6, 6)",
    ),
    (lambda: plan_stages(1, **CHAIN, factors=()), "factors must multiply to scale=(1, 1); got (), which multiply to (1, 1)"),
    *[
        refusal
        for function in (
            lambda k=KERNEL, bias=None, scale=2, **given: deconv_to_subpixel(k, bias, stride=scale, **given),
            lambda k=KERNEL, bias=None, scale=2, **given: resize_conv_to_subpixel(k, scale, bias=bias, **given),
            lambda k=KERNEL, bias=None, scale=2, **given: shift_conv_to_subpixel(k, bias, scale=scale, **{**DCR, **given}),
            lambda k=KERNEL, bias=None, scale=2, **given: collapse_stages([(k, bias, scale)], **{**DCR, **given}),
        )
        for refusal in [
            (lambda f=function: f(KERNEL[0, 0]), "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (4, 4)"),
            (lambda f=function: f(KERNEL[:, :0]), "kernel must have at least one tap on every axis; got (3, 0, 4, 4)"),
            (lambda f=function: f(bias=[1, 2]), "bias must have the shape (4,), one value per output channel; got (2,)"),
            (lambda f=function: f(order="dcr"), f"order must be {WORDS}; got 'dcr'"),
            (lambda f=function: f(form="least"), "form must be one of 'minimal', 'aligned'; got 'least'"),
        ]
    ],
    *[
        refusal
        for function in (
            resize_conv_to_subpixel,
            lambda k, scale, **given: shift_conv_to_subpixel(k, scale=scale, **DCR, **given),
            lambda k, scale, **given: collapse_stages([(k, None, scale)], **DCR, **given),
            lambda k, scale, **given: subpixel_to_deconv(k, scale=scale, **DCR, **given),
            lambda k, scale, **given: unshift_conv_to_strided(k, scale=scale, **DCR, **given),
            lambda k, scale, **given: conv_unshift_to_strided(k, scale=scale, **DCR, **given),
        )
        for refusal in [
            (lambda f=function: f(KERNEL, 0), "scale must be 1 or more; got 0"),
            (lambda f=function: f(KERNEL, (2, 2, 2)), "scale must have one value per spatial axis, 2; got (2, 2, 2)"),
            (lambda f=function: f(KERNEL, 2, padding="SAME"), "padding must be one of 'same', 'valid'; got 'SAME'"),
        ]
    ],
    *[
        refusal
        for function in (subpixel_to_deconv, unshift_conv_to_strided, conv_unshift_to_strided)
        for refusal in [
            (
                lambda f=function: f(KERNEL[0, 0], scale=2, **DCR),
                "kernel must have the shape (*k, Ci, Co) with at least one spatial axis; got (4, 4)",
            ),
            (lambda f=function: f(KERNEL, [1, 2], scale=2, **DCR), "bias must have the shape (4,), one value per output channel; got (2,)"),
            (lambda f=function: f(KERNEL, scale=2, order="dcr"), f"order must be {WORDS}; got 'dcr'"),
        ]
    ],
    *[
        refusal
        for function in (
            deconv_to_subpixel,
            lambda k, bias=None, **given: resize_conv_to_subpixel(k, 2, bias=bias, **{n: v for n, v in given.items() if n != "stride"}),
        )
        for refusal in [
            (lambda f=function: f(KERNEL, stride=2, dilation=0), "dilation must be 1 or more; got 0"),
            (lambda f=function: f(KERNEL, stride=2, groups=0), "groups must be 1 or more; got 0"),
            (lambda f=function: f(KERNEL, stride=2, groups=True), "groups must be an integer; got True"),
            (
                lambda f=function: f(KERNEL, stride=2, groups=3, order="RCD"),
                "output channels must be a multiple of 3, groups=3; got 4",
            ),
            (
                lambda f=function: f(KERNEL, stride=2, groups=2),
                "order must be 'CRD' or 'RCD' for groups=2, whose channels are neighbours in no other; got 'DCR'",
            ),
        ]
    ],
    *[
        refusal
        for function in (
            deconv_to_subpixel,
            lambda k, bias=None, **given: fractionally_strided_conv(MAP, k, bias, **given),
        )
        for refusal in [
            (lambda f=function: f(KERNEL, stride=0), "stride must be 1 or more; got 0"),
            (lambda f=function: f(KERNEL, stride=(2, 2, 2)), "stride must have one value per spatial axis, 2; got (2, 2, 2)"),
            (lambda f=function: f(KERNEL, stride=2, padding=-1), "padding must be 0 or more; got -1"),
            (lambda f=function: f(KERNEL, stride=2, output_padding=-1), "output_padding must be 0 or more; got -1"),
            (
                lambda f=function: f(KERNEL, stride=2, output_padding=2),
                "output_padding must be below the stride (2, 2); got (2, 2)",
            ),
            (lambda f=function: f(KERNEL, [1, 2], stride=2), "bias must have the shape (4,), one value per output channel; got (2,)"),
        ]
    ],
    (lambda: of_deconv(KERNEL, None, 2, 0, 0, 1, 0), "groups must be 1 or more; got 0"),
    (lambda: of_resize_conv(KERNEL, None, 2, "same", 1, 0), "groups must be 1 or more; got 0"),
    (lambda: resize_conv_to_subpixel(KERNEL, 2, align_corners=1), "align_corners must be True or False; got 1"),
    (lambda: resize_conv_to_subpixel(KERNEL, 2, mode="bicubic"), f"{RESIZE}; got 'bicubic'"),
    (lambda: collapse_stages([(KERNEL, 2)], **DCR), f"{STAGES}; got [2] entries"),
    (
        lambda: fractionally_strided_conv(LINE, KERNEL, stride=2),
        "x must have 4 axes: one batch axis, 2 spatial and the channels; got 3",
    ),
    (lambda: fractionally_strided_conv(MAP[..., :2], KERNEL, stride=2), "x must have 4 channels; got 2"),
    (
        lambda: fractionally_strided_conv(LINE[:, :1], np.zeros((1, 4, 4)), stride=1, padding=1),
        "x must have spatial extents of which something is left after cropping; got (1,), cropped to (-1,)",
    ),
    (lambda: deconv_to_subpixel(KERNEL, stride=2).apply(LINE), "x must have 4 axes: one batch axis, 2 spatial and the channels; got 3"),
    (lambda: deconv_to_subpixel(KERNEL, stride=2).apply(MAP[..., :2]), "x must have 4 channels; got 2"),
    (
        lambda: deconv_to_subpixel(KERNEL[..., :2, :], stride=2, groups=2, order="CRD").apply(MAP[..., :2]),
        "x must have 4 channels; got 2",
    ),
    *[
        refusal
        for layer in (
            deconv_to_subpixel(KERNEL, stride=2),
            subpixel_to_deconv(KERNEL, scale=2, **DCR),
            unshift_conv_to_strided(KERNEL, scale=2, **DCR),
        )
        for refusal in [
            (lambda a=layer: a.macs(-1), "spatial must be 0 or more; got -1"),
            (lambda a=layer: a.macs((4, 4, 4)), "spatial must have one value per spatial axis, 2; got (4, 4, 4)"),
        ]
    ],
    (lambda: deconv_to_subpixel(KERNEL, stride=2).extents(-1), "spatial must be 0 or more; got -1"),
    (
        lambda: deconv_to_subpixel(KERNEL, stride=2, padding=3).extents((3, 1)),
        "x must have spatial extents of which something is left after cropping; got (3, 1), cropped to (1, -3)",
    ),
    (
        lambda: deconv_to_subpixel(KERNEL, stride=2).reordered("dcr"),
        f"target must be {WORDS}; got 'dcr'",
    ),
    (lambda: list(factorizations(0)), "scale must be 1 or more; got 0"),
    (lambda: CONFIG.macs(0), "spatial must be 1 or more; got 0"),
    (lambda: CONFIG.macs((4, 4, 4)), "spatial must have one value per spatial axis, 2; got (4, 4, 4)"),
]


@pytest.mark.parametrize(("call", "message"), [*RULES, *DOORS], ids=[message for _, message in [*RULES, *DOORS]])
def test_a_refusal_says_the_argument_the_rule_and_what_came(call, message):
    with pytest.raises((ValueError, TypeError, ImportError)) as raised:
        call()
    assert str(raised.value) == message
