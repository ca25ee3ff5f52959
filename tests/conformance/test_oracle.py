"""The oracle: literal vectors from the specification's tables, and independence from what it judges."""

import ast
from pathlib import Path

import numpy as np
import pytest

import subpixel_conformance
from subpixel_conformance import oracle

PACKAGE = Path(subpixel_conformance.__file__).parent
FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "subpixel_torch", "subpixel_tensorflow", "subpixel_jax"}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


JUDGING = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if not {"adapters", "convert"} & set(path.relative_to(PACKAGE).parts)  # what is judged, and a command that judges nothing
    and (
        len(path.relative_to(PACKAGE).parts) > 1
        or path.stem
        in {
            "oracle",
            "oracle_equivalence",
            "oracle_unet",
            "weight_file",
            "compare",
            "identify",
            "case",
            "judge",
            "nulls",
            "selftest",
            "adapter",
            "result",
        }
    )
]


@pytest.mark.parametrize("path", JUDGING, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_judges_never_imports_what_is_judged(path):
    assert not imported(path) & {"subpixel_core"}


@pytest.mark.parametrize("path", sorted(set(PACKAGE.rglob("*.py"))), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_frameworks_are_imported_by_adapters_only(path):
    within = path.relative_to(PACKAGE).parts
    if not {"adapters", "convert"} & set(within) and path.name != "child.py":  # the command that converts, the process that judges
        assert not imported(path) & FRAMEWORKS


def test_only_the_reference_adapter_imports_the_core():
    importing = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "adapters").rglob("*.py") if "subpixel_core" in imported(path)}
    assert importing == {"adapters/reference.py"}


def test_the_import_check_can_fail():
    assert imported(PACKAGE / "adapters" / "reference.py") & {"subpixel_core"}


@pytest.mark.parametrize(
    ("order", "block"),
    [("DCR", [[0, 2], [4, 6]]), ("CRD", [[0, 1], [2, 3]]), ("DRC", [[0, 4], [2, 6]]), ("RCD", [[0, 2], [1, 3]])],
)
def test_shift_of_one_pixel_is_the_table_of_the_specification(order, block):
    assert oracle.phase_shift(np.arange(8).reshape(1, 1, 8), (2, 2), order=order)[..., 0].tolist() == block


@pytest.mark.parametrize(
    ("order", "index"),
    [("DCR", (1 * 3 + 2) * 5 + 4), ("CRD", (4 * 2 + 1) * 3 + 2), ("DRC", (2 * 2 + 1) * 5 + 4), ("RCD", (4 * 3 + 2) * 2 + 1)],
)
def test_channel_index_in_two_dimensions(order, index):
    assert oracle.channel_index(order, 4, (1, 2), (2, 3), 5) == index


def test_shift_keeps_the_bits_of_every_dtype():
    import ml_dtypes

    for dtype in (bool, np.int8, np.float16, np.complex64, ml_dtypes.bfloat16, np.float64):
        size = np.dtype(dtype).itemsize
        raw = np.random.default_rng(0).integers(0, 2 if dtype is bool else 256, size=2 * 3 * 12 * size, dtype=np.uint8)
        x = raw.view(dtype).reshape(2, 3, 12)
        y = oracle.phase_shift(x, (2, 3), order="CRD")
        assert y.dtype == x.dtype
        assert oracle.inverse_phase_shift(y, (2, 3), order="CRD").tobytes() == x.tobytes()


def test_convolution_pads_even_kernels_after():
    x = np.array([1, 2, 4]).reshape(1, 3, 1)
    kernel = np.array([1, 10]).reshape(2, 1, 1)
    assert oracle.conv(x, kernel).ravel().tolist() == [21, 42, 4]
    assert oracle.conv(x, kernel, padding=((1, 0),)).ravel().tolist() == [10, 21, 42]


def test_transposed_convolution_scatters():
    x, kernel = np.array([1, 2, 4]).reshape(1, 3, 1), np.array([1, 10, 100]).reshape(3, 1, 1)
    y = oracle.conv_transpose(x, kernel, stride=(2,), padding=(0,), output_padding=(0,))
    assert y.ravel().tolist() == [1, 10, 102, 20, 204, 40, 400]


def test_gradients_are_the_transposes_of_the_convolution():
    rng = np.random.default_rng(0)
    x, kernel, cotangent = (rng.integers(-5, 6, size=shape) for shape in [(2, 4, 5, 3), (3, 2, 3, 4), (2, 4, 5, 4)])
    d_x, d_kernel, d_bias = oracle.conv_gradients(x, kernel, cotangent)
    inner = (oracle.conv(x, kernel) * cotangent).sum()
    assert (d_x * x).sum() == inner
    assert (d_kernel * kernel).sum() == inner
    assert d_bias.tolist() == cotangent.sum(axis=(0, 1, 2)).tolist()


def test_blur_leaves_out_what_does_not_exist():
    assert oracle.box_blur(np.array([0.0, 0, 6, 0]).reshape(1, 4, 1), (3,)).ravel().tolist() == [0, 2, 2, 3]
    assert oracle.box_blur(np.ones((4, 5, 1)), (2, 2)).min() == 1


def test_measure_of_one_block():
    assert oracle.checkerboard(np.array([1.0, 3.0, 1.0, 3.0]).reshape(1, 4, 1), (2,)) == 1.0


@pytest.mark.parametrize(("order", "kernel"), [("DCR", [5, 7, 5, 7, 5, 7, 5, 7]), ("RCD", [5, 5, 5, 5, 7, 7, 7, 7])])
def test_icnr_is_a_tile_or_a_repeat(order, kernel):
    assert oracle.icnr(np.array([[[5, 7]]]), (2, 2), order=order).ravel().tolist() == kernel


def test_counting_agrees_with_the_figures_of_the_specification():
    def weights(factors, inputs, outputs):
        return oracle.chain_parameters(oracle.chain_shapes(factors, inputs, outputs), (3,) * len(factors[0]), bias=False)

    direct, chain = ((8, 8),), ((2, 2),) * 3
    assert (weights(direct, 7, 5), weights(chain, 7, 5)) == (20160, 3060)
    assert (weights(direct, 2, 16), weights(chain, 2, 16)) == (18432, 19584)
    assert weights(((8, 8, 8),), 16, 16) // weights(((2, 2, 2),) * 3, 16, 16) == 512 // 24
    assert oracle.chain_receptive_field(direct, (3, 3)) == (3, 3)
    assert oracle.chain_receptive_field(chain, (3, 3)) == (5, 5)


def test_every_factorization_is_tried():
    assert set(oracle.factorizations((6, 6))) == {((6, 6),), ((2, 2), (3, 3)), ((3, 3), (2, 2))}
    assert len(set(oracle.factorizations((2, 2, 3)))) == len(list(oracle.factorizations((2, 2, 3)))) == 13
