"""The golden vectors: true to the oracle, the core, ONNX, the frameworks and a reader in another language; and refused when altered."""

import copy
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import subpixel_core
from subpixel_conformance import oracle, vectors
from subpixel_conformance.vectors import command, files, lock, tensor
from subpixel_conformance.vectors.answer import OPERATIONS
from subpixel_conformance.vectors.make import vector as made
from subpixel_conformance.vectors.subjects import subjects

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "vectors.md"
DOCUMENTS = {path.name: document for path, document in vectors.read_folder()}
VECTORS = {vector["id"]: vector for document in DOCUMENTS.values() for vector in document["vectors"]}
ORDERS = ("DCR", "CRD", "DRC", "RCD")
MOVING = ("phase_shift", "inverse_phase_shift")


def of(*operations, refused=False):
    return [vector for vector in VECTORS.values() if vector["operation"] in operations and ("refuses" in vector) is refused]


def inputs(vector):
    return {name: vectors.decode(value) for name, value in vector["inputs"].items()}


def altered(vector):
    """Return a copy whose every output is off in its last value, or in its shape where it has none."""
    other = copy.deepcopy(vector)
    for output in other["outputs"].values():
        if "sha256" in output:
            output["sha256"] = "0" * 64
        elif not output.get("values", output.get("bits")):
            output["shape"] = [*output["shape"][:-1], output["shape"][-1] + 1]
        elif "bits" in output:
            output["bits"][-1] = f"{int(output['bits'][-1], 16) ^ 1:0{len(output['bits'][-1])}x}"
        else:
            output["values"][-1] = 1 - output["values"][-1] if output["dtype"] == "bool" else output["values"][-1] - 1
    return other


def unlike(run, chosen):
    """Return the ids of the vectors whose outputs an implementation does not give."""
    wrong = []
    for vector in chosen:
        outputs = run(vector["operation"], vector["arguments"], inputs(vector))
        if any(not same(expected, outputs[name]) for name, expected in vector["outputs"].items()):
            wrong.append(vector["id"])
    return wrong


def same(expected, array):
    try:
        return not tensor.difference(expected, array)
    except vectors.VectorError:
        return False


# --- the files ---


def test_the_check_finds_nothing():
    checked = vectors.check()
    assert (checked.problems, checked.unpublished, checked.notes) == ([], [], [])
    assert checked.counts == {name: len(document["vectors"]) for name, document in DOCUMENTS.items()}


def test_the_files_are_what_the_definitions_and_the_oracle_give(tmp_path):
    vectors.make(tmp_path)
    for name in DOCUMENTS:
        assert (tmp_path / name).read_bytes() == (vectors.FOLDER / name).read_bytes(), name
    assert {path.name for path in files.subject_files(vectors.FOLDER)} == set(DOCUMENTS)


