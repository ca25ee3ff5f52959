"""`subpixel convert`: what it writes, what it says, and that it writes nothing that differs, that is half, or that was not asked for."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import helper, numpy_helper

from subpixel_conformance import cli, terminal
from subpixel_conformance.convert import layers, onnx_command, onnx_file
from subpixel_conformance.convert.onnx_check import Session

from .onnx_models import conv_transpose, model, operators, resize_conv
from .wrong_layers import WRONG, wrong_tap


def floats(*shape):
    return np.random.default_rng(shape).standard_normal(shape).astype("float32")


def decoder(extents=("n", 4, "h", "w")):
    """Two layers that are replaced, and one that would take more multiply-accumulates; weights that no sum is exact of."""
    weights = {
        "A": floats(4, 4, 4, 4),
        "a": floats(4),
        "s": np.array([1, 1, 2, 2], "float32"),
        "B": floats(6, 4, 3, 3),
        "C": floats(6, 2, 3, 3),
    }
    nodes = [
        helper.make_node("ConvTranspose", ["x", "A", "a"], ["t"], name="up1", strides=[2, 2], pads=[1] * 4),
        helper.make_node("Relu", ["t"], ["u"]),
        helper.make_node("Resize", ["u", "", "s"], ["v"], name="resize", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        helper.make_node("Conv", ["v", "B"], ["w"], name="conv", pads=[1] * 4),
        helper.make_node("ConvTranspose", ["w", "C"], ["y"], name="up2", strides=[2, 2], pads=[1] * 4, output_padding=[1, 1]),
    ]
    return model(nodes, weights, extents)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    onnx.save(decoder(), tmp_path / "m.onnx")
    return tmp_path


def run(capsys, *arguments):
    try:
        status = cli.main(["convert", *map(str, arguments)])
    except SystemExit as ended:
        status = ended.code
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def refused(capsys, folder, status, said, *arguments):
    """Assert that a command ends with one line, and leaves the folder as it was."""
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    found, out, err = run(capsys, *arguments)
    assert (found, out, err.count("\n")) == (status, "", 1), err
    assert said in err
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


# --- what it writes and says ---


@pytest.mark.parametrize("rich", [True, False])
def test_a_model_is_written_beside_the_one_it_was_made_from_with_a_row_per_layer(capsys, folder, monkeypatch, rich):
    monkeypatch.setattr(terminal, "HAS_RICH", rich)
    original = (folder / "m.onnx").read_bytes()
    status, out, err = run(capsys, "m.onnx")
    assert (status, err) == (0, "")
    assert files(folder) == ["m.onnx", "m.subpixel.onnx"]
    assert (folder / "m.onnx").read_bytes() == original
    rows = {line.split()[0]: line for line in out.splitlines() if line.split()[:1] in (["up1"], ["resize"], ["up2"])}
    assert "minimal" in rows["up1"]
    assert "Resize + Conv" in rows["resize"]
    assert "1.78 times the MACs" in rows["up2"]
    assert "of what rounding allows" in out
    assert "wrote m.subpixel.onnx" in out
    result = onnx.load(folder / "m.subpixel.onnx")
    assert operators(result) == ["Conv", "DepthToSpace", "Slice", "Relu", "Conv", "DepthToSpace", "Slice", "ConvTranspose"]
    x = floats(2, 4, 6, 9)
    before, after = (Session(onnx.load(folder / name)).run({"x": x})["y"] for name in ("m.onnx", "m.subpixel.onnx"))
    assert np.abs(before - after).max() < 1e-5 * np.abs(before).max()


def test_the_report_as_json(capsys, folder):
    status, out, _ = run(capsys, "m.onnx", "--report", "json", "-o", "out.onnx", "--all")
    assert status == 0
    report = json.loads(out)
    assert report["written"] == ["out.onnx"]
    assert [(row["layer"], row["kind"], row["form"]) for row in report["layers"]] == [
        ("up1", "ConvTranspose", "minimal"),
        ("resize + conv", "Resize + Conv", "minimal"),
        ("up2", "ConvTranspose", "aligned"),
    ]
    assert len(report["runs"]) == 2
    shapes = [run["inputs"]["x"] for run in report["runs"]]
    assert all(len({*shape}) == 4 for shape in shapes)  # no two extents of an input are equal
    assert all(one != other for one, other in zip(shapes[0][2:], shapes[1][2:], strict=True))
    assert all(0 < ratio < 1 for run in report["runs"] for ratio in run["layers"].values())


@pytest.mark.parametrize("form", ["minimal", "aligned"])
def test_one_form_for_all(capsys, folder, form):
    status, out, _ = run(capsys, "m.onnx", "--form", form, "--all", "--report", "json")
    assert (status, {row["form"] for row in json.loads(out)["layers"]}) == (0, {form})


def test_declared_extents_are_run_as_they_are_and_choose_the_form(capsys, folder):
    for side, form in ((1, "aligned"), (16, "minimal")):  # of one pixel, the border is most
        onnx.save(conv_transpose((4, 4), strides=[2, 2], pads=[1] * 4, declared=(3, 4, side, side)), folder / "m.onnx")
        status, out, _ = run(capsys, "m.onnx", "--report", "json", "--force", "--all")
        report = json.loads(out)
        assert (status, [run["inputs"]["x"] for run in report["runs"]]) == (0, [[3, 4, side, side]])
        assert report["layers"][0]["form"] == form


def test_where_nothing_is_converted_nothing_is_written(capsys, folder):
    onnx.save(resize_conv((3, 3), (2, 2), resize={"mode": "linear"}), folder / "m.onnx")
    status, out, _ = run(capsys, "m.onnx")
    assert (status, files(folder)) == (0, ["m.onnx"])
    assert "mode must be 'nearest'" in out
    assert "nothing to convert" in out
    onnx.save(model([helper.make_node("Relu", ["x"], ["y"])], {}), folder / "m.onnx")
    assert run(capsys, "m.onnx")[0] == 0
    assert files(folder) == ["m.onnx"]


def test_extents_that_the_model_takes_are_found(capsys, folder):
    """As in a U-Net: what was halved twice must be as large again as what it is joined to."""
    pool = [helper.make_node("MaxPool", [x], [y], kernel_shape=[2, 2], strides=[2, 2]) for x, y in (("x", "p"), ("p", "q"))]
    up = [helper.make_node("ConvTranspose", [x, "W"], [y], strides=[2, 2]) for x, y in (("q", "r"), ("r", "s"))]
    onnx.save(model([*pool, *up, helper.make_node("Add", ["s", "x"], ["y"])], {"W": floats(4, 4, 2, 2)}), folder / "m.onnx")
    status, out, _ = run(capsys, "m.onnx", "--report", "json")
    assert status == 0
    assert len(json.loads(out)["runs"]) == 2
    assert [row["layer"] for row in json.loads(out)["layers"]] == ["r", "s"]


def test_inputs_may_be_given(capsys, folder):
    np.savez(folder / "x.npz", x=floats(1, 4, 17, 3))
    status, out, _ = run(capsys, "m.onnx", "--inputs", "x.npz", "--report", "json")
    assert (status, [run["inputs"]["x"] for run in json.loads(out)["runs"]]) == (0, [[1, 4, 17, 3]])
    np.savez(folder / "x.npz", z=floats(1))
    refused(capsys, folder, 3, "does not run on these inputs", "m.onnx", "--inputs", "x.npz", "--force")
    (folder / "x.npz").write_bytes(b"no archive")
    refused(capsys, folder, 2, "x.npz must be an archive", "m.onnx", "--inputs", "x.npz", "--force")


def test_empty_inputs_and_zeros_are_refused_for_they_show_nothing(capsys, folder):
    for x, said in (
        (floats(0, 4, 5, 6), "--inputs must have at least one value for every input, or nothing is compared; got x (0, 4, 5, 6)"),
        (
            np.zeros((1, 4, 5, 6), "float32"),
            "--inputs must have values other than 0, on which wrong kernels are equal too; got x of zeros only",
        ),
    ):
        np.savez(folder / "x.npz", x=x)
        refused(capsys, folder, 2, said, "m.onnx", "--inputs", "x.npz")


def test_whole_numbers_may_all_be_zero_beside_others_that_are_not(capsys, folder):
    nodes = [
        helper.make_node("Gather", ["x", "which"], ["z"], axis=0),
        helper.make_node("ConvTranspose", ["z", "W"], ["y"], strides=[2, 2]),
    ]
    gathering = model(nodes, {"W": floats(4, 3, 2, 2)})
    gathering.graph.input.append(helper.make_tensor_value_info("which", onnx.TensorProto.INT64, [None]))
    onnx.save(gathering, folder / "m.onnx")
    np.savez(folder / "x.npz", x=floats(1, 4, 5, 6), which=np.array([0]))
    assert run(capsys, "m.onnx", "--inputs", "x.npz")[0] == 0


def test_a_layer_that_gets_nothing_is_refused(capsys, folder):
    nodes = [
        helper.make_node("Gather", ["x", "none"], ["z"], axis=0),
        helper.make_node("ConvTranspose", ["z", "W"], ["y"], strides=[2, 2], name="up"),
    ]
    onnx.save(model(nodes, {"W": floats(4, 3, 2, 2), "none": np.zeros(0, "int64")}), folder / "m.onnx")
    refused(capsys, folder, 3, "up makes no value of these inputs", "m.onnx")


OUTSIDE = {"save_as_external_data": True, "location": "m.weights", "size_threshold": 0}


@pytest.mark.parametrize("limit", [100, None])
def test_weights_beside_it_are_overwritten_from_any_folder(capsys, folder, monkeypatch, limit):
    """onnx.save looks for the file of weights in the working directory, wherever the model is."""
    if limit:
        monkeypatch.setattr(onnx_file, "LARGEST", limit)
    else:
        onnx.save(decoder(), folder / "m.onnx", **OUTSIDE)
    for _ in range(2):
        assert run(capsys, "m.onnx", "--all", "--force")[0] == 0
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    assert run(capsys, "m.onnx", "-o", elsewhere / "m.subpixel.onnx", "--all")[0] == 0
    for place in (folder, elsewhere):
        result = onnx.load(place / "m.subpixel.onnx")
        assert "ConvTranspose" not in operators(result)
        x = floats(2, 4, 6, 9)
        before, after = (Session(each).run({"x": x})["y"] for each in (onnx.load(folder / "m.onnx"), result))
        assert np.abs(before - after).max() < 1e-5 * np.abs(before).max()
    assert files(elsewhere) == ["m.subpixel.onnx", "m.subpixel.onnx.data"]


def test_weights_of_an_earlier_output_do_not_stay_behind(capsys, folder):
    onnx.save(decoder(), folder / "m.onnx", **OUTSIDE)
    assert run(capsys, "m.onnx")[0] == 0
    assert "m.subpixel.onnx.data" in files(folder)
    onnx.save(decoder(), folder / "m.onnx")
    assert run(capsys, "m.onnx", "--force")[0] == 0
    assert files(folder) == ["m.onnx", "m.subpixel.onnx", "m.weights"]
    (folder / "m.subpixel.onnx").unlink()
    assert run(capsys, "m.onnx")[0] == 0


def test_weights_of_the_model_itself_are_not_overwritten(capsys, folder):
    onnx.save(decoder(), folder / "m.onnx", **OUTSIDE | {"location": "n.onnx.data"})
    refused(capsys, folder, 2, "n.onnx.data holds the weights of the model itself", "m.onnx", "-o", "n.onnx", "--force")


def test_weights_in_a_file_of_their_own_stay_in_one(capsys, folder):
    options = {"save_as_external_data": True, "location": "m.weights", "size_threshold": 0}
    onnx.save(decoder(), folder / "m.onnx", **options)
    assert run(capsys, "m.onnx")[0] == 0
    assert files(folder) == ["m.onnx", "m.subpixel.onnx", "m.subpixel.onnx.data", "m.weights"]
    moved = folder / "elsewhere"
    moved.mkdir()
    for name in ("m.subpixel.onnx", "m.subpixel.onnx.data"):
        (folder / name).rename(moved / name)
    assert "ConvTranspose" in operators(onnx.load(moved / "m.subpixel.onnx"))
    (folder / "m.weights").unlink()
    refused(capsys, folder, 3, "damaged or no ONNX model", "m.onnx")


def test_a_model_too_large_for_one_buffer_gets_its_weights_beside_it(capsys, folder, monkeypatch):
    monkeypatch.setattr(onnx_file, "LARGEST", 100)
    assert run(capsys, "m.onnx")[0] == 0
    assert files(folder) == ["m.onnx", "m.subpixel.onnx", "m.subpixel.onnx.data"]


# --- what it refuses ---


def test_nothing_is_overwritten_without_force(capsys, folder):
    (folder / "m.subpixel.onnx").write_bytes(b"mine")
    refused(capsys, folder, 2, "--force", "m.onnx")
    assert run(capsys, "m.onnx", "--force")[0] == 0
    assert (folder / "m.subpixel.onnx").stat().st_size > 1000
    (folder / "n.onnx.data").write_bytes(b"mine")
    refused(capsys, folder, 2, "n.onnx.data is there", "m.onnx", "-o", "n.onnx")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.onnx"], "absent.onnx is not there"),
        (["."], "folder"),
        (["m.onnx", "-o", "m.onnx", "--force"], "the model itself"),
        (["m.onnx", "-o", "out.keras"], "must end in .onnx"),
        (["m.onnx", "-o", "nowhere/out.onnx"], "cannot be written"),
        (["m.onnx", "--form", "best of all"], "--form"),
        (["m.onnx", "--inputs", "absent.npz"], "absent.npz"),
        ([], "MODEL"),
    ],
)
def test_a_mistake_in_the_command_is_status_2(capsys, folder, arguments, said):
    refused(capsys, folder, 2, said, *arguments)


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.ckpt", "m.pkl", "m.h5", "m.bin"])
def test_a_file_that_runs_code_when_it_is_loaded_is_not_loaded(capsys, folder, name):
    (folder / name).write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    refused(capsys, folder, 3, "can run any code", name)


def test_a_file_of_another_kind_is_status_3(capsys, folder):
    (folder / "m.tflite").write_bytes(b"TFL3")
    refused(capsys, folder, 3, "of no kind that is converted", "m.tflite")


def test_a_damaged_file_is_status_3_and_one_line(capsys, folder):
    whole = (folder / "m.onnx").read_bytes()
    for damaged in (b"", b"no model at all", whole[: len(whole) // 2], whole[:-1], whole[len(whole) // 3 :], bytes(range(256))):
        (folder / "m.onnx").write_bytes(damaged)
        refused(capsys, folder, 3, "m.onnx" if len(damaged) < 200 else "", "m.onnx")


def test_an_operator_that_onnxruntime_does_not_know_is_status_3(capsys, folder):
    nodes = [
        helper.make_node("Mystery", ["x"], ["z"], domain="unknown"),
        helper.make_node("ConvTranspose", ["z", "W"], ["y"], strides=[2, 2]),
    ]
    onnx.save(model(nodes, {"W": floats(4, 3, 2, 2)}), folder / "m.onnx")
    refused(capsys, folder, 3, "onnxruntime does not load the model", "m.onnx")


def test_a_model_that_runs_on_nothing_that_is_drawn_says_so(capsys, folder):
    nodes = [helper.make_node("Reshape", ["x", "s"], ["z"]), helper.make_node("ConvTranspose", ["z", "W"], ["y"], strides=[2, 2])]
    onnx.save(model(nodes, {"W": floats(4, 3, 2, 2), "s": np.array([1, 4, 1021, 2])}), folder / "m.onnx")
    refused(capsys, folder, 3, "--inputs FILE.npz", "m.onnx")


def test_without_onnx_it_says_what_to_install(capsys, folder, monkeypatch):
    monkeypatch.delitem(sys.modules, "subpixel_conformance.convert.onnx_command")
    monkeypatch.setitem(sys.modules, "subpixel_conformance.convert.onnx_check", None)
    refused(capsys, folder, 2, "subpixel-spec[onnx]", "m.onnx")


def test_the_command_line_imports_onnx_only_to_convert():
    script = (
        "import sys, subpixel_conformance.cli; print([name for name in ('onnx', 'onnxruntime', 'torch', 'keras') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- a conversion that is wrong, and one that is interrupted ---


@pytest.mark.parametrize("wrong", WRONG)
def test_what_differs_is_status_1_and_is_not_written(capsys, folder, monkeypatch, wrong):
    right = layers.deconv_to_subpixel
    monkeypatch.setattr(layers, "deconv_to_subpixel", lambda *args, **given: WRONG[wrong](right(*args, **given)))
    refused(capsys, folder, 1, "up1", "m.onnx")


def test_a_sum_of_taps_that_is_wrong_is_refused(capsys, folder, monkeypatch):
    right = layers.resize_conv_to_subpixel
    monkeypatch.setattr(layers, "resize_conv_to_subpixel", lambda *args, **given: wrong_tap(right(*args, **given)))
    refused(capsys, folder, 1, "resize + conv", "m.onnx")


def test_a_change_of_anything_else_is_refused(capsys, folder, monkeypatch):
    right = onnx_command.rewritten

    def of_another_node(model, replaced):
        result = right(model, replaced)
        next(node for node in result.graph.node if node.op_type == "Relu").op_type = "Identity"
        return result

    def of_a_weight(model, replaced):
        result = right(model, replaced)
        tensor = next(tensor for tensor in result.graph.initializer if tensor.name == "C")
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + 1, "C"))
        return result

    for wrong, said in ((of_another_node, "is another node"), (of_a_weight, "has other values")):
        monkeypatch.setattr(onnx_command, "rewritten", wrong)
        refused(capsys, folder, 1, said, "m.onnx")


def test_values_that_are_not_finite_say_nothing(capsys, folder):
    nodes = [helper.make_node("Log", ["x"], ["z"]), helper.make_node("ConvTranspose", ["z", "W"], ["y"], strides=[2, 2], name="up")]
    onnx.save(model(nodes, {"W": floats(4, 3, 2, 2)}), folder / "m.onnx")
    refused(capsys, folder, 3, "up is not finite on these inputs", "m.onnx")
    np.savez(folder / "x.npz", x=np.abs(floats(1, 4, 5, 6)) + 1)
    assert run(capsys, "m.onnx", "--inputs", "x.npz")[0] == 0


@pytest.mark.parametrize("moment", ["save", "replace"])
@pytest.mark.parametrize("beside", [False, True])
def test_an_interrupted_write_leaves_nothing(capsys, folder, monkeypatch, moment, beside):
    if beside:
        onnx.save(decoder(), folder / "m.onnx", save_as_external_data=True, location="m.weights", size_threshold=0)
    before = files(folder)
    done = []

    def interrupted(*arguments, **given):
        if moment == "save" or len(done) == beside:  # the last file of all
            raise KeyboardInterrupt
        done.append(arguments)
        os.rename(*arguments)

    monkeypatch.setattr(*((onnx_file.onnx, "save") if moment == "save" else (onnx_file.os, "replace")), interrupted)
    assert run(capsys, "m.onnx")[0] == 3
    assert files(folder) == before


def test_a_full_disk_is_one_line(capsys, folder, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx_file.onnx, "save", full)
    refused(capsys, folder, 2, "No space left on device", "m.onnx")


@pytest.mark.parametrize("options", [[], ["--force"]])
def test_the_weights_of_the_model_are_no_place_to_write_to(capsys, folder, options):
    onnx.save(decoder(), folder / "outside.onnx", save_as_external_data=True, location="weights.onnx", size_threshold=0)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    status, out, err = run(capsys, "outside.onnx", "-o", "weights.onnx", *options)
    assert (status, out) == (2, "")
    assert ("holds the weights of the model itself" if options else "is there already") in err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
