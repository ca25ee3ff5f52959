"""Models that nobody here wrote, as PyTorch's exporter writes them to ONNX, through the command."""

import json
import warnings

import numpy as np
import pytest

pytest.importorskip("monai")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

import onnx
import torch
from monai.networks.nets import BasicUNet, UNet
from torch import nn

from subpixel_conformance import cli

from .onnx_models import operators

FEATURES = (4, 4, 8, 8, 16, 4)
ANY = torch.export.Dim.AUTO


def decoder():
    layers = [nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(8, 4, 3, padding=1), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.ConvTranspose2d(4, 4, 4, 2, 1, groups=2), nn.ConvTranspose2d(4, 2, 3, (2, 1), 1, output_padding=(1, 0))
    )


NETWORKS = {
    "decoder": (decoder, (2, 8, 6, 7), 4, {"ConvTranspose", "Resize"}),
    "decoder-1d": (lambda: nn.Sequential(nn.ConvTranspose1d(4, 3, 4, 2, 1), nn.ReLU()), (2, 4, 9), 1, {"ConvTranspose"}),
    "monai-unet": (lambda: UNet(2, 1, 2, (4, 8, 16), (2, 2), num_res_units=1), (2, 1, 16, 24), 2, {"ConvTranspose"}),
    "monai-basic-unet": (lambda: BasicUNet(2, 1, 2, features=FEATURES, upsample="deconv"), (2, 1, 32, 48), 4, {"ConvTranspose"}),
    "monai-basic-unet-3d": (lambda: BasicUNet(3, 1, 2, features=FEATURES, upsample="deconv"), (2, 1, 16, 32, 16), 4, {"ConvTranspose"}),
}


def exported(network, shape, path):
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = torch.zeros(shape)
        free = ({axis: ANY for axis in range(len(shape)) if axis != 1},)
        torch.onnx.export(network().eval(), (example,), path, dynamo=True, dynamic_shapes=free, external_data=False, verbose=False)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_of_an_exported_network_is_replaced(name, tmp_path, capsys):
    network, shape, layers, gone = NETWORKS[name]
    exported(network, shape, tmp_path / "m.onnx")
    capsys.readouterr()
    assert cli.main(["convert", str(tmp_path / "m.onnx"), "--all", "--report", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["layers"]) == layers
    assert all(row["form"] for row in report["layers"])
    assert len(report["runs"]) == 2
    assert all(0 <= ratio <= 1 for run in report["runs"] for ratio in run["layers"].values())
    far, large = zip(*(output for run in report["runs"] for output in run["outputs"].values()), strict=True)
    assert np.isfinite(far).all()
    assert min(large) > 0
    result = onnx.load(tmp_path / "m.subpixel.onnx")
    onnx.checker.check_model(result)
    assert not gone.intersection(operators(result))
    assert all(len(entry.ints) <= 5 for node in result.graph.node if node.op_type == "Transpose" for entry in node.attribute)


def test_a_bilinear_network_is_left_with_the_reason(tmp_path, capsys):
    exported(lambda: BasicUNet(2, 1, 2, features=FEATURES, upsample="nontrainable"), (2, 1, 32, 48), tmp_path / "m.onnx")
    capsys.readouterr()
    assert cli.main(["convert", str(tmp_path / "m.onnx"), "--report", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (len(report["layers"]), report["written"]) == (4, [])
    assert all("mode must be 'nearest'" in row["reason"] for row in report["layers"])
