"""`subpixel convert` of programs that torch.export has written: what comes out computes the same, and what is in the file runs nothing."""

import json
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.export import Dim, export

from subpixel_conformance import cli
from subpixel_conformance.convert import layers, pt2_command, pt2_file

from . import wrong_layers

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


def whole(module):
    """Give a module small whole numbers for parameters, so that every sum is exact."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-4, 5, parameter.shape, generator=generator))
    return module


def values(*shape):
    return torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(4)).float()


def saved(module, x, folder, *, dynamic=True, decomposed=False, extra=None):
    """Export a module, with every extent but the channels free, and return the file."""
    module = whole(module).eval()
    free = [{axis: Dim.AUTO for axis in range(x.ndim) if axis != 1}] if dynamic else None
    program = export(module, (x,), dynamic_shapes=free)
    if decomposed:
        program = program.run_decompositions()
    torch.export.save(program, folder / "m.pt2", extra_files=extra)
    return program


def run(capsys, *arguments):
    status = cli.main(["convert", *map(str, arguments)])
    written = capsys.readouterr()
    return status, written.out, written.err


def converted(capsys, folder, *arguments):
    """Convert, and return the report and the program that was written, or None."""
    status, out, err = run(capsys, folder / "m.pt2", "--report", "json", *arguments)
    assert status == 0, err
    result = folder / "m.subpixel.pt2"
    return json.loads(out), torch.export.load(result) if result.exists() else None


def refused(capsys, folder, status, said, *arguments):
    before = sorted(os.listdir(folder))
    found, out, err = run(capsys, folder / "m.pt2", *arguments)
    assert (found, out, err.count("\n")) == (status, "", 1), err
    assert err.startswith("subpixel convert: ")
    assert said in err
    assert sorted(os.listdir(folder)) == before


def operators(program):
    return [str(node.target).removeprefix("aten.") for node in program.graph.nodes if node.op == "call_function"]


LAYERS = {
    "1-D": (lambda: nn.ConvTranspose1d(3, 2, 4, 3, 1, output_padding=2), (2, 3, 7)),
    "2-D, equal factors": (lambda: nn.ConvTranspose2d(3, 2, 4, 2, 1), (2, 3, 5, 7)),
    "2-D, unequal": (lambda: nn.ConvTranspose2d(3, 2, (3, 5), (2, 3), (0, 1), output_padding=(1, 2)), (2, 3, 5, 7)),
    "3-D": (lambda: nn.ConvTranspose3d(3, 2, (2, 3, 4), (1, 2, 3), 1, bias=False), (2, 3, 5, 4, 3)),
    "groups": (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2), (2, 4, 5, 7)),
    "dilation": (lambda: nn.ConvTranspose2d(3, 2, 3, 2, 1, output_padding=(0, 1), dilation=(2, 3)), (2, 3, 5, 7)),
    "resize 1-D": (lambda: nn.Sequential(nn.Upsample(scale_factor=3), nn.Conv1d(3, 2, 4, padding=1)), (2, 3, 7)),
    "resize 2-D": (lambda: nn.Sequential(nn.UpsamplingNearest2d(scale_factor=2), nn.Conv2d(3, 2, 3, padding=1)), (2, 3, 5, 7)),
    "resize, unequal": (
        lambda: nn.Sequential(nn.Upsample(scale_factor=(2.0, 3.0), mode="nearest-exact"), nn.Conv2d(3, 2, (4, 3), padding="same")),
        (2, 3, 5, 7),
    ),
    "resize 3-D, groups": (
        lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv3d(4, 2, 3, dilation=(1, 2, 1), groups=2, padding="valid")),
        (2, 4, 5, 4, 3),
    ),
}


GATHERED = ("resize 1-D", "resize, unequal", "resize 3-D, groups")
"""What `run_decompositions` writes out as reads by index, which are no resize any more."""


@pytest.mark.parametrize(
    ("case", "decomposed"), [*((case, False) for case in LAYERS), *((case, True) for case in LAYERS if case not in GATHERED)]
)
def test_what_comes_out_is_equal_bit_for_bit_and_its_extents_stay_free(capsys, tmp_path, case, decomposed):
    make, shape = LAYERS[case]
    before = saved(make(), values(*shape), tmp_path, decomposed=decomposed)
    for form in ("minimal", "aligned"):
        report, after = converted(capsys, tmp_path, "--all", "--force", "--form", form)
        assert [row["form"] for row in report["layers"]] == [form]
        assert not any("transpose" in name or "upsample" in name or ", True, [" in name for name in operators(after))
        assert str(after.range_constraints) == str(before.range_constraints)
        for more in (0, 3):  # other extents than those of the example
            x = values(*(n + more if axis != 1 else n for axis, n in enumerate(shape)))
            assert torch.equal(after.module()(x), before.module()(x))
            assert after.module()(x).stride() == before.module()(x).stride()


@pytest.mark.parametrize("case", GATHERED)
def test_a_resize_that_is_written_out_by_index_is_not_seen(capsys, tmp_path, case):
    make, shape = LAYERS[case]
    saved(make(), values(*shape), tmp_path, decomposed=True)
    report, after = converted(capsys, tmp_path)
    assert (report["layers"], after) == ([], None)


def test_the_operator_of_torch_stands_where_it_can(capsys, tmp_path):
    for case, native in (("2-D, equal factors", True), ("resize 2-D", True), ("1-D", False), ("2-D, unequal", False), ("3-D", False)):
        make, shape = LAYERS[case]
        saved(make(), values(*shape), tmp_path)
        assert ("pixel_shuffle.default" in operators(converted(capsys, tmp_path, "--all", "--force")[1])) == native


def test_extents_that_are_fixed_stay_so_and_a_size_is_then_a_factor(capsys, tmp_path):
    class Sized(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3, padding=1)

        def forward(self, x):
            return self.conv(nn.functional.interpolate(x, size=(10, 21)))

    before = saved(Sized(), values(2, 3, 5, 7), tmp_path, dynamic=False)
    report, after = converted(capsys, tmp_path)
    assert [run["inputs"] for run in report["runs"]] == [{"x": [2, 3, 5, 7]}]
    assert torch.equal(after.module()(values(2, 3, 5, 7)), before.module()(values(2, 3, 5, 7)))
    saved(Sized(), values(2, 3, 5, 7), tmp_path)
    (tmp_path / "m.subpixel.pt2").unlink()
    report, after = converted(capsys, tmp_path)
    assert after is None
    assert "size must be None" in report["layers"][0]["reason"]


class Around(nn.Module):
    """A layer, and what a forward does with it and its input."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.forward_ = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def biased(self):
        """Give both parts one bias."""
        self.conv.bias = self.up.bias
        return self

    def forward(self, x):
        return self.forward_(self, x)


