"""The examples of docs/examples: each runs in its short form, in all three frameworks, and the documentation says what the records say."""

import gzip
import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

for package in ("torch", "tensorflow", "jax", "optax", "skimage", "sklearn", "PIL", "matplotlib", "rich"):
    pytest.importorskip(package)

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
sys.path.insert(0, str(EXAMPLES))

import autoencoder  # noqa: E402  # after the path
import digits  # noqa: E402
import in_jax  # noqa: E402
import in_tensorflow  # noqa: E402
import in_torch  # noqa: E402
import metrics  # noqa: E402
import moving  # noqa: E402
import photographs  # noqa: E402
import quantization  # noqa: E402
import round_trips  # noqa: E402
import run  # noqa: E402
import scenes  # noqa: E402
import segmentation  # noqa: E402
import super_resolution  # noqa: E402
import tables  # noqa: E402

import subpixel_core as core  # noqa: E402

# Keras 3.15 converts its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")

MAINS = {"super_resolution": super_resolution.main, "segmentation": segmentation.main, "autoencoder": autoencoder.main}
STEPS = 40

TOGETHER = 1e-4
"""Between two frameworks the sums of one step differ by some 1e-6 of the loss, rounding of float32. Adam divides a gradient by its size, so
a gradient that is zero but for rounding moves its parameter by the whole learning rate either way; such a parameter changes the loss
little. Measured in the first five steps: 4e-7 to 4e-5. What is really different is seen: 2e-4 to 4e-4 with the epsilon of Keras' Adam as
it comes, 4e-2 with the derivative of `jnp.abs`, which is 1 at 0."""


# --- the short forms ---


@pytest.fixture(scope="module", autouse=True)
def one_thread_of_torch():
    """For networks this small; and where other processes share the cores, two threads wait for each other."""
    threads = in_torch.torch.get_num_threads()
    in_torch.torch.set_num_threads(1)
    yield
    in_torch.torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module", params=MAINS)
def record(request, out):
    MAINS[request.param](["--short", "--steps", str(STEPS), "--out", str(out)])
    return json.loads((out / f"{request.param}.json").read_text(encoding="utf-8"))


def trained(record):
    return [part for part in (record.get("x2"), record.get("x4"), record) if part and "trainings" in part]


def test_the_loss_falls_and_the_frameworks_stay_together(record, out):
    for part in trained(record):
        losses = {framework: training["loss"] for framework, training in part["trainings"].items()}
        assert list(losses) == ["torch", "tensorflow", "jax"]
        for values in losses.values():
            assert len(values) == STEPS
            assert values[-1] < 0.95 * values[0]
        assert 0 < part["first_steps"] == metrics.spread(losses, run.FIRST_STEPS) < TOGETHER


def test_it_writes_pictures_and_says_where_it_ran(record, out):
    name = record["command"].split()[1].removeprefix("docs/examples/").removesuffix(".py")
    pictures = sorted(out.glob(f"{name}*.png"))
    assert len(pictures) == (4 if name == "super_resolution" else 2)
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert "-core CPU" in record["machine"]
    assert record["jax"] == in_jax.jax.__version__
    tables.TABLES[name](record)


@pytest.mark.parametrize("record", ["super_resolution"], indirect=True)
def test_a_file_trained_in_one_framework_is_read_by_all(record, out):
    for scale in ("x2", "x4"):
        assert all(apart < 1e-5 for apart in record[scale]["exchange"].values())
        config = core.load_weights(out / f"super_resolution_{scale}_jax.safetensors")[1]
        assert config == core.load_weights(out / f"super_resolution_{scale}_start.safetensors")[1]