def test_the_schema_is_one_and_refuses_what_the_code_does_not_look_at():
    jsonschema = pytest.importorskip("jsonschema", reason="the dev extra has it")
    schema = json.loads((vectors.FOLDER / files.SCHEMA).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    document = DOCUMENTS["phase_shift.json"]
    assert validator.is_valid(document)
    for edit in (
        lambda vector: vector.update(comment="no such key"),
        lambda vector: vector.update(why="x"),
        lambda vector: vector.update(link="https://example.org/issues/1"),
        lambda vector: vector.update(refuses="x"),
        lambda vector: vector.pop("outputs"),
        lambda vector: vector["arguments"].pop("order"),
        lambda vector: vector["arguments"].update(stride=[1]),
        lambda vector: vector["inputs"].update(bias=vector["inputs"]["x"]),
        lambda vector: vector["inputs"]["x"].update(sha256="ABC"),
        lambda vector: vector["outputs"]["y"].update(bits=[]),
        lambda vector: vector["outputs"]["y"]["values"].append(0.5),
    ):
        other = copy.deepcopy(document)
        edit(other["vectors"][0])
        assert not validator.is_valid(other)


def test_together_they_are_small_and_every_subject_is_there():
    sizes = {path.name: path.stat().st_size for path in files.subject_files(vectors.FOLDER)}
    assert sum(sizes.values()) < 2**20
    assert {vector["operation"] for vector in VECTORS.values()} == set(OPERATIONS)


def test_the_shifts_cover_orders_formats_ranks_and_batches():
    for operation in MOVING:
        seen = set()
        for vector in of(operation):
            given = vector["arguments"]
            batch = len(next(iter(vector["inputs"].values()))["shape"]) - len(given["scale"]) - 1
            seen.add((given["order"], given["data_format"], len(given["scale"]), batch))
        for order in ORDERS:
            for data_format in ("channels_last", "channels_first"):
                for ndim, batch in ((1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1)):
                    assert (order, data_format, ndim, batch) in seen


def told_apart(vector, order):
    """Whether the inputs and outputs of a shift would be others under an order that has another permutation."""
    given = vector["arguments"]
    name = "y" if vector["operation"] == "phase_shift" else "x"
    run = getattr(oracle, vector["operation"])
    (values,) = inputs(vector).values()
    return not same(vector["outputs"][name], run(values, tuple(given["scale"]), order=order, data_format=given["data_format"]))


@pytest.mark.parametrize("operation", MOVING)
def test_every_vector_tells_its_order_from_every_other_that_differs(operation):
    for vector in of(operation):
        given = vector["arguments"]
        shape = next(iter(vector["inputs"].values()))["shape"]
        channels = shape[-1] if given["data_format"] == "channels_last" else shape[len(shape) - len(given["scale"]) - 1]
        folded = channels if operation == "phase_shift" else channels * int(np.prod(given["scale"]))
        for order in ORDERS:
            p = oracle.channel_permutation(folded, tuple(given["scale"]), source=given["order"], target=order)
            moves = p.tolist() != list(range(folded)) and 0 not in shape
            assert told_apart(vector, order) == moves, (vector["id"], order)


def test_networks_give_values_that_say_something():
    outputs = [np.array(vector["outputs"]["y"]["values"]) for vector in of("residual_unet")]
    assert all(len(np.unique(values)) > 8 for values in outputs)
    assert VECTORS["unet-dcr"]["outputs"]["y"]["shape"] == VECTORS["unet-crd"]["outputs"]["y"]["shape"]


# --- a tensor ---


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ({"dtype": "float128", "shape": [0], "values": []}, "dtype must be one of"),
        ({"dtype": "int8", "shape": [-1], "values": []}, "shape must be"),
        ({"dtype": "int8", "shape": [True], "values": [1]}, "shape must be"),
        ({"dtype": "int8", "shape": [2**40], "formula": "arange"}, "shape must be"),
        ({"dtype": "int8", "shape": [2]}, "must have values, bits, a formula, or a sha256; got none"),
        ({"dtype": "int8", "shape": [2], "values": [0, 1], "bits": ["00", "01"]}, "got bits and values"),
        ({"dtype": "int8", "shape": [2], "values": [0]}, "values must be a list of 2; got 1 entries"),
        ({"dtype": "int8", "shape": [1], "values": [128]}, "from -128 to 127; got 128"),
        ({"dtype": "float16", "shape": [1], "values": [2049]}, "from -2048 to 2048; got 2049"),
        ({"dtype": "int32", "shape": [1], "values": [1.0]}, "got 1.0"),
        ({"dtype": "bool", "shape": [1], "values": [True]}, "got True"),
        ({"dtype": "bfloat16", "shape": [1], "values": [1]}, "bfloat16 must come as bits"),
        ({"dtype": "float32", "shape": [1], "bits": ["7FC00000"]}, "8 hexadecimal digits in lower case; got '7FC00000'"),
        ({"dtype": "float32", "shape": [1], "bits": ["7fc0"]}, "got '7fc0'"),
        ({"dtype": "uint8", "shape": [257], "formula": "arange"}, "arange must be exact in its dtype; got 257 values of uint8"),
        ({"dtype": "float16", "shape": [2050], "formula": "arange"}, "got 2050 values of float16"),
        ({"dtype": "int32", "shape": [2], "formula": "zeros"}, 'formula must be "arange"'),
        ({"dtype": "int32", "shape": [2], "sha256": "0" * 64}, "got a checksum alone"),
        ({"dtype": "int32", "shape": [2], "formula": "arange", "sha256": "0" * 64}, "sha256 must be that of the formula's bytes"),
        (7, "a tensor must be an object; got 7"),
    ],
)
def test_a_tensor_that_is_none_is_refused(written, complaint):
    with pytest.raises(vectors.VectorError, match=re.escape(complaint)):
        vectors.decode(written)


@pytest.mark.parametrize("way", ["values", "bits", "arange", "arange+sha256"])
def test_what_is_encoded_is_decoded(way):
    array = np.arange(24, dtype="<f4").reshape(2, 3, 4)
    back = vectors.decode(vectors.encode(array, way=way))
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()
    assert back.shape == array.shape


def test_values_that_are_no_integers_are_not_encoded_as_such():
    for values in ([0.5], [2.0**60], [np.nan]):
        with pytest.raises(ValueError, match="values must be integers"):
            vectors.encode(np.array(values))


