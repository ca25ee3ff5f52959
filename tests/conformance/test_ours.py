"""Our four implementations: what they claim, pinned, and that they keep it."""

from importlib import import_module

import pytest

from subpixel_conformance import registry, runner
from subpixel_conformance.case import claims_of
from subpixel_conformance.cases import all_cases, unet
from subpixel_conformance.judge import judge

DTYPES = {
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
}
OPERATIONS = {"phase_shift", "inverse_phase_shift", "vjp", "icnr", "box_blur", "layer", "unet", "save_weights", "load_weights"}
BACKEND_OPERATIONS = OPERATIONS | {"unet_mixed", "unet_gradients", "unet_steps", "from_conv_transpose", "from_resize_conv"}
CORE_OPERATIONS = OPERATIONS | {
    *("channel_permutation", "icnr_bias", "icnr_residual", "icnr_weight_norm"),
    *("conv", "conv_transpose", "nearest_upsample", "checkerboard", "plan_stages", "unet_arithmetic"),
    *("deconv_to_subpixel", "subpixel_to_deconv", "resize_conv_to_subpixel", "shift_conv_to_subpixel", "fractionally_strided_conv"),
    *("conv_unshift_to_strided", "unshift_conv_to_strided", "collapse_stages", "choose_form", "reorder"),
}
OURS = {
    "numpy": (CORE_OPERATIONS, {"eager"}, {"cpu"}),
    "torch": (
        BACKEND_OPERATIONS,
        {"eager", "compile", "compile-dynamic", "vmap"},
        {"cpu", "cuda"},
    ),
    "tensorflow": (BACKEND_OPERATIONS, {"eager", "function", "function-dynamic", "function-xla"}, {"cpu", "cuda"}),
    "jax": (BACKEND_OPERATIONS, {"eager", "jit", "jit-dynamic", "vmap"}, {"cpu", "cuda"}),
}


@pytest.mark.parametrize("name", OURS)
def test_the_claims_are_everything_that_the_specification_has(name):
    operations, modes, devices = OURS[name]
    spec = registry.find(name)
    pytest.importorskip(name)
    module, _, attribute = spec.target.partition(":")
    claims = claims_of(getattr(import_module(module), attribute))
    assert set(claims.operations) == operations
    assert set(claims.orders) == {"DCR", "CRD", "DRC", "RCD"}
    assert set(claims.data_formats) == {"channels_last", "channels_first"}
    assert set(claims.ndims) == {1, 2, 3, 4}
    assert set(claims.batch_ndims) == {0, 1, 2, 3}
    assert (claims.anisotropic, claims.scale_one, claims.empty) == (True, True, True)
    assert set(claims.dtypes) == DTYPES
    assert set(claims.modes) == modes
    assert set(claims.devices) == devices
    own = {"EQ-003", "EQ-010"} if name == "numpy" else set()  # what a backend refuses to convert, its own tests say
    assert set(claims.refusals) == {*(f"ER-00{number}" for number in range(1, 8)), "UN-014", "UN-015"} | own


@pytest.mark.parametrize("name", OURS)
def test_a_network_that_is_asked_for_again_has_its_weights_and_statistics_anew(name):
    """An adapter may keep what it has built, and no case may notice."""
    pytest.importorskip(name)
    adapter = registry.load(registry.find(name).target)
    (case,) = [case for case in all_cases() if case.id == "UN-012/real-batch-2d-float32"]
    params, x = unet.reals(unet.BATCH, "float32", seed=3)
    used = adapter.unet(unet.BATCH.config, "cpu", dict(params), "float32")
    for _ in range(2):
        y = adapter.to_numpy(used(adapter.to_native(x.copy(), "cpu"), training=True))
    if "unet_steps" in adapter.claims["operations"]:
        used.step(adapter.to_native(x.copy(), "cpu"), adapter.to_native(0 * y, "cpu"), "adam", 0.5)
    given = {key: values.copy() for key, values in unet.reals(unet.BATCH, "float32")[0].items()}
    held = adapter.unet(unet.BATCH.config, "cpu", given, "float32").parameters()
    assert {key: values.tolist() for key, values in held.items()} == {key: values.tolist() for key, values in given.items()}
    assert judge(case, adapter, "cpu").status == "pass"


@pytest.mark.parametrize(("name", "profile"), [("numpy", "full"), ("torch", "full"), ("tensorflow", "quick"), ("jax", "quick")])
def test_the_claims_are_kept_on_the_cpu(name, profile):
    """TensorFlow and JAX trace and compile thousands of programs for the full profile: ``make conformance`` puts them to that."""
    pytest.importorskip(name)
    outcome = runner.conform([(registry.find(name), True)], devices=("cpu",), profile=profile, photograph=False)
    (run,) = outcome.runs
    assert [(result.case, result.message) for result in run.results if result.status in runner.WRONG] == []
    assert (run.verdict, run.error, run.note) == ("conforming", "", "")
    reasons = {result.message for result in run.results if result.status == "unavailable"}
    assert all("C++ compiler" in reason or "float32" in reason or "reduced_precision" in reason for reason in reasons)
    assert run.judged > {"quick": 400, "full": 1900}[profile]
