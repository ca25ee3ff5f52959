"""`subpixel convert MODEL.keras`: converted and judged layer by layer, refused where it holds code, and not written where it differs."""

import json

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras

from subpixel_conformance import cli
from subpixel_conformance.convert import keras_model

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")  # Keras' own
L = keras.layers


def network():
    x = inputs = keras.Input((None, None, 4))
    x = L.Conv2DTranspose(6, 4, strides=2, padding="same", activation="relu", name="up1")(x)
    x = L.Conv2D(5, 3, padding="same", activation="gelu", name="conv2")(L.UpSampling2D(2, name="up2")(x))
    inner = keras.Sequential([keras.Input((None, None, 5)), L.Conv2DTranspose(3, 3, strides=2, padding="same", name="up3")], name="inner")
    return keras.Model(inputs, inner(x))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network().save("m.keras")
    return tmp_path


def run(capsys, *arguments):
    capsys.readouterr()
    status = cli.main(["convert", *arguments])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def test_every_layer_is_judged_on_the_inputs_that_it_gets(capsys, folder):
    status, out, _ = run(capsys, "m.keras", "--all", "--report", "json")
    report = json.loads(out)
    assert (status, report["written"]) == (0, ["m.subpixel.keras"])
    assert [row["layer"] for row in report["layers"]] == ["up1", "up2 + conv2", "inner.up3"]
    assert len(report["runs"]) == 2
    assert all(0 < ratio < 1 for run in report["runs"] for ratio in run["layers"].values())
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 4)).astype("float32")
    before, after = (keras.models.load_model(name)(x).numpy() for name in ("m.keras", "m.subpixel.keras"))
    assert np.abs(before - after).max() < 1e-5 * np.abs(before).max()


def test_layers_of_one_name_in_two_models_are_told_apart(capsys, folder):
    def inner(name, taps):
        part = L.Conv2DTranspose(3, taps, strides=2, padding="same", name="up")
        return keras.Sequential([keras.Input((None, None, 3)), part], name=name)

    inputs = keras.Input((None, None, 3))
    keras.Model(inputs, inner("a.b", 3)(inner("a", 4)(inputs))).save("two.keras")
    status, out, err = run(capsys, "two.keras", "--all", "--report", "json")
    assert status == 0, err
    assert [(row["layer"], row["form"]) for row in json.loads(out)["layers"]] == [("a.up", "minimal"), ("a.b.up", "minimal")]


def test_code_is_not_run_and_damage_is_one_line(capsys, folder):
    inputs = keras.Input((4, 4, 3))
    keras.Model(inputs, L.Lambda(lambda x: 2 * x)(L.Conv2DTranspose(3, 3, strides=2)(inputs))).save("code.keras")
    (folder / "bad.keras").write_bytes(b"PK no archive")
    for name, said in (("code.keras", "Python code (a Lambda layer)"), ("bad.keras", "damaged")):
        status, out, err = run(capsys, name)
        assert (status, out, err.count("\n")) == (3, "", 1)
        assert said in err
    assert sorted(path.name for path in folder.iterdir()) == ["bad.keras", "code.keras", "m.keras"]


def test_what_differs_is_not_written(capsys, folder, monkeypatch):
    right = keras_model.convert_model

    def wrong(model, *, example):
        result, report = right(model, example=example)
        layer = result.get_layer("conv2")
        kernel = keras.ops.convert_to_numpy(layer.kernel).copy()
        kernel.flat[np.abs(kernel).argmax()] *= 1.001
        layer.kernel.assign(kernel)
        return result, report

    monkeypatch.setattr(keras_model, "convert_model", wrong)
    status, out, err = run(capsys, "m.keras", "--all")
    assert (status, out) == (1, "")
    assert "up2 + conv2" in err
    assert [path.name for path in folder.iterdir()] == ["m.keras"]


def test_a_model_whose_copy_differs_is_not_written(capsys, folder, monkeypatch):
    right = keras_model.copied_exactly.__globals__["_Copies"]._carry_own
    norm = L.Normalization(name="norm")
    norm.adapt(np.random.default_rng(0).normal(5, 3, (8, 4, 5, 3)))
    inputs = keras.Input((4, 5, 3))
    keras.Model(inputs, L.Conv2DTranspose(4, 4, strides=2, name="up")(norm(inputs)), name="whole").save("norm.keras")
    assert run(capsys, "norm.keras", "--all", "-o", "right.keras")[0] == 0
    for options in (["--all"], []):
        monkeypatch.setattr(keras_model.copied_exactly.__globals__["_Copies"], "_carry_own", lambda *_: None)
        status, out, err = run(capsys, "norm.keras", *options)
        assert (status, out, err.count("\n")) == (3, "", 1)
        assert "whole must hold its state in variables" in err
        monkeypatch.setattr(keras_model.copied_exactly.__globals__["_Copies"], "_carry_own", right)
    assert sorted(path.name for path in folder.iterdir()) == ["m.keras", "norm.keras", "right.keras"]


def half(dtype):
    inputs = keras.Input((4, 5, 3))
    return keras.Model(inputs, L.Conv2DTranspose(4, 4, strides=2, name="up", dtype=dtype)(inputs))


def text():
    inputs, words = keras.Input((20,), dtype="string", name="words"), L.StringLookup(vocabulary=["a", "b"])
    return keras.Model(inputs, L.Conv2DTranspose(4, 3, strides=2)(L.Reshape((4, 5, 2))(L.Embedding(6, 2)(words(inputs)))))


UNSUITABLE = {
    "bfloat16": (lambda: half("mixed_bfloat16"), 3, "up computes in bfloat16, in which no layer is judged here"),
    "unbuilt": (lambda: keras.Sequential([L.Conv2DTranspose(4, 4)]), 3, "model must be built"),
    "text": (text, 3, "the model takes text as words"),
    "names": (lambda: half("float32"), 2, "--inputs must have an array for each input of the model"),
    "cut": (lambda: half("float32"), 3, "odd.keras is damaged"),
}


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
@pytest.mark.parametrize("name", UNSUITABLE)
def test_what_is_not_converted_is_one_line(name, capsys, folder):
    make, wanted, said = UNSUITABLE[name]
    make().save("odd.keras")
    np.savez("i.npz", other=np.ones((2, 4, 5, 3), "float32"))
    if name == "cut":
        (folder / "odd.keras").write_bytes((folder / "odd.keras").read_bytes()[:3000])
    status, out, err = run(capsys, "odd.keras", "--all", *(["--inputs", "i.npz"] if name == "names" else []))
    assert (status, out, err.count("\n")) == (wanted, "", 1), err
    assert said in err
    assert not (folder / "odd.subpixel.keras").exists()


def test_a_model_on_text_is_converted_on_inputs_that_are_given(capsys, folder):
    text().save("text.keras")
    np.savez("words.npz", words=np.array([["a", "b", "c", "d"] * 5]))
    assert run(capsys, "text.keras", "--all", "--inputs", "words.npz")[0] == 0