# --- the core ---


def tuples(value):
    return tuple(tuples(entry) for entry in value) if isinstance(value, list) else value


def core(operation, arguments, given):
    """Return what the reference gives, under the names of the outputs."""
    a = {name: tuples(value) for name, value in arguments.items()}
    if operation in MOVING:
        (values,) = given.values()
        return {"y" if operation == "phase_shift" else "x": getattr(subpixel_core, operation)(values, **a)}
    if operation.endswith("phase_shift_vjp"):  # the transpose of a permutation is its inverse
        back = subpixel_core.inverse_phase_shift if operation == "phase_shift_vjp" else subpixel_core.phase_shift
        return {"x" if operation == "phase_shift_vjp" else "y": back(given["cotangent"], **a)}
    if operation == "channel_permutation":
        return {"permutation": subpixel_core.channel_permutation(a.pop("channels"), a.pop("scale"), **a)}
    if operation == "icnr":
        return {"kernel": subpixel_core.icnr(given["kernel"], **a), "bias": subpixel_core.icnr_bias(given["bias"], **a)}
    if operation == "icnr_weight_norm":
        return dict(zip("gv", subpixel_core.icnr_weight_norm(given["kernel"], **a), strict=True))
    if operation == "icnr_residual":
        return {"residual": np.array(subpixel_core.icnr_residual(**given, **a))}
    if operation == "plan_stages":
        return plan(a)
    if operation == "subpixel_conv_vjp":
        return transposed(a, given)
    if operation == "residual_unet":
        x = given.pop("x")
        return {"y": subpixel_core.residual_unet(given, x, subpixel_core.ResidualUNetConfig(**a))}
    outputs = {"box_blur": "blurred", "checkerboard": "measure"}
    return {outputs.get(operation, "y"): np.asarray(getattr(subpixel_core, operation)(*given.values(), **a))}


def plan(a):
    spatial = a.pop("spatial")
    found = subpixel_core.plan_stages(a.pop("scale"), a.pop("in_channels"), a.pop("out_channels"), ndim=len(spatial), **a)
    values = {
        "factors": [stage.scale for stage in found.stages],
        "parameters": found.parameters,
        "macs": found.macs(spatial),
        "activations": found.activations(spatial),
        "receptive_field": found.receptive_field,
    }
    return {name: np.array(value, np.int64) for name, value in values.items()}


def transposed(a, given):
    """Return the gradients of a layer, one entry at a time: it is linear in each of its arguments."""
    layer = {name: given[name].astype(np.float64) for name in ("x", "kernel", "bias")}
    cotangent = given["cotangent"].astype(np.float64)
    gradients = {}
    for name, values in layer.items():
        gradient = np.zeros_like(values)
        without = {other: np.zeros_like(entry) if other == "bias" and name != "bias" else entry for other, entry in layer.items()}
        if name == "bias":
            without["x"] = np.zeros_like(layer["x"])
        for at in np.ndindex(values.shape):
            one = np.zeros_like(values)
            one[at] = 1
            gradient[at] = (subpixel_core.subpixel_conv(**(without | {name: one}), **a) * cotangent).sum()
        gradients[name] = gradient.astype(given["x"].dtype)
    return gradients


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_core_gives_the_vectors(operation):
    chosen = of(operation)
    assert chosen
    assert unlike(core, chosen) == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_core_does_not_give_altered_vectors(operation):
    chosen = [altered(vector) for vector in of(operation)]
    assert unlike(core, chosen) == [vector["id"] for vector in chosen]


def test_the_core_refuses_what_the_vectors_say_and_nothing_else():
    for vector in VECTORS.values():
        refused = False
        try:
            core(vector["operation"], vector["arguments"], inputs(vector))
        except (ValueError, TypeError):
            refused = True
        assert refused == ("refuses" in vector), vector["id"]
    assert len(of(*OPERATIONS, refused=True)) > 30


# --- ONNX and the frameworks ---


def flat_images(order, data_format, *, least=1):
    """Return the shifts of batches of images with one factor of ``least`` or more, in an order and a data format."""
    return [
        vector
        for vector in of(*MOVING)
        if (vector["arguments"]["order"], vector["arguments"]["data_format"]) == (order, data_format)
        and len(vector["arguments"]["scale"]) == 2
        and len(set(vector["arguments"]["scale"])) == 1
        and min(vector["arguments"]["scale"]) >= least
        and len(next(iter(vector["inputs"].values()))["shape"]) == 4
    ]


