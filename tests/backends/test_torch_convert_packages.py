"""Networks of further packages that nobody here wrote, converted: each package where it is installed, as `make peers` installs them."""

from importlib import import_module

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from subpixel_torch import ExactSubpixelConv, convert  # noqa: E402


def u_net_of_nnu_net(architectures):
    return architectures.PlainConvUNet(
        1, 3, (4, 8, 16), nn.Conv2d, 3, (1, 2, 2), 1, 2, 1, conv_bias=True, norm_op=nn.InstanceNorm2d, nonlin=nn.LeakyReLU
    )


def residual_u_net_of_nnu_net(architectures):
    return architectures.ResidualEncoderUNet(
        1, 3, (4, 8, 16), nn.Conv3d, 3, (1, 2, 2), 1, 2, 1, conv_bias=True, norm_op=nn.InstanceNorm3d, nonlin=nn.LeakyReLU
    )


def link_net(module):
    return module.LinkNet3d(c_start=8, layers=3)


def u_net_that_resizes(apex):
    blocks = [apex.XBlock(channels=channels, factor=2, items=[apex.ResnetItem]) for channels in (8, 16)]
    return apex.XUNet(dim=1, in_channels=2, blocks=blocks, resnet_groups=4, upsample_mode="nearest")


NETWORKS = {  # name: (module, network, shape of its input, layers to be converted); what a-unet resizes cannot be traced, so it is left
    "nnU-Net's, 2-D": ("dynamic_network_architectures.architectures.unet", u_net_of_nnu_net, (1, 1, 16, 16), 2),
    "nnU-Net's residual one, 3-D": ("dynamic_network_architectures.architectures.unet", residual_u_net_of_nnu_net, (1, 1, 8, 16, 8), 2),
    "LinkNet, 3-D": ("unet3d.linknet3d", link_net, (1, 1, 32, 32, 32), 5),
    "a-unet, 1-D, with resizes": ("a_unet.apex", u_net_that_resizes, (1, 2, 32), 0),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_a_further_package_computes_the_same_converted(name):
    module, make, shape, number = NETWORKS[name]
    pytest.importorskip(module, reason=f"{module.partition('.')[0]} is not installed: see `make peers`")
    torch.manual_seed(0)
    with torch.no_grad():
        model, x = make(import_module(module)).eval(), torch.randn(shape)
        single = model(x)
        model, x = model.double(), x.double()
        converted, report = convert(model)
        assert len(report.converted) == number
        assert all("is not proved to be all that reads" in row.reason for row in report.left)
        assert len(report.left) == (0 if number else 2)
        assert sum(isinstance(layer, ExactSubpixelConv) for layer in converted.modules()) == number
        assert not any(isinstance(layer, nn.modules.conv._ConvTransposeNd) for layer in converted.modules())
        double, again = model(x), converted(x)
        assert (again - double).abs().max() <= 1e-3 * (single.double() - double).abs().max()  # as float64 is beside float32