def test_absolute_losses_have_the_derivative_zero_at_zero():
    zero = np.zeros((1, 1), np.float32)
    y = in_torch.torch.zeros(1, 1, requires_grad=True)
    in_torch.LOSSES["absolute"](y, in_torch.torch.zeros(1, 1)).backward()
    assert y.grad.item() == 0
    assert in_jax.jax.grad(in_jax.LOSSES["absolute"])(zero, zero).item() == 0
    variable = in_tensorflow.keras.Variable(zero)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = in_tensorflow.LOSSES["absolute"]()(zero, variable)
    assert tape.gradient(loss, variable.value).numpy().item() == 0


# --- the options ---


@pytest.mark.parametrize("name", MAINS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--framework", "theano"], "invalid choice: 'theano'"),
        (["--steps", "0"], "must be 1 or more; got 0"),
        (["--steps", "many"], "invalid _steps value: 'many'"),
        (["--sped-up"], "unrecognized arguments: --sped-up"),
    ],
)
def test_unknown_options_are_refused(name, arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        MAINS[name](arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_one_framework_alone_is_trained_and_drawn(tmp_path):
    autoencoder.main(["--framework", "torch", "--short", "--steps", "2", "--out", str(tmp_path)])
    record = json.loads((tmp_path / "autoencoder.json").read_text(encoding="utf-8"))
    assert list(record["trainings"]) == ["torch"]
    assert (tmp_path / "autoencoder_loss.png").exists()


# --- the data ---


def test_small_photographs_come_from_the_antialiased_filter():
    stripes = np.zeros((24, 36, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than the small photograph can show: a grey, where taking every second pixel gives white
    small = photographs.reduced(stripes, 2)
    assert small.shape == (12, 18, 3)
    assert np.ptp(small[:, 2:-2].astype(int)) <= 1
    np.testing.assert_allclose(small[:, 2:-2], 127.5, atol=10)


def test_patches_lie_over_each_other():
    (x, y), (again, _) = (next(photographs.batches(2, steps=1, size=24, patch=16, seed=seed)) for seed in (3, 3))
    np.testing.assert_array_equal(x, again)
    assert (x.shape, y.shape) == ((24, 16, 16, 3), (24, 32, 32, 3))
    # What bicubic misses is most where the small patch has details, pixel by pixel; a patch from elsewhere knows nothing of it.
    strength = np.abs(y).reshape(24, 16, 2, 16, 2, 3).mean(axis=(2, 4, 5)).reshape(24, -1)
    details = np.abs(x).mean(axis=-1).reshape(24, -1)
    turned = np.abs(x).mean(axis=-1).transpose(0, 2, 1)[:, ::-1].reshape(24, -1)
    here, elsewhere = (np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(strength, other, strict=True)]) for other in (details, turned))
    assert here > 0.2 > elsewhere + 0.1


def test_nothing_held_out_is_trained_on():
    assert not set(photographs.TRAINED) & set(photographs.HELD_OUT)
    for of in (scenes.DIGITS, scenes.COLUMNS):
        assert of["trained"].stop <= of["held out"].start


def test_restoring_what_bicubic_misses_gives_the_photograph():
    image = photographs.cropped(photographs.photograph("chelsea")[:63, :50], 4)
    bicubic = photographs.enlarged(photographs.reduced(image, 4), 4)
    assert metrics.psnr(bicubic, image) < 40
    np.testing.assert_array_equal(photographs.restored(photographs.network_target(image, bicubic), bicubic), image)


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"), [([1, 1, 0, 0], [0, 1, 1, 0], 1 / 3), ([0, 0], [0, 0], 1), ([1, 0], [0, 1], 0)]
)
def test_iou(predicted, truth, expected):
    assert metrics.iou(np.array(predicted, bool), np.array(truth, bool)) == expected


# --- MNIST's files ---


def idx(images, kind=8):
    return struct.pack(f">BBBB{images.ndim}I", 0, 0, kind, images.ndim, *images.shape) + images.tobytes()


def iota(n, extent=28):
    return (np.arange(n * extent * extent) % 251).astype(np.uint8).reshape(n, extent, extent)


@pytest.mark.parametrize("compressed", [False, True])
def test_mnist_is_read_from_its_files(tmp_path, compressed):
    for part, images in (("train", iota(5)), ("t10k", iota(2)[::-1])):
        content = idx(images)
        name = f"{part}-images-idx3-ubyte"
        (tmp_path / (f"{name}.gz" if compressed else name)).write_bytes(gzip.compress(content) if compressed else content)
    train, held_out = digits.mnist(tmp_path)
    np.testing.assert_array_equal(train, iota(5)[..., np.newaxis] / np.float32(255), strict=True)
    np.testing.assert_array_equal(held_out, iota(2)[::-1, ..., np.newaxis] / np.float32(255), strict=True)


def test_a_sixth_is_held_out_where_there_is_one_file(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(iota(12)))
    train, held_out = digits.mnist(tmp_path)
    np.testing.assert_array_equal(np.concatenate([train, held_out]), iota(12)[..., np.newaxis] / np.float32(255), strict=True)
    assert len(held_out) == 2


def test_the_autoencoder_trains_on_mnist(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(iota(60)))
    autoencoder.main(["--mnist", str(tmp_path), "--framework", "torch", "--short", "--steps", "2", "--out", str(tmp_path)])
    record = json.loads((tmp_path / "autoencoder.json").read_text(encoding="utf-8"))
    assert record["data"] == "MNIST"
    assert record["settings"]["batch"] == 50


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be an IDX file of unsigned bytes, starting with 00 00 08; got no bytes"),
        (b"\x89PNG\r\n", "starting with 00 00 08; got 89 50 4e 47"),
        (idx(iota(2), kind=13), "starting with 00 00 08; got 00 00 0d 03"),
        (idx(iota(2))[:10], "one extent for each of 3 axes; got 1"),
        (idx(iota(2))[:-1], r"must hold 1568 values after 16 bytes, for the shape \(2, 28, 28\); got 1567"),
        (idx(iota(2)) + b"\0", "got 1569"),
        (idx(iota(2, 8)), r"must hold images of 28 x 28 pixels; got an array of shape \(2, 8, 8\)"),
        (gzip.compress(idx(iota(2)), mtime=0)[:-9], "must be a whole gzip file; got a damaged one"),
        (gzip.compress(idx(iota(2)), mtime=0)[:30] + b"\xff" * 30, "must be a whole gzip file; got a damaged one"),
    ],
    ids=["empty", "foreign", "kind", "header", "short", "long", "small", "gzip-short", "gzip-broken"],
)
def test_damaged_files_are_refused_by_name(tmp_path, content, message):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=message) as refused:
        digits.mnist(tmp_path)
    assert str(tmp_path / "train-images-idx3-ubyte") in str(refused.value)