def moving(vector):
    """Return whether a vector of another order must look different."""
    return 0 not in next(iter(vector["inputs"].values()))["shape"] and max(vector["arguments"]["scale"]) > 1


def onnx_runner(mode):
    onnx = pytest.importorskip("onnx", reason="onnx is in the environment of the peers")
    from onnx.reference import ReferenceEvaluator

    def run(operation, arguments, given):
        (values,) = given.values()
        kinds = {"mode": mode} if operation == "phase_shift" else {}
        name = "DepthToSpace" if operation == "phase_shift" else "SpaceToDepth"
        node = onnx.helper.make_node(name, ["in"], ["out"], blocksize=arguments["scale"][0], **kinds)
        dtype = onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
        ends = [onnx.helper.make_tensor_value_info(end, dtype, None) for end in ("in", "out")]
        graph = onnx.helper.make_graph([node], "one", ends[:1], ends[1:])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
        (result,) = ReferenceEvaluator(model).run(None, {"in": values})
        return {"y" if operation == "phase_shift" else "x": result}

    return run


@pytest.mark.parametrize("order", ["DCR", "CRD"])
def test_the_reference_of_onnx_gives_the_vectors(order):
    run, other = onnx_runner(order), onnx_runner("CRD" if order == "DCR" else "DCR")
    chosen = [vector for vector in flat_images(order, "channels_first") if order == "DCR" or vector["operation"] == "phase_shift"]
    assert len(chosen) >= 5
    assert unlike(run, chosen) == []
    forward = [vector for vector in chosen if vector["operation"] == "phase_shift"]
    assert unlike(other, forward) == [vector["id"] for vector in forward if moving(vector)]
    back = flat_images("CRD", "channels_first")
    wrong = [vector["id"] for vector in back if vector["operation"] == "inverse_phase_shift" and moving(vector)]
    assert unlike(run, [VECTORS[name] for name in wrong]) == wrong  # SpaceToDepth has no mode: microsoft/onnxscript#2891


def test_torch_gives_the_vectors_of_its_order():
    torch = pytest.importorskip("torch", reason="torch is not installed")

    def run(operation, arguments, given):
        (values,) = given.values()
        call = torch.nn.functional.pixel_shuffle if operation == "phase_shift" else torch.nn.functional.pixel_unshuffle
        return {"y" if operation == "phase_shift" else "x": call(torch.from_numpy(values), arguments["scale"][0]).numpy()}

    chosen = flat_images("CRD", "channels_first")
    assert len(chosen) >= 10
    # On the CPU, pixel_unshuffle gives an empty tensor back in the shape it had: pytorch/pytorch#192816. When that is mended, this goes.
    empty = [vector["id"] for vector in chosen if vector["id"].startswith("inverse-phase-shift-no-")]
    assert unlike(run, chosen) == empty
    for order in ("DCR", "DRC", "RCD"):
        other = [vector for vector in flat_images(order, "channels_first") if moving(vector)]
        assert unlike(run, other) == [vector["id"] for vector in other] != []


def test_tensorflow_gives_the_vectors_of_its_order():
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

    def run(operation, arguments, given):
        (values,) = given.values()
        call = tf.nn.depth_to_space if operation == "phase_shift" else tf.nn.space_to_depth
        return {"y" if operation == "phase_shift" else "x": call(tf.constant(values), arguments["scale"][0]).numpy()}

    chosen = flat_images("DCR", "channels_last", least=2)
    assert len(chosen) >= 8
    assert unlike(run, chosen) == []
    for order in ("CRD", "DRC", "RCD"):
        other = [vector for vector in flat_images(order, "channels_last", least=2) if moving(vector)]
        assert unlike(run, other) == [vector["id"] for vector in other] != []


def test_torch_gives_the_gradients_of_its_order():
    torch = pytest.importorskip("torch", reason="torch is not installed")

    def run(operation, arguments, given):
        leaves = {name: torch.from_numpy(values).requires_grad_() for name, values in given.items() if name != "cotangent"}
        (leaf,) = leaves.values()
        call = torch.nn.functional.pixel_shuffle if operation == "phase_shift_vjp" else torch.nn.functional.pixel_unshuffle
        (gradient,) = torch.autograd.grad(call(leaf, arguments["scale"][0]), leaf, torch.from_numpy(given["cotangent"]))
        return {next(iter(leaves)): gradient.numpy()}

    names = [f"{operation}-vjp-2d-factor-2-{{}}-first" for operation in ("phase-shift", "inverse-phase-shift")]
    assert unlike(run, [VECTORS[name.format("crd")] for name in names]) == []
    assert len(unlike(run, [VECTORS[name.format("dcr")] for name in names])) == 2