def up(inputs=3, outputs=3):
    return nn.ConvTranspose2d(inputs, outputs, 2, 2)


def pair():
    return {"resize": nn.Upsample(scale_factor=2), "conv": nn.Conv2d(3, 2, 3, padding=1)}


def tied():
    first, second = up(), up()
    second.weight = first.weight
    return {"first": first, "second": second}


LEFT = {
    "bilinear": (
        lambda: nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(3, 2, 3)),
        ["mode must be 'nearest'"],
    ),
    "a broken factor": (lambda: nn.Sequential(nn.Upsample(scale_factor=2.5), nn.Conv2d(3, 2, 3)), ["scale_factor must be whole"]),
    "a factor at which float32 misses": (
        lambda: nn.Sequential(nn.Upsample(scale_factor=41), nn.Conv2d(3, 2, 3)),
        ["finds every pixel"],
    ),
    "a stride behind": (lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 2, 3, stride=2)), ["stride must be 1"]),
    "something between": (lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.ReLU(), nn.Conv2d(3, 2, 3)), ["not proved"]),
    "read twice": (lambda: Around(lambda m, x: (m.conv(m.resize(x)), m.resize(x).sum()), **pair()), [None, "not proved"]),
    "the resized is an output": (lambda: Around(lambda m, x: (lambda y: (m.conv(y), y))(m.resize(x)), **pair()), ["not proved"]),
    "called in two ways": (
        lambda: Around(lambda m, x: m.up(x) + m.up(x, output_size=(11, 11))[..., 1:, 1:], up=nn.ConvTranspose2d(3, 3, 2, 2)),
        ["belong to another layer", "belong to another layer"],
    ),
    "its bias is another's too": (
        lambda: Around(lambda m, x: m.up(x) + m.conv(x).sum(), up=up(), conv=nn.Conv2d(3, 3, 1)).biased(),
        ["belong to another layer"],
    ),
    "tied": (lambda: Around(lambda m, x: m.second(m.first(x)), **tied()), ["belong to another layer", "belong to another layer"]),
    "its weight is read": (lambda: Around(lambda m, x: m.up(x) + m.up.weight.sum(), up=up()), ["belong to another layer"]),
    "its weight is computed": (
        lambda: Around(lambda m, x: nn.functional.conv_transpose2d(x, x + x.mT, stride=2)),
        ["is no constant"],
    ),
    "stride 1": (lambda: nn.ConvTranspose2d(3, 2, 3), ["its stride is 1"]),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_has_no_equal_is_left_with_the_reason(capsys, tmp_path, case):
    make, reasons = LEFT[case]
    saved(make(), values(3, 3, 5, 5), tmp_path, dynamic=False)
    report, after = converted(capsys, tmp_path, "--all")
    assert (after is None) == (None not in reasons)
    for row, reason in zip(report["layers"], reasons, strict=True):
        assert (row["form"] is None) == (reason is not None)
        assert (reason or "") in row["reason"]