def test_a_folder_without_mnist_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must hold train-images-idx3-ubyte or train-images-idx3-ubyte\.gz"):
        digits.mnist(tmp_path)


# --- the article ---


def article_phase_shift(x, r):
    """The article's function with NumPy's names, and with an axis for `squeeze`."""
    n, a, b, channels = x.shape
    x = x.reshape(n, a, b, r, r, channels // r**2).transpose(0, 1, 2, 4, 3, 5)
    x = np.concatenate([part.squeeze(1) for part in np.split(x, a, axis=1)], axis=2)
    x = np.concatenate([part.squeeze(1) for part in np.split(x, b, axis=1)], axis=2)
    return x.reshape(n, a * r, b * r, channels // r**2)


def test_its_phase_shift_is_the_order_drc():
    x = np.arange(2 * 3 * 4 * 12).reshape(2, 3, 4, 12)
    np.testing.assert_array_equal(article_phase_shift(x, 2), core.phase_shift(x, 2, order="DRC"), strict=True)
    coloured = np.concatenate([article_phase_shift(part, 2) for part in np.split(x, 3, axis=3)], axis=3)
    np.testing.assert_array_equal(coloured, core.phase_shift(x, 2, order="RCD"), strict=True)


def test_the_autoencoder_is_the_article_s_in_every_framework():
    params = autoencoder.initial_parameters(1, replicated=False)
    images = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)
    ignored = {"learning_rate": 0.0, "steps": 1, "each_step": lambda loss: None}
    outputs = [
        module.train_autoencoder(params, digits.batches(images, steps=1, size=2, seed=0), **ignored)(images)
        for module in (in_torch, in_tensorflow, in_jax)
    ]

    def relu(x):
        return np.maximum(x, 0)

    def pooled(x):
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))

    y = images.astype(np.float64)
    for name in ("conv1", "conv2"):
        y = pooled(relu(core.conv(y, *params[name].values())))
    y = y.reshape(2, -1) @ params["code"]["kernel"]
    y = relu(y @ params["dense"]["kernel"]).reshape(2, 7, 7, 32)
    for name in ("subpixel1", "subpixel2"):
        y = article_phase_shift(relu(core.conv(y, *params[name].values())), 2)
    assert y.std() > 0.1
    for output in outputs:
        np.testing.assert_allclose(output, y, rtol=1e-4, atol=1e-5)