# --- a reader in another language ---


def read_in_javascript(folder):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = vectors.FOLDER / "read_vectors.mjs"
    return subprocess.run([node, str(script), str(folder)], capture_output=True, text=True, timeout=60, check=False)


def test_the_reader_in_javascript_is_short_and_needs_nodes_own_library_only():
    text = (vectors.FOLDER / "read_vectors.mjs").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert set(re.findall(r'from "([^"]+)"', text)) == {"node:crypto", "node:fs", "node:path", "node:url"}


def test_javascript_gives_every_vector_of_the_shift():
    found = read_in_javascript(vectors.FOLDER)
    count = len(of(*MOVING))
    assert (found.returncode, found.stdout) == (0, f"{count} of {count} vectors passed\n")


def test_javascript_does_not_give_altered_vectors(tmp_path):
    for operation in MOVING:
        document = copy.deepcopy(DOCUMENTS[f"{operation}.json"])
        document["vectors"] = [altered(vector) for vector in document["vectors"]]
        (tmp_path / f"{operation}.json").write_text(files.write(document), encoding="utf-8")
    found = read_in_javascript(tmp_path)
    lines = found.stdout.splitlines()
    assert found.returncode == 1
    assert lines[-1] == f"0 of {len(of(*MOVING))} vectors passed"
    assert [line.partition(":")[0] for line in lines[:-1]] == [
        vector["id"] for operation in sorted(MOVING) for vector in DOCUMENTS[f"{operation}.json"]["vectors"]
    ]


def test_javascript_without_vectors_does_not_pass(tmp_path):
    assert read_in_javascript(tmp_path).returncode == 1


# --- what must not change ---


def kept(number, name):
    """Return whether a vector is in the small distribution that is altered here: three of each file, and those that are named."""
    return number < 3 or name in {edit[1] for edit in EDITS.values()} | {"phase-shift-1d-dcr-last", "unet-1d"}


@pytest.fixture(scope="module")
def distribution(tmp_path_factory):
    """Return a folder with a few vectors of every file, all of them published."""
    folder = tmp_path_factory.mktemp("distribution")
    entries = lock.read_lock(vectors.FOLDER)
    published = {}
    for name, document in DOCUMENTS.items():
        few = [vector for number, vector in enumerate(document["vectors"]) if kept(number, vector["id"])]
        (folder / name).write_text(files.write({**document, "vectors": few}), encoding="utf-8")
        published |= {vector["id"]: entries[vector["id"]] for vector in few}
    (folder / files.LOCK).write_text(lock.write_lock(published), encoding="utf-8")
    return folder


@pytest.fixture
def folder(distribution, tmp_path, monkeypatch):
    """Return a copy of that distribution, to be altered."""
    monkeypatch.setattr(lock, "FOLDER", distribution)
    return Path(shutil.copytree(distribution, tmp_path / "copy"))


@pytest.fixture
def unlocked(folder, monkeypatch):
    """Return a copy in which nothing is published, so that nothing but the values themselves can betray a change."""
    monkeypatch.setattr(lock, "FOLDER", folder)
    (folder / files.LOCK).unlink()
    return folder


def change(folder, file, name, edit):
    """Edit one vector of a file."""
    path = folder / file
    document = json.loads(path.read_text(encoding="utf-8"))
    vector = next(vector for vector in document["vectors"] if vector["id"] == name)
    edit(vector, document["vectors"])
    path.write_text(files.write(document), encoding="utf-8")


def complaints(folder, capsys, action="check"):
    """Return the exit status and the lines of the error output."""
    capsys.readouterr()
    status = command.main([action, str(folder)])
    return status, capsys.readouterr().err.splitlines()


PIXEL = "phase-shift-one-pixel-dcr-last"


def set_output(vector, key, value):
    next(iter(vector["outputs"].values()))[key] = value