@pytest.mark.parametrize("form", ["best", "minimal", "aligned"])
def test_a_layer_that_is_called_twice_stays_one(capsys, tmp_path, form):
    """Of one pixel the aligned form takes fewer multiply-accumulates, of more the minimal one: both calls get the same."""

    def forward(module, x):
        return module.up(module.up(x)), module.up(x[..., :1, :1]), module.conv(module.resize(module.conv(module.resize(x))))

    parts = {"up": nn.ConvTranspose2d(3, 3, 4, 2, 1), "resize": nn.Upsample(scale_factor=2), "conv": nn.Conv2d(3, 3, 3, padding=1)}
    before = saved(Around(forward, **parts), values(2, 3, 5, 7), tmp_path)
    report, after = converted(capsys, tmp_path, "--all", "--form", form)
    assert len(report["layers"]) == 5
    assert None not in {row["form"] for row in report["layers"]}
    assert all(len({row["form"] for row in report["layers"] if row["kind"].startswith(kind)}) == 1 for kind in ("conv", "upsample"))
    assert [name for name in after.state_dict if name in before.state_dict] == list(before.state_dict)
    for one, other in zip(after.module()(values(1, 3, 4, 9)), before.module()(values(1, 3, 4, 9)), strict=True):
        assert torch.equal(one, other)


def test_what_is_in_a_graph_inside_is_left(capsys, tmp_path):
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = up()

        def forward(self, x):
            return torch.cond(x.sum() > 0, lambda y: self.up(y), lambda y: self.up(y) * 2, (x,))

    saved(Branches(), values(2, 3, 5, 7), tmp_path, dynamic=False)
    report, after = converted(capsys, tmp_path)
    assert after is None
    assert {row["reason"].partition(" (")[0] for row in report["layers"]} == {"it is in a graph inside another"}


def test_half_precision_is_judged_and_bfloat16_left(capsys, tmp_path):
    for dtype, form in ((torch.float16, "minimal"), (torch.float64, "minimal"), (torch.bfloat16, None)):
        saved(up().to(dtype), values(2, 3, 5, 7).to(dtype), tmp_path)
        assert [row["form"] for row in converted(capsys, tmp_path, "--force")[0]["layers"]] == [form]