# --- the document ---


def test_the_tables_of_the_document_say_what_the_records_say():
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [name for _, name, _ in tables.BLOCK.findall(text)] == list(tables.TABLES)
    assert tables.rendered(text, run.RESULTS) == text


def test_the_pictures_of_the_document_are_there_and_small():
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    guide = (EXAMPLES.parent / "moving.md").read_text(encoding="utf-8")
    pictures = sorted(run.RESULTS.glob("*.png"))
    assert len(pictures) == 11
    for picture in pictures:
        assert f"(results/{picture.name})" in text or f"(examples/results/{picture.name})" in guide
        assert picture.stat().st_size < 300_000


def test_the_records_hold_what_was_to_be_shown():
    records = {name: json.loads((run.RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in MAINS}
    for record in records.values():
        assert "--short" not in record["command"]
        assert all(list(part["trainings"]) == list(run.FRAMEWORKS) for part in trained(record))
        assert all(part["first_steps"] < TOGETHER for part in trained(record))
    for scale in ("x2", "x4"):
        bicubic, *ours = (records["super_resolution"][scale]["figures"][method] for method in ("bicubic", *run.FRAMEWORKS))
        for figures in ours:
            assert set(figures) == {*photographs.HELD_OUT, "mean"}
            assert all(figures[name][what] > bicubic[name][what] for name in bicubic for what in ("psnr", "ssim"))
    assert all(of["iou"] >= 0.9 for of in records["segmentation"]["figures"].values())
    mean = records["autoencoder"]["figures"]["mean digit"]
    assert all(records["autoencoder"]["figures"][framework] < mean / 5 for framework in run.FRAMEWORKS)


def test_eight_bits_and_runtimes_keep_what_was_trained():
    records = {name: json.loads((run.RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in ("round_trips", "quantization")}
    assert not any("--short" in record["command"] for record in records.values())
    for steps in records["round_trips"]["trips"].values():
        (_, trained), (_, read), (_, exported), (name, quantized) = steps.items()
        assert records["round_trips"]["bicubic"] + 0.5 < trained["psnr"]
        assert max(read["apart"], exported["apart"]) < 1e-5
        assert trained["psnr"] == pytest.approx(quantized["psnr"], abs=0.1)
        assert name.endswith("int8")
        assert quantized["bytes"] < 0.5 * exported["bytes"]
    for network, what, allowed in (("super_resolution", "psnr", 0.1), ("segmentation", "iou", 0.02)):
        figures = records["quantization"][network]["figures"]
        torchao = set() if records["quantization"]["torchao"] == quantization.NO_TORCHAO else {"torchao int8"}
        assert set(figures) == {"torch", "TFLite", "TFLite int8", "onnxruntime", "onnxruntime int8"} | torchao
        assert all(of[what] == pytest.approx(figures["torch"][what], abs=allowed) for of in figures.values())


@pytest.mark.filterwarnings("ignore")  # torchao's own
def test_torchao_quantizes_the_convolutions_and_leaves_the_shift_in_float(tmp_path):
    pytest.importorskip("torchao", reason="torchao is not installed")
    torch, config = in_torch.torch, core.ResidualUNetConfig(in_channels=1, widths=(8, 16), norm="none")
    core.save_weights(tmp_path / "w", core.init_parameters(config, np.random.default_rng(0)), config)
    seen = [np.random.default_rng(seed).normal(size=(2, 16, 12, 1)).astype(np.float32) for seed in range(3)]
    quantized = quantization.quantize_torch(tmp_path / "w", tmp_path / "q.pt2", seen)
    wanted = round_trips.torch_network(tmp_path / "w")(seen[0])
    apart = np.abs(quantized(seen[0]) - wanted).max() / np.ptp(wanted)
    assert 0 < apart < 0.05
    graph = torch.export.load(tmp_path / "q.pt2").graph
    (shift,) = [node for node in graph.nodes if "pixel_shuffle" in str(node.target)]
    assert "conv2d" in str(shift.args[0].target)
    assert "dequantize_per_channel" in str([node.target for node in graph.nodes])


# --- round trips and eight bits ---


def drawn(framework, end, settings, steps):
    """Write a network that is not trained, as those of the other examples are, in the place of `round_trips.train`."""
    config = core.ResidualUNetConfig(widths=settings.widths, output_scale=2, norm="none")
    core.save_weights(end, core.init_parameters(config, np.random.default_rng(steps)), config)


def test_both_trips_are_made_and_drawn(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(round_trips, "train", drawn)
    round_trips.main(["--short", "--steps", "2", "--out", str(tmp_path)])
    record = json.loads((tmp_path / "round_trips.json").read_text(encoding="utf-8"))
    for steps in record["trips"].values():
        (_, trained), (_, read), (_, exported), (_, quantized) = steps.items()
        assert max(read["apart"], exported["apart"]) < 1e-5 < quantized["apart"] < 0.5
        assert trained["psnr"] == pytest.approx(quantized["psnr"], abs=0.5)
    assert (tmp_path / "round_trips.png").read_bytes().startswith(b"\x89PNG")
    tables.TABLES["round_trips"](record)


def test_both_networks_are_quantized_in_every_runtime(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(round_trips, "train", drawn)
    quantization.main(["--short", "--steps", "2", "--out", str(tmp_path)])
    record = json.loads((tmp_path / "quantization.json").read_text(encoding="utf-8"))
    for network, what, allowed in (("super_resolution", "psnr", 0.2), ("segmentation", "iou", 0.02)):
        figures = record[network]["figures"]
        assert list(figures)[:5] == ["torch", "TFLite", "TFLite int8", "onnxruntime", "onnxruntime int8"]
        for kind, of in figures.items():
            assert of[what] == pytest.approx(figures["torch"][what], abs=allowed if kind.endswith("int8") else 1e-3)
        assert all(figures[f"{runtime} int8"]["bytes"] < figures[runtime]["bytes"] for runtime in ("TFLite", "onnxruntime"))
    tables.TABLES["quantization"](record)


# --- a decoder moved over ---


def test_the_converted_decoder_puts_out_the_same_and_the_four_forms_are_equal(tmp_path):
    params = moving.initial_parameters(0)
    layers = {name: moving.from_conv_transpose(**params[name], strides=(2, 2), padding="SAME") for name in moving.UPSAMPLING}
    code = np.random.default_rng(0).integers(0, 9, (2, 7, 7, 32)).astype(np.float32)
    before, after = np.asarray(moving.deconvolution_decoder(params, code)), np.asarray(moving.subpixel_decoder(layers, code))
    assert np.abs(before).max() > 1
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.abs(before).max())
    assert set(moving.draw_forms(tmp_path / "forms.png").values()) == {0.0}
    assert (tmp_path / "forms.png").stat().st_size > 10_000