EDITS = {
    "value": (
        "phase_shift.json",
        PIXEL,
        lambda v, _: v["outputs"]["y"]["values"].reverse(),
        "outputs.y: value at [0, 0, 0, 0] must be 0.0; got 7.0",
    ),
    "shape": ("phase_shift.json", PIXEL, lambda v, _: set_output(v, "shape", [2, 2, 2]), "outputs.y: shape must be [1, 2, 2, 2]"),
    "dtype": ("phase_shift.json", PIXEL, lambda v, _: set_output(v, "dtype", "float64"), "outputs.y: dtype must be float32; got float64"),
    "order": ("phase_shift.json", PIXEL, lambda v, _: v["arguments"].update(order="CRD"), "outputs.y: value at"),
    "input": ("phase_shift.json", PIXEL, lambda v, _: v["inputs"]["x"].update(shape=[1, 1, 2, 4]), "outputs.y: shape must be"),
    "checksum": (
        "phase_shift.json",
        "phase-shift-large-crd-first",
        lambda v, _: set_output(v, "sha256", "0" * 64),
        "outputs.y: sha256 must be",
    ),
    "checksum of an input": (
        "phase_shift.json",
        "phase-shift-large-crd-first",
        lambda v, _: v["inputs"]["x"].update(sha256="0" * 64),
        "inputs.x: sha256 must be that of the formula's bytes",
    ),
    "bits": (
        "phase_shift.json",
        "phase-shift-special-float32-dcr-last",
        lambda v, _: v["outputs"]["y"]["bits"].__setitem__(0, "00000000"),
        "outputs.y: value at [0, 0, 0, 0] must be -0.0; got 0.0",
    ),
    "bfloat16 for its bits": (
        "phase_shift.json",
        "phase-shift-special-bfloat16-dcr-last",
        lambda v, _: set_output(v, "dtype", "uint16"),
        "outputs.y: dtype must be bfloat16; got uint16",
    ),
    "clause": ("phase_shift.json", PIXEL, lambda v, _: v["clauses"].append("PS-099"), "clauses: PS-099 is not in the specification"),
    "within": ("blur.json", "box-blur-2d", lambda v, _: set_output(v, "within", 10.0), "outputs.blurred: within must be"),
    "no within": ("blur.json", "box-blur-2d", lambda v, _: v["outputs"]["blurred"].pop("within"), "outputs.blurred: within must be"),
    "refused, but right": (
        "refusals.json",
        "refuse-unknown-order",
        lambda v, _: v["arguments"].update(order="CRD"),
        "refuses: must be 'absent'; got 'order'",
    ),
    "another argument at fault": (
        "refusals.json",
        "refuse-unknown-order",
        lambda v, _: v.update(refuses="x"),
        "refuses: must be 'order'; got 'x'",
    ),
    "plan": (
        "stages.json",
        "plan-chosen-6",
        lambda v, _: set_output(v, "values", [3, 3, 2, 2]),
        "outputs.factors: value at [0, 0] must be 2; got 3",
    ),
    "network": ("unet.json", "unet-dcr", lambda v, _: v["arguments"].update(order="CRD"), "outputs.y: value at"),
    "an input too few": ("icnr.json", "icnr-2d-crd", lambda v, _: v["inputs"].pop("bias"), "'bias' is a required property"),
    "an unknown key": ("phase_shift.json", PIXEL, lambda v, _: v.update(note="x"), "'note' was unexpected"),
    "an unknown operation": ("phase_shift.json", PIXEL, lambda v, _: v.update(operation="shuffle"), "operation: 'shuffle' is not one of"),
    "an id twice": (
        "phase_shift.json",
        PIXEL,
        lambda v, every: every.append(dict(v)),
        "an id must be used once; it is in phase_shift.json too",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_vector_that_is_not_the_oracles_is_refused_in_one_line(unlocked, capsys, edit):
    pytest.importorskip("jsonschema", reason="the dev extra has it")
    assert complaints(unlocked, capsys) == (0, [])
    file, name, how, text = EDITS[edit]
    change(unlocked, file, name, how)
    status, lines = complaints(unlocked, capsys)
    assert status == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"subpixel vectors: {file}: {name}: ")
    assert text in lines[0]


PUBLISHED = {
    "changed in what does not count": (lambda v, _: v.update(why="Another reason altogether."), "is published and must not be changed"),
    "changed together with its answer": (lambda v, _: v["clauses"].append("PS-012"), "is published and must not be changed"),
    "removed": (lambda v, every: every.remove(v), "is published and must not be removed or renumbered"),
    "renumbered": (lambda v, _: v.update(id="phase-shift-1"), "is published and must not be removed or renumbered"),
}


@pytest.mark.parametrize("edit", PUBLISHED)
@pytest.mark.parametrize("file_of_the_lock", ["kept", "gone", "edited"])
def test_a_published_vector_is_never_changed(folder, capsys, edit, file_of_the_lock):
    how, text = PUBLISHED[edit]
    change(folder, "phase_shift.json", PIXEL, how)
    if file_of_the_lock == "gone":
        (folder / files.LOCK).unlink()
    elif file_of_the_lock == "edited":
        entries = lock.read_lock(folder)
        del entries[PIXEL]
        (folder / files.LOCK).write_text(lock.write_lock(entries), encoding="utf-8")
    status, lines = complaints(folder, capsys)
    assert status == 1
    assert f"subpixel vectors: phase_shift.json: {PIXEL}: {text}" in "\n".join(lines)
    assert (len(lines) == 1) == (file_of_the_lock == "kept")


def test_a_published_vector_is_never_moved(folder, capsys):
    moved = {}
    change(folder, "phase_shift.json", PIXEL, lambda v, every: (moved.update(v), every.remove(v)))
    change(folder, "unet.json", "unet-dcr", lambda _, every: every.append(moved))
    assert complaints(folder, capsys) == (
        1,
        [f"subpixel vectors: unet.json: {PIXEL}: is published in phase_shift.json and must not be moved"],
    )


def test_making_them_anew_refuses_to_change_a_published_vector(folder, capsys, monkeypatch):
    entries = lock.read_lock(folder)
    entries[PIXEL] = {**entries[PIXEL], "sha256": "0" * 64}
    (folder / files.LOCK).write_text(lock.write_lock(entries), encoding="utf-8")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(lock, "FOLDER", folder)
    status, lines = complaints(folder, capsys, "make")
    assert status == 1
    assert lines[0].startswith(f"subpixel vectors: phase_shift.json: {PIXEL}: is published and must not be changed")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_new_vector_is_listed_and_published_by_the_command_alone(distribution, folder, capsys, monkeypatch):
    monkeypatch.setattr(lock, "FOLDER", folder)
    change(folder, "phase_shift.json", PIXEL, lambda v, every: every.append({**v, "id": "phase-shift-new"}))
    assert command.main(["check", str(folder)]) == 0
    assert "not published: phase-shift-new" in capsys.readouterr().out
    change(folder, "unet.json", "unet-1d", lambda v, _: v.update(why="Something else than what was published."))
    before = (folder / files.LOCK).read_bytes()
    assert complaints(folder, capsys, "publish")[0] == 1
    assert (folder / files.LOCK).read_bytes() == before
    shutil.copy(distribution / "unet.json", folder)
    assert vectors.publish(folder) == ["phase-shift-new"]
    assert lock.read_lock(folder)["phase-shift-new"]["spec"] == subpixel_core.SPEC_VERSION
    assert vectors.check(folder).unpublished == []
    assert vectors.publish(folder) == []
    change(folder, "phase_shift.json", "phase-shift-new", lambda v, _: v["clauses"].append("PS-011"))
    assert "phase-shift-new: is published and must not be changed" in complaints(folder, capsys)[1][0]


# --- damage ---


DAMAGE = {
    "cut off": (
        lambda text: text[: text.index('"id": "phase-shift-1d-dcr-last"') + 40],
        "is no JSON at line 11, in or after phase-shift-1d-dcr-last",
    ),
    "cut off at the start": (lambda text: text[:30], "is no JSON at line 3, before the first vector"),
    "emptied": (lambda text: "", "is no JSON at line 1, before the first vector"),
    "not an object": (lambda text: "[]", "format must be 'subpixel-vectors-1'; got []"),
    "another format": (
        lambda text: text.replace("vectors-1", "vectors-9"),
        "format must be 'subpixel-vectors-1'; got 'subpixel-vectors-9'",
    ),
    "another subject": (
        lambda text: text.replace('"subject": "phase_shift"', '"subject": "icnr"'),
        "subject must be that of the file's name",
    ),
    "no vector": (lambda text: text[: text.index("[") + 1] + "]}", "vectors must be a list of at least one"),
    "a vector without an id": (
        lambda text: text.replace('"id": "phase-shift-one-pixel-dcr-first", ', ""),
        f"vector 2 (after {PIXEL}) must be an object",
    ),
    "a key twice": (
        lambda text: text.replace('"operation"', '"why": "", "operation"', 1),
        f"{PIXEL}: a key must occur once in an object; got 'why' twice",
    ),
    "a number that is none": (lambda text: text.replace('"values": [0,', '"values": [NaN,', 1), "a number must be finite; got NaN"),
    "a number without end": (lambda text: text.replace('"values": [0,', f'"values": [{"9" * 5000},', 1), "is no JSON that can be read"),
    "nested without end": (lambda text: "[" * 100_000, "is no JSON that can be read"),
    "another version": (lambda text: text.replace('"spec": "1.0"', '"spec": 1'), "spec: 1 is not of type 'string'"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_gives_one_line(folder, capsys, damage):
    pytest.importorskip("jsonschema", reason="the dev extra has it")
    how, text = DAMAGE[damage]
    path = folder / "phase_shift.json"
    path.write_text(how(path.read_text(encoding="utf-8")), encoding="utf-8")
    status, lines = complaints(folder, capsys)
    assert status == 1
    assert len(lines) == 1
    assert lines[0].startswith("subpixel vectors: phase_shift.json: ")
    assert text in lines[0]


def test_bytes_that_are_no_text_give_one_line(folder, capsys):
    path = folder / "icnr.json"
    path.write_bytes(path.read_bytes()[:100] + b"\xff" + path.read_bytes()[100:])
    assert complaints(folder, capsys) == (1, ["subpixel vectors: icnr.json: is not UTF-8 at byte 100"])


@pytest.mark.parametrize("text", ["", "[]", '{"published": {"x": 1}}', '{"published": {"x": {"sha256": "0"}}}'])
def test_a_damaged_lock_gives_one_line(folder, capsys, text):
    (folder / files.LOCK).write_text(text, encoding="utf-8")
    status, lines = complaints(folder, capsys)
    assert status == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"subpixel vectors: {files.LOCK}: ")


def places(value, before=()):
    """Yield the path of everything inside a vector, of lists the first three."""
    entries = list(value.items()) if isinstance(value, dict) else list(enumerate(value))[:3] if isinstance(value, list) else []
    for key, entry in entries:
        yield (*before, key)
        yield from places(entry, (*before, key))


@pytest.mark.parametrize("schema", ["with the schema", "without"])
def test_whatever_is_put_anywhere_there_is_an_answer_in_time(tmp_path, monkeypatch, schema):
    """Nonsense at random places of random vectors: a list of lines, never an exception, and no hour in the oracle's loops."""
    if schema == "without":
        monkeypatch.setitem(sys.modules, "jsonschema", None)
    monkeypatch.setattr(lock, "FOLDER", tmp_path)
    rng = np.random.default_rng(0)
    nonsense = [None, -1, 0, True, 2.5, "x", [], {}, [-1], 10**30, [10**30], [64, 64], {"a": 1}]
    small = [(name, vector) for name, document in DOCUMENTS.items() for vector in document["vectors"] if "-large-" not in vector["id"]]
    found = 0
    for _ in range(150):
        name, vector = small[rng.integers(len(small))]
        other = copy.deepcopy(vector)
        paths = list(places(other))
        *way, last = paths[rng.integers(len(paths))]
        inside = other
        for key in way:
            inside = inside[key]
        inside[last] = nonsense[rng.integers(len(nonsense))]
        (tmp_path / name).write_text(files.write({**DOCUMENTS[name], "vectors": [other]}), encoding="utf-8")
        problems = vectors.check(tmp_path).problems
        assert all(line.startswith(f"{name}: ") and "\n" not in line for line in problems)
        found += bool(problems)
        (tmp_path / name).unlink()
    assert found > 100


def test_a_missing_file_names_its_vectors(distribution, folder, capsys):
    (folder / "unet.json").unlink()
    status, lines = complaints(folder, capsys)
    assert status == 1
    assert lines == [
        f"subpixel vectors: unet.json: {vector['id']}: is published and must not be removed or renumbered"
        for vector in sorted(
            json.loads((distribution / "unet.json").read_text(encoding="utf-8"))["vectors"], key=lambda vector: vector["id"]
        )
    ]


def test_a_folder_that_is_none_is_a_usage_error(tmp_path, capsys):
    assert complaints(tmp_path / "nowhere", capsys) == (2, [f"subpixel vectors: FOLDER must be a folder; got {tmp_path / 'nowhere'}"])
    assert complaints(tmp_path, capsys) == (1, [f"subpixel vectors: {tmp_path}: holds no vector file"])


def test_without_jsonschema_the_rest_is_checked_and_that_is_said(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    assert command.main(["check", str(folder)]) == 0
    assert "the JSON Schema was not checked: jsonschema is not installed" in capsys.readouterr().out


def test_an_answer_that_is_no_integer_is_not_made_into_a_vector():
    definition = next(d for subject in subjects() for d in subject.definitions if d.id == "box-blur-2d")
    other = replace(definition, inputs={"y": vectors.encode(np.eye(6, 8, dtype="float32").reshape(1, 4, 6, 2))})
    with pytest.raises(vectors.VectorError, match="box-blur-2d: results must be integers"):
        made(other)


# --- the documentation ---


def test_the_table_of_the_documentation_is_true():
    rows = re.findall(r"^\| `([a-z_]+\.json)` \|.*\| (\d+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: int(count) for name, count in rows} == {name: len(document["vectors"]) for name, document in DOCUMENTS.items()}