def test_a_graph_in_training_mode_keeps_its_statistics_and_its_dropout(capsys, tmp_path):
    module = whole(nn.Sequential(nn.ConvTranspose2d(3, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.Dropout(0.5)))
    torch.export.save(export(module.train(), (values(2, 3, 5, 7),)), tmp_path / "m.pt2")
    report, after = converted(capsys, tmp_path)
    before = torch.export.load(tmp_path / "m.pt2")
    assert [row["form"] for row in report["layers"]] == ["minimal"]
    assert int(after.state_dict["1.num_batches_tracked"]) == 0
    assert torch.equal(after.state_dict["1.running_var"], torch.ones(4))
    made = []
    for program in (before, after):
        torch.manual_seed(5)
        made.append(program.module()(values(2, 3, 5, 7)))
    assert torch.equal(*made)


def test_a_change_in_place_between_resize_and_convolution_is_not_seen_by_either(capsys, tmp_path):
    def forward(module, x):
        x = x + 1
        y = module.resize(x)
        x.mul_(2)
        return module.conv(y), x

    before = saved(Around(forward, **pair()), values(2, 3, 5, 7), tmp_path)
    report, after = converted(capsys, tmp_path)
    assert [row["form"] for row in report["layers"]] == ["minimal"]
    for one, other in zip(after.module()(values(2, 3, 4, 9)), before.module()(values(2, 3, 4, 9)), strict=True):
        assert torch.equal(one, other)


def test_memory_formats_and_inputs_without_a_batch_are_kept(capsys, tmp_path):
    last = whole(nn.Sequential(nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.ReLU())).to(memory_format=torch.channels_last)
    x = values(2, 8, 5, 7).to(memory_format=torch.channels_last)
    before = saved(last, x, tmp_path)
    after = converted(capsys, tmp_path)[1]
    assert torch.equal(after.module()(x), before.module()(x))
    assert after.module()(x).stride() == before.module()(x).stride()
    for make, shape in ((lambda: nn.ConvTranspose2d(3, 2, 4, 2, 1), (3, 5, 7)), (lambda: nn.ConvTranspose1d(3, 2, 4, 3, 1), (3, 7))):
        before = saved(make(), values(*shape), tmp_path, dynamic=False)
        after = converted(capsys, tmp_path, "--all", "--force")[1]
        assert torch.equal(after.module()(values(*shape)), before.module()(values(*shape)))


def test_a_program_may_take_bfloat16_around_a_layer_that_does_not(capsys, tmp_path):
    x = values(2, 3, 5, 7).bfloat16()
    before = saved(Around(lambda m, x: m.up(x.float()).bfloat16(), up=up()), x, tmp_path)
    report, after = converted(capsys, tmp_path)
    assert (len(report["runs"]), [row["form"] for row in report["layers"]]) == (3, ["minimal"])
    assert torch.equal(after.module()(x), before.module()(x))


def test_everything_else_of_the_file_stays(capsys, tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 3, 3), nn.ConvTranspose2d(3, 2, 4, 2, 1))
    module[1].weight.requires_grad_(False)
    before = saved(module, values(2, 3, 6, 7), tmp_path, extra={"notes.txt": "mine"})
    report, after = converted(capsys, tmp_path)
    assert [row["layer"] for row in report["layers"]] == ["conv_transpose2d"]
    assert torch.equal(after.state_dict["0.weight"], before.state_dict["0.weight"])
    assert [p.requires_grad for p in after.state_dict.values()] == [p.requires_grad for p in before.state_dict.values()]
    assert str(after.call_spec) == str(before.call_spec)
    kept = {"notes.txt": ""}
    torch.export.load(tmp_path / "m.subpixel.pt2", extra_files=kept)
    assert kept == {"notes.txt": "mine"}
    converted(capsys, tmp_path, "-o", tmp_path / "n.pt2")
    assert (tmp_path / "n.pt2").is_file()


