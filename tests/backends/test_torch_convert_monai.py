"""Networks that nobody here wrote, MONAI's, converted: every replaced layer within the bound of CV-003, and the whole network with it."""

import pytest

torch = pytest.importorskip("torch")
nets = pytest.importorskip("monai.networks.nets", reason="MONAI is not installed")

from torch import nn  # noqa: E402

from subpixel_torch import ExactSubpixelConv, convert  # noqa: E402

FEATURES = (4, 4, 8, 8, 16, 4)
NETWORKS = {  # name: (network, shape of its input, layers to be converted)
    "UNet, 2-D": (lambda: nets.UNet(2, 1, 2, (4, 8, 16), (2, 2), num_res_units=1), (1, 1, 32, 16), 2),
    "UNet, 3-D": (lambda: nets.UNet(3, 1, 2, (4, 8, 16), (2, 2), num_res_units=2), (1, 1, 16, 16, 8), 2),
    "BasicUNet, 2-D": (lambda: nets.BasicUNet(2, 1, 2, FEATURES, upsample="deconv"), (1, 1, 32, 32), 4),
    "BasicUNet, 3-D": (lambda: nets.BasicUNet(3, 1, 2, FEATURES, upsample="deconv"), (1, 1, 32, 32, 16), 4),
    "DynUNet": (lambda: nets.DynUNet(2, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2], filters=[4, 8, 16]), (1, 1, 16, 16), 2),
    "SegResNet": (lambda: nets.SegResNet(2, init_filters=8, upsample_mode="deconv"), (1, 1, 16, 16), 3),
    "VNet": (lambda: nets.VNet(spatial_dims=2, in_channels=1, out_channels=2), (1, 1, 16, 16), 4),
    "AttentionUnet": (lambda: nets.AttentionUnet(2, 1, 2, (4, 8, 16), (2, 2)), (1, 1, 16, 16), 2),
    "UNETR": (
        lambda: nets.UNETR(1, 2, (32, 32), feature_size=4, hidden_size=24, mlp_dim=16, num_heads=2, spatial_dims=2),
        (1, 1, 32, 32),
        10,
    ),
    "AutoEncoder": (lambda: nets.AutoEncoder(2, 1, 1, (4, 8), (2, 2)), (1, 1, 16, 16), 2),
}


def inputs_of(model, paths, x):
    """Return what goes into the modules at these paths."""
    seen = {}
    hooks = [
        model.get_submodule(path).register_forward_pre_hook(lambda _, arguments, path=path: seen.update({path: arguments[0]}))
        for path in paths
    ]
    model(x)
    for hook in hooks:
        hook.remove()
    return seen


def within_the_bound(layer, same, x):
    """Check that two layers differ by no more than both may from the exact result: 2 (n u S + u |R|), S the sum of absolute values."""
    expected, actual = layer(x), same(x)
    terms = same.weight[0].numel() + 1
    parameters = {name: value.clone() for name, value in layer.named_parameters()}
    for value in layer.parameters():
        value.abs_()
    absolute = layer(x.abs())
    layer.load_state_dict(parameters)
    u = torch.finfo(x.dtype).eps / 2
    assert ((actual - expected).abs() <= 2 * (terms * u * absolute + u * expected.abs())).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_monai_computes_the_same_converted(name):
    make, shape, number = NETWORKS[name]
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        model, x = make().eval(), torch.randn(shape)
        single = model(x)
        model, x = model.double(), x.double()
        converted, report = convert(model)
        assert (len(report.converted), len(report.left)) == (number, 0)
        assert not any(isinstance(module, nn.modules.conv._ConvTransposeNd) for module in converted.modules())
        paths = [row.layer for row in report.rows]
        for path, given in inputs_of(model, paths, x).items():
            same = converted.get_submodule(path)
            assert isinstance(same, ExactSubpixelConv)
            within_the_bound(model.get_submodule(path), same, given)
        double, again = model(x), converted(x)
        assert (again - double).abs().max() < 1e-3 * (single.double() - double).abs().max()  # as float64 is beside float32
    torch.set_num_threads(threads)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_network_that_upsamples_bilinearly_is_left_with_the_reason(ndim):
    model = nets.BasicUNet(ndim, 1, 2, FEATURES, upsample="nontrainable")
    converted, report = convert(model)
    assert report.converted == ()
    assert len(report.left) == 4
    for row in report.left:
        assert row.reason.startswith("mode must be 'nearest', for any other resize continues the border with its pixels")
        assert row.reason.endswith({2: "got 'bilinear'", 3: "got 'trilinear'"}[ndim])
    assert str(converted) == str(model)
