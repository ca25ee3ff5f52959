"""Eight bits: the super-resolution network and the segmentation network, quantized after training on a few images, against float.

Both are trained in PyTorch and calibrated on images that they were trained on; judged on held-out ones. TFLite and onnxruntime quantize
weights and activations alike; so does torchao, where it is installed beside this package (extra `torchao`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import metrics
import numpy as np
import photographs
import round_trips
import run
import runtimes
import scenes
import segmentation
import super_resolution
from numpy.typing import NDArray

from subpixel_core import ResidualUNetConfig, init_parameters, save_weights

Array = NDArray[np.float32]
Score = Callable[[runtimes.Network], float]
NO_TORCHAO = "torchao is not installed: pip install 'subpixel-spec[torchao]'"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, quantize, judge, and write the figures."""
    given = run.parser(__doc__, steps=300, frameworks=False).parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {"steps": given.steps, "torchao": _torchao_version() or NO_TORCHAO}
    for name, network in {"super_resolution": enlarging, "segmentation": segmenting}.items():
        weights, seen, example, scores = network(given.out, given.steps, short=given.short)
        files = exported(weights, given.out / f"quantization_{name}", seen)
        networks = {kind: network for kind, (_, network) in files.items()}
        times = runtimes.milliseconds(networks, example, 2 if given.short else runtimes.REPEATS)
        record[name] = {
            "figures": {
                kind: {
                    **{what: round(score(network), 4) for what, score in scores.items()},
                    "bytes": files[kind][0].stat().st_size,
                    "milliseconds": times[kind],
                }
                for kind, network in networks.items()
            },
            "example": example.shape,
        }
    run.write(given.out / "quantization.json", record, run.arguments_of(arguments))


def enlarging(out: Path, steps: int, *, short: bool) -> tuple[Path, list[Array], Array, dict[str, Score]]:
    """Train super-resolution at scale 2.

    Returns its file, what it is calibrated on, what it is timed on, and what it is judged by: the mean PSNR of held-out photographs.
    """
    settings = super_resolution.SHORT if short else super_resolution.FULL
    weights = out / "quantization_super_resolution.safetensors"
    round_trips.train("torch", weights, settings, steps)
    truths = [super_resolution.judged(name, 2, settings.part) for name in photographs.HELD_OUT]
    smalls = [photographs.reduced(truth, 2) for truth in truths]
    bicubics = [photographs.enlarged(small, 2) for small in smalls]
    inputs = [photographs.network_input(small)[np.newaxis] for small in smalls]

    def psnr(network: runtimes.Network) -> float:
        restored = [photographs.restored(network(x)[0], bicubic) for x, bicubic in zip(inputs, bicubics, strict=True)]
        return float(np.mean([metrics.psnr(*pair) for pair in zip(restored, truths, strict=True)]))

    return weights, round_trips.calibration(settings), inputs[1], {"psnr": psnr}


def segmenting(out: Path, steps: int, *, short: bool) -> tuple[Path, list[Array], Array, dict[str, Score]]:
    """Train segmentation likewise; it is judged by the intersection over union of all held-out scenes."""
    settings = segmentation.SHORT if short else segmentation.FULL
    start, weights = (out / f"quantization_segmentation{end}.safetensors" for end in ("_start", ""))
    config = ResidualUNetConfig(in_channels=1, out_channels=1, widths=settings.widths, norm="group")
    save_weights(start, init_parameters(config, np.random.default_rng(run.SEED)), config)
    batches = scenes.batches(steps=steps, size=settings.batch, extent=settings.extent, seed=run.SEED)
    with run.watched("segmentation", steps) as (_, each_step):
        options = {"loss": "cross entropy", "learning_rate": settings.learning_rate, "steps": steps}
        run.chosen("torch")["torch"].train_unet(start, weights, batches, each_step=each_step, **options)
    images, masks = scenes.scenes("held out", number=settings.held_out, extent=settings.extent, seed=run.SEED)
    seen = [scenes.scenes("trained", number=settings.batch, extent=settings.extent, seed=run.SEED + batch)[0] for batch in range(4)]

    def iou(network: runtimes.Network) -> float:
        return metrics.iou(np.concatenate([network(image[np.newaxis]) for image in images]) > 0, masks > 0.5)  # logits

    return weights, seen, images[:1], {"iou": iou}


def exported(weights: Path, stem: Path, seen: Sequence[Array]) -> dict[str, tuple[Path, runtimes.Network]]:
    """Return the network of a weight file in every runtime, in float and in int8, each with its file."""
    import in_torch

    import subpixel_tensorflow
    import subpixel_torch

    model = subpixel_tensorflow.load_weights(weights)
    lite, lite8, onnx, onnx8, program8 = (stem.with_suffix(end) for end in (".tflite", ".int8.tflite", ".onnx", ".int8.onnx", ".int8.pt2"))
    subpixel_tensorflow.to_tflite(model, lite)
    subpixel_tensorflow.to_tflite(model, lite8, int8=True, calibration=seen)
    with runtimes.quiet():
        subpixel_torch.to_onnx(subpixel_torch.load_weights(weights), in_torch.channels_first(seen[0]), onnx)
    runtimes.quantize_onnx(onnx, onnx8, seen)
    files = {
        "torch": (weights, round_trips.torch_network(weights)),
        "TFLite": (lite, runtimes.tflite(lite)),
        "TFLite int8": (lite8, runtimes.tflite(lite8)),
        "onnxruntime": (onnx, runtimes.onnx(onnx)),
        "onnxruntime int8": (onnx8, runtimes.onnx(onnx8)),
    }
    if find_spec("torchao"):
        files["torchao int8"] = (program8, quantize_torch(weights, program8, seen))
    return files


def quantize_torch(weights: Path, target: Path, seen: Sequence[Array]) -> runtimes.Network:
    """Quantize with torchao: the program of torch.export, prepared, shown the images, converted, and written.

    What is quantized are the convolutions, as torchao's quantizer for x86 has it. Without a compiler, as here, each computes in float
    between what quantizes and dequantizes: the values are those of int8, the time is not.
    """
    import in_torch
    import torch
    from torch.nn import functional as F
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    import subpixel_torch

    model = subpixel_torch.load_weights(weights).eval()
    example = in_torch.channels_first(seen[0])
    shapes = (dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC),)
    program = torch.export.export(model, (example,), dynamic_shapes=shapes).module()
    sources = {torch.ops.aten.conv2d.default: F.conv2d, torch.ops.aten.relu.default: F.relu}
    for node in program.graph.nodes:  # the quantizer looks for what a node was traced from, which only strict tracing notes
        if node.target in sources:
            node.meta["source_fn_stack"] = [(node.name, sources[node.target])]
    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(program, quantizer)
    for x in seen:
        prepared(in_torch.channels_first(x))
    converted = convert_pt2e(prepared)
    if not any("quantize_per_channel" in str(node.target) for node in converted.graph.nodes):
        raise RuntimeError("torchao must quantize the convolutions; it left them as they are")
    torch.export.save(torch.export.export(converted, (example,), dynamic_shapes=shapes), target)
    return partial(in_torch.applied, converted)


def _torchao_version() -> str | None:
    if not find_spec("torchao"):
        return None
    from importlib.metadata import version

    return version("torchao")


if __name__ == "__main__":
    main()