def test_an_example_of_zeros_shows_nothing_and_others_are_drawn(capsys, tmp_path):
    saved(up(), torch.zeros(2, 3, 5, 7), tmp_path, dynamic=False)
    (seen,) = converted(capsys, tmp_path)[0]["runs"]
    assert seen["inputs"] == {"input": [2, 3, 5, 7]}
    assert seen["outputs"]["output 0"][1] > 0


def test_inputs_may_be_given_and_several(capsys, tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = up()

        def forward(self, x, *, scale):
            return {"y": self.up(x) * scale["by"], "x": x}

    torch.export.save(export(whole(Two()), (values(2, 3, 5, 7),), {"scale": {"by": torch.tensor(3.0)}}), tmp_path / "m.pt2")
    assert converted(capsys, tmp_path)[0]["runs"][0]["inputs"] == {"x": [2, 3, 5, 7], "scale_by": []}
    np.savez(tmp_path / "x.npz", x=values(2, 3, 5, 7).numpy(), scale_by=np.float32(2))
    assert len(converted(capsys, tmp_path, "--force", "--inputs", tmp_path / "x.npz")[0]["runs"]) == 1
    np.savez(tmp_path / "x.npz", x=values(2, 3, 5, 7).numpy())
    refused(capsys, tmp_path, 3, "does not run on these inputs", "--force", "--inputs", tmp_path / "x.npz")


# --- what is wrong is not written ---


WRONG = {
    **wrong_layers.WRONG,
    "the channels are in the order of TensorFlow": lambda layer: replace(layer.reordered("DCR"), order="CRD"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_differs_is_status_1_and_is_not_written(capsys, tmp_path, monkeypatch, wrong):
    saved(nn.ConvTranspose2d(3, 2, 4, 2, 1), values(2, 3, 5, 7), tmp_path)
    right = layers.deconv_to_subpixel
    monkeypatch.setattr(layers, "deconv_to_subpixel", lambda *args, **given: WRONG[wrong](right(*args, **given)))
    refused(capsys, tmp_path, 1, "conv_transpose2d")


def test_a_change_of_anything_else_is_refused(capsys, tmp_path, monkeypatch):
    saved(nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.ConvTranspose2d(3, 2, 4, 2, 1)), values(2, 3, 6, 7), tmp_path)
    right = pt2_command.rewrite

    def of_another_node(program, replaced):
        right(program, replaced)
        next(node for node in program.graph.nodes if node.name == "relu").target = torch.ops.aten.abs.default

    def of_a_weight(program, replaced):
        right(program, replaced)
        program.state_dict["0.weight"].data += 1

    for wrong, said in ((of_another_node, "relu was not to be replaced"), (of_a_weight, "0.weight was not to be changed")):
        monkeypatch.setattr(pt2_command, "rewrite", wrong)
        refused(capsys, tmp_path, 1, said)


def test_nothing_is_overwritten_and_nothing_stays_half_written(capsys, tmp_path, monkeypatch):
    saved(up(), values(2, 3, 5, 7), tmp_path)
    (tmp_path / "m.subpixel.pt2").write_bytes(b"mine")
    refused(capsys, tmp_path, 2, "--force overwrites it")

    def interrupted(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pt2_file.os, "replace", interrupted)
        refused(capsys, tmp_path, 2, "No space left", "--force")
    assert (tmp_path / "m.subpixel.pt2").read_bytes() == b"mine"
    assert run(capsys, tmp_path / "m.pt2", "--force")[0] == 0


# --- files that are damaged, or more than a program ---


def altered(folder, change):
    """Change the entries of the archive, by their names without the folder that all are in."""
    with zipfile.ZipFile(folder / "m.pt2") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(entries)).partition("/")[0]
    inside = {name.partition("/")[2]: content for name, content in entries.items()}
    change(inside)
    with zipfile.ZipFile(folder / "m.pt2", "w") as archive:
        for name, content in inside.items():
            archive.writestr(f"{root}/{name}", content)


def in_json(name, change):
    def changed(entries):
        tree = json.loads(entries[name])
        change(tree)
        entries[name] = json.dumps(tree).encode()

    return changed


def test_a_damaged_file_is_status_3_and_one_line(capsys, tmp_path):
    saved(up(), values(2, 3, 5, 7), tmp_path)
    content = (tmp_path / "m.pt2").read_bytes()
    for damaged in (b"", b"PK", b"no program", content[: len(content) // 2], content[:-30], content[200:], bytes(range(256)) * 9):
        (tmp_path / "m.pt2").write_bytes(damaged)
        refused(capsys, tmp_path, 3, "m.pt2")


def test_a_file_of_another_torch_says_which(capsys, tmp_path):
    saved(up(), values(2, 3, 5, 7), tmp_path)

    def older(tree):
        tree["schema_version"]["major"] = 1
        tree["torch_version"] = "2.2.0"

    altered(tmp_path, in_json("models/model.json", older))
    refused(capsys, tmp_path, 3, f"it was written by torch 2.2.0, and this is torch {torch.__version__}")


class Owned:
    def __init__(self, place):
        self.place = str(place)

    def __reduce__(self):
        return open, (self.place, "w")


def test_a_pickle_in_disguise_is_not_run(capsys, tmp_path):
    place = tmp_path / "owned"
    torch.save(Owned(place), tmp_path / "m.pt2")
    refused(capsys, tmp_path, 3, "m.pt2")
    pickled = (tmp_path / "m.pt2").read_bytes()

    def weight(tree):
        tree["config"]["weight"]["use_pickle"] = True

    def opaque(tree):
        tree["config"]["c"] = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}

    for change, said in (
        (in_json("data/weights/model_weights_config.json", weight), "weight is pickled in it"),
        (in_json("data/constants/model_constants_config.json", opaque), "c is pickled in it"),
        (lambda entries: entries.update({"data/sample_inputs/model.pt": pickled}), "its example inputs are more than tensors"),
        (lambda entries: entries.update({"data/weights/model.pt": pickled}), "data/weights/model.pt is pickled"),
        (lambda entries: entries.update({"data/aotinductor/model/m.so": b"ELF"}), "a compiled library"),
        (lambda entries: entries.update({"models/other.json": b"{}"}), "must hold one exported program"),
    ):
        saved(up(), values(2, 3, 5, 7), tmp_path)
        altered(tmp_path, change)
        refused(capsys, tmp_path, 3, said)
    assert not place.exists()


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("expr_str", "__import__('os').system('touch owned')"),
        ("expr_str", "open('owned', 'w')"),
        ("expr_str", "(lambda: 1)()"),
        ("expr_str", "().__class__"),
        ("target", "torch.hub.load"),
        ("as_operator", "torch.hub.load"),
        ("target", "torch.ops.aten.__class__"),
        ("target", "torch.ops.aten.from_file.default"),
        ("target", "_operator.methodcaller"),
        ("target", "math.__loader__"),
        ("guards_code", "open('owned', 'w')"),
        ("guards_code", "L['x'].tofile('owned')"),
        ("guards_code", "L['x'].__class__"),
        ("in_spec", '{"__enum__": true}'),
    ],
)
def test_a_text_that_torch_would_evaluate_is_looked_at_before(key, text):
    assert list(pt2_file._not_plain({"a": [{key: text}]})) == [text]
    assert list(pt2_file._not_plain({key: [text]})) == [text]


def test_what_torch_itself_writes_there_is_let_through():
    for key, text in (
        ("expr_str", "Mul(Integer(2), Symbol('s77', positive=True, integer=True))"),
        ("expr_str", "TruncToInt(Mul(Float('2.0', precision=53), ToFloat(Symbol('s16', positive=True, integer=True))))"),
        ("expr_str", "FloorDiv(s0 + 1, 2)"),
        ("guards_code", "L['x'].size()[0] >= 2"),
        ("guards_code", "2 * L['args'][0].size()[1] != 7"),
        ("target", "torch.ops.aten.conv_transpose2d.input"),
        ("target", "torch.ops.higher_order.cond"),
        ("target", "torch.sym_max"),
        ("target", "_operator.mul"),
    ):
        assert list(pt2_file._not_plain({key: text})) == []
