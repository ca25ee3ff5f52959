"""WF: the weight file of the reference: its bytes, what interrupts it, where it goes, and what is refused in which words."""

import ast
import errno
import json
import os
import pickle
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from subpixel_conformance import weight_file
from subpixel_conformance.cases.arrays import special_bits
from subpixel_conformance.compare import bitwise
from subpixel_core import (
    ORDERS,
    ResidualUNetConfig,
    convert_order,
    init_parameters,
    load_weights,
    parameter_shapes,
    residual_unet,
    save_weights,
)

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ResidualUNetConfig(in_channels=2, out_channels=3, widths=(2, 4), scales=((2, 3),), output_scale=(2, 3), norm="batch", order="CRD")
TINY = ResidualUNetConfig(ndim=1, in_channels=1, out_channels=1, widths=(1,), kernel_size=1, norm="none")
METADATA = {
    "network": "subpixel residual U-Net",
    "spec_version": "1.0",
    "layout": "channels last: kernel (*k, Ci, Co)",
    "order": "CRD",
    "config": json.dumps({name: value for name, value in CONFIG.as_dict().items() if name != "order"}),
}


def values(config=CONFIG, dtype="float32", seed=0):
    """Return parameters of the bits that careless code changes first: NaN payloads, -0, subnormals, each at another place per seed."""
    return {
        name: np.roll(special_bits(dtype, 2 * int(np.prod(shape)) + 30), seed + i)[: int(np.prod(shape))].reshape(shape)
        for i, (name, shape) in enumerate(parameter_shapes(config).items())
    }


def same(actual, expected):
    """Check names and bits."""
    assert set(actual) == set(expected)
    assert {name: bitwise(np.asarray(actual[name]), value) for name, value in expected.items()} == dict.fromkeys(expected)


@pytest.fixture
def saved(tmp_path):
    """A file that is there, with what is in it."""
    path = tmp_path / "network.weights"
    save_weights(path, values(), CONFIG)
    return path, path.read_bytes()


# --- what is in the file ---


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "config",
    [CONFIG, replace(CONFIG, upsample="deconv"), replace(CONFIG, norm="group", groups=1, blur=True), replace(CONFIG, norm="none"), TINY],
    ids=["batch", "deconv", "group", "none", "tiny"],
)
def test_every_bit_is_in_the_file_and_comes_back(tmp_path, config, order, dtype):
    config, path = replace(config, order=order), tmp_path / "network"
    params = values(config, dtype)
    save_weights(path, params, config)
    found, metadata = weight_file.read(path.read_bytes())
    same(found, params)
    assert {**metadata, "config": json.loads(metadata["config"])} == {
        **METADATA,
        "order": order,
        "config": json.loads(json.dumps({name: value for name, value in config.as_dict().items() if name != "order"})),
    }
    loaded, again = load_weights(path)
    same(loaded, params)
    assert again == config
    assert list(loaded) == list(parameter_shapes(config))


@given(seed=st.integers(0, 2**32), dtype=st.sampled_from(["float32", "float64"]))
def test_any_bits_come_back(seed, dtype):
    rng = np.random.default_rng(seed)
    params = {
        name: np.frombuffer(rng.bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize), dtype).reshape(shape)
        for name, shape in parameter_shapes(TINY).items()
    }
    with tempfile.TemporaryDirectory() as folder:
        save_weights(Path(folder) / "x", params, TINY)
        same(load_weights(Path(folder) / "x")[0], params)


@pytest.mark.parametrize(("order", "target"), [*product(ORDERS, ORDERS)])
def test_a_file_in_any_order_is_read_in_any_other_and_computes_the_same(tmp_path, order, target):
    config = replace(CONFIG, order=order)
    rng = np.random.default_rng(0)
    params = {name: rng.integers(1, 3, shape).astype(np.float64) for name, shape in parameter_shapes(config).items()}
    path = tmp_path / "network"
    path.write_bytes(
        weight_file.written(dict(reversed(params.items())), METADATA | {"order": order})  # in another sequence than ours
    )
    loaded, found = load_weights(path, order=target)
    assert found == replace(config, order=target)
    same(loaded, convert_order(params, config, target)[0])
    x = rng.integers(-3, 4, (1, 4, 6, 2)).astype(np.float64)
    np.testing.assert_allclose(residual_unet(loaded, x, found), residual_unet(params, x, config), rtol=1e-12)


def test_the_library_of_the_format_reads_our_files_and_we_read_its(tmp_path, saved):
    path, _ = saved
    same(safetensors.numpy.load_file(path), values())
    with safetensors.safe_open(path, framework="np") as file:
        assert json.loads(file.metadata()["config"]) == json.loads(METADATA["config"])
    safetensors.numpy.save_file(values(), tmp_path / "theirs", METADATA)
    loaded, config = load_weights(tmp_path / "theirs")
    same(loaded, values())
    assert config == CONFIG


def test_what_is_loaded_can_be_written_to_and_does_not_hang_on_the_file(saved):
    path, content = saved
    loaded, _ = load_weights(path)
    path.write_bytes(bytes(len(content)))
    same(loaded, values())
    for value in loaded.values():
        value[...] = 1
    path.unlink()


def test_what_is_saved_stays_as_it_was(tmp_path):
    params = values()
    for value in params.values():
        value.flags.writeable = False
    save_weights(tmp_path / "x", params, CONFIG)
    same(params, values())


ARRAYS = {
    "Fortran order": np.asfortranarray,
    "every second value": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "back to front": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "axes exchanged": lambda a: np.ascontiguousarray(a.T).T,
    "big-endian": lambda a: a.byteswap().view(a.dtype.newbyteorder(">")),
    "big-endian, Fortran order": lambda a: np.asfortranarray(a.byteswap().view(a.dtype.newbyteorder(">"))),
    "not aligned": lambda a: np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "broadcast": lambda a: np.broadcast_to(a, a.shape),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_in_any_memory_layout_give_the_same_file(tmp_path, kind, dtype):
    params = values(dtype=dtype)
    save_weights(tmp_path / "x", {name: ARRAYS[kind](value) for name, value in params.items()}, CONFIG)
    same(weight_file.read((tmp_path / "x").read_bytes())[0], params)


def test_equal_weights_give_equal_bytes(tmp_path):
    """The library writes its metadata in a sequence of chance: 8 saves of 5 keys would agree once in 120 to the power of 7."""
    params, files = values(), set()
    for number in range(8):
        save_weights(tmp_path / "saved", dict(reversed(params.items())) if number % 2 else params, CONFIG)
        files.add((tmp_path / "saved").read_bytes())
    assert len(files) == 1


@pytest.mark.parametrize("channels", [10**digits for digits in range(9)])
def test_the_header_has_no_blanks_but_those_behind_it_that_align_the_values(tmp_path, channels):
    shift = replace(TINY, kernel_size=1, groups=channels)  # of no effect without group normalization: another length of the header
    save_weights(tmp_path / "x", values(shift), shift)
    content = (tmp_path / "x").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length]
    text = header.rstrip(b" ")
    assert text == json.dumps(json.loads(header), sort_keys=True, separators=(",", ":")).encode()
    assert length == -(-len(text) // 8) * 8


def test_the_configuration_is_in_the_file_with_its_fields_in_alphabetical_sequence(saved):
    path, _ = saved
    with safetensors.safe_open(path, framework="np") as file:
        fields = json.loads(file.metadata()["config"])
    assert list(fields) == sorted(fields)


def test_lists_are_float64(tmp_path):
    params = {name: np.full(shape, 0.1) for name, shape in parameter_shapes(TINY).items()}
    save_weights(tmp_path / "x", {name: value.tolist() for name, value in params.items()}, TINY)
    same(load_weights(tmp_path / "x")[0], params)


# --- where it goes ---

NAMES = [
    "network.safetensors",
    "network",
    "my network (2).weights",
    "réseau – 网络 🧠",
    ".hidden",
    "x.npz",
    "a'b\"c",
    "%s{}",
    "-x",
    "n" * 255,
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [str, Path])
def test_any_name_will_do_and_nothing_else_is_left(tmp_path, name, kind):
    for seed in range(2):  # new, then over itself
        save_weights(kind(tmp_path / name), values(seed=seed), CONFIG)
        assert os.listdir(tmp_path) == [name]
        same(load_weights(kind(tmp_path / name))[0], values(seed=seed))


def test_a_relative_path_is_seen_from_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_weights("network", values(), CONFIG)
    Path("deeper").mkdir()
    save_weights(Path("deeper") / ".." / "deeper" / "network", values(seed=1), CONFIG)
    same(load_weights("network")[0], values())
    same(load_weights("deeper/network")[0], values(seed=1))
    assert sorted(os.listdir()) == ["deeper", "network"]
    assert os.listdir("deeper") == ["network"]


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_a_link_stays_a_link_and_what_it_names_is_replaced(tmp_path, relative, there):
    (tmp_path / "store").mkdir()
    target, link = tmp_path / "store" / "network", tmp_path / "link"
    if there:
        save_weights(target, values(), CONFIG)
    link.symlink_to(Path("store") / "network" if relative else target)
    save_weights(link, values(seed=1), CONFIG)
    assert link.is_symlink()
    assert not target.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "store"]
    assert os.listdir(tmp_path / "store") == ["network"]
    same(load_weights(target)[0], values(seed=1))
    same(load_weights(link)[0], values(seed=1))


def test_a_hard_link_keeps_the_old_file(tmp_path, saved):
    path, content = saved
    os.link(path, tmp_path / "other")
    with open(path, "rb") as already_open:
        save_weights(path, values(seed=1), CONFIG)
        assert already_open.read() == content
    assert (tmp_path / "other").read_bytes() == content
    same(load_weights(path)[0], values(seed=1))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_file_keeps_its_permissions(saved, mode):
    path, _ = saved
    path.chmod(mode)
    save_weights(path, values(seed=1), CONFIG)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_has_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        save_weights(tmp_path / "x", values(), CONFIG)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_a_folder_is_no_file(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for call in (lambda: save_weights(folder, values(), CONFIG), lambda: load_weights(folder)):
        with pytest.raises(IsADirectoryError, match="folder"):
            call()
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(folder) == []


def test_a_file_or_folder_that_is_not_there_is_the_operating_systems_to_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        save_weights(tmp_path / "nowhere" / "network", values(), CONFIG)
    with pytest.raises(FileNotFoundError, match=r"'.*/network'$"):
        load_weights(tmp_path / "network")
    with pytest.raises(OSError, match="too long"):
        save_weights(tmp_path / ("n" * 256), values(), CONFIG)
    assert os.listdir(tmp_path) == []
    with pytest.raises(OSError):  # noqa: PT011 -- which one is the system's choice
        save_weights("/", values(), CONFIG)


@contextmanager
def unprivileged():
    """Act as nobody in particular, for whom permissions count."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_folder_that_is_read_only_stays_as_it_was():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "network"
        save_weights(path, values(), CONFIG)
        content = path.read_bytes()
        folder.chmod(0o555)
        with unprivileged(), pytest.raises(PermissionError):
            save_weights(path, values(seed=1), CONFIG)
        assert path.read_bytes() == content
        assert os.listdir(folder) == ["network"]
        folder.chmod(0o755)
        path.chmod(0o000)
        with unprivileged(), pytest.raises(PermissionError, match="network"):
            load_weights(path)


# --- interruptions ---


class Fails:
    """A file that writes a part of what it is given and then fails."""

    def __init__(self, file, error):
        self.file, self.error = file, error

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()

    def write(self, content):
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        raise self.error


WHERE = ["opening", "writing", "syncing", "moving"]
ERRORS = [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), MemoryError(), SystemExit(1)]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("there", [True, False])
def test_an_interruption_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, where, error, there):
    path = tmp_path / "network"
    if there:
        save_weights(path, values(), CONFIG)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    reached = []

    def failing(*arguments, **options):
        reached.append(where)
        raise error

    def opened(*arguments):
        reached.append(where)
        return Fails(open(*arguments), error)

    if where in ("opening", "writing"):
        monkeypatch.setattr("subpixel_core._weights.open", failing if where == "opening" else opened, raising=False)
    else:
        monkeypatch.setattr(os, "fsync" if where == "syncing" else "replace", failing)
    with pytest.raises(type(error)) as raised:
        save_weights(path, values(seed=1), CONFIG)
    assert raised.value is error
    assert reached == [where]
    monkeypatch.undo()
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before
    save_weights(path, values(seed=1), CONFIG)
    same(load_weights(path)[0], values(seed=1))


def test_the_values_are_on_the_disk_under_a_hidden_name_of_chance_before_that_is_moved(tmp_path, monkeypatch):
    path, synced, moved = tmp_path / "network", [], []
    fsync, move = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(os.fstat(number).st_size), fsync(number)))
    monkeypatch.setattr(os, "replace", lambda source, target: (moved.append(Path(source)), move(source, target)))
    for _ in range(2):
        save_weights(path, values(TINY), TINY)  # smaller than the buffer of a file
    assert synced == [path.stat().st_size] * 2
    assert synced[0] < 4096
    assert {name.parent for name in moved} == {tmp_path}
    assert all(re.fullmatch(r"\.[0-9a-f]{16}\.part", name.name) for name in moved)
    assert moved[0] != moved[1]


IN_THE_MIDDLE = """
import os, signal, sys, time
import numpy as np
from subpixel_core import ResidualUNetConfig, parameter_shapes, save_weights

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored

def wait(*arguments):
    print("written", flush=True)
    time.sleep(60)

setattr(os, sys.argv[2], wait)
config = ResidualUNetConfig(**eval(sys.argv[3]))
save_weights(sys.argv[1], {name: np.zeros(shape) for name, shape in parameter_shapes(config).items()}, config)
"""


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_process_that_ends_in_the_middle_leaves_the_old_file(saved, step, number):
    path, content = saved
    arguments = [sys.executable, "-c", IN_THE_MIDDLE, str(path), step, repr(CONFIG.as_dict())]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout.readline() == "written\n", process.stderr.read()
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode != 0
    assert path.read_bytes() == content
    others = sorted(set(os.listdir(path.parent)) - {path.name})
    if number == signal.SIGINT:
        assert others == []
    else:  # nobody is left to clear up; what remains is hidden and no weight file by its name
        (rest,) = others
        assert rest.startswith(".")
        assert rest.endswith(".part")


def test_who_reads_while_others_write_sees_one_file_or_the_other(tmp_path):
    path, ends = tmp_path / "network", []
    save_weights(path, values(TINY), TINY)

    def write(seed):
        try:
            for _ in range(20):
                save_weights(path, values(TINY, seed=seed), TINY)
        finally:
            ends.append(seed)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    seen = set()
    while len(ends) < 2 or not seen:
        loaded = b"".join(value.tobytes() for value in load_weights(path)[0].values())
        seen.add(loaded)
    for thread in threads:
        thread.join()
    assert seen <= {b"".join(value.tobytes() for value in values(TINY, seed=seed).values()) for seed in (0, 1)}
    assert os.listdir(tmp_path) == ["network"]


# --- what is not saved ---

UNSAVED = {
    "missing": (
        lambda p: {name: value for name, value in p.items() if name != "stem.bias"},
        ValueError,
        "params must have the tensor 'stem.bias' of shape (2,); got 51 tensors without it",
    ),
    "renamed": (
        lambda p: {"stem.weight" if name == "stem.kernel" else name: value for name, value in p.items()},
        ValueError,
        "params must have the tensor 'stem.kernel' of shape (3, 3, 2, 2); got 'stem.weight' instead",
    ),
    "unknown": (
        lambda p: p | {"steps": np.zeros(1, np.float32)},
        ValueError,
        "params must have no tensors but those of the configuration; got 'steps'",
    ),
    "shape": (
        lambda p: p | {"head.0.bias": np.zeros((1, 6), np.float32)},
        ValueError,
        "params must have 'head.0.bias' of shape (6,); got (1, 6)",
    ),
    "float16": (
        lambda p: p | {"stem.bias": p["stem.bias"].astype(np.float16)},
        ValueError,
        "params must be float32 or float64; got float16 in 'stem.bias'",
    ),
    "integers": (
        lambda p: p | {"stem.bias": np.zeros(2, int)},
        ValueError,
        "params must be float32 or float64; got int64 in 'stem.bias'",
    ),
    "objects": (
        lambda p: p | {"stem.bias": np.array([1.0, None])},
        ValueError,
        "params must be float32 or float64; got object in 'stem.bias'",
    ),
    "mixed": (
        lambda p: p | {"stem.bias": np.zeros(2)},
        ValueError,
        "params must have one dtype; got float32, float64",
    ),
}


@pytest.mark.parametrize("what", UNSAVED)
def test_parameters_that_are_none_of_the_configuration_are_not_saved_and_the_file_stays(saved, what):
    path, content = saved
    change, kind, text = UNSAVED[what]
    with np.errstate(all="ignore"):
        wrong = change(values(seed=1))
    with pytest.raises(kind) as raised:
        save_weights(path, wrong, CONFIG)
    assert (type(raised.value), str(raised.value)) == (kind, text)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]


def test_what_is_no_configuration_is_refused(saved):
    path, content = saved
    for params in (values(), None):
        with pytest.raises(TypeError, match=r"^config must be a ResidualUNetConfig; got dict$"):
            save_weights(path, params, CONFIG.as_dict())
    assert path.read_bytes() == content


# --- what is not loaded ---


def told(**changes):
    """Return a file with other metadata; None leaves a key out."""
    metadata = {key: value for key, value in (METADATA | changes).items() if value is not None}
    return weight_file.written(values(), metadata)


def fields(**changes):
    return told(config=json.dumps({**json.loads(METADATA["config"]), **changes}))


def tensors(change):
    with np.errstate(all="ignore"):
        return weight_file.written(change(values()), METADATA)


WHOLE = weight_file.written(values(), METADATA)
UNREADABLE = "must be a whole safetensors file; got one that cannot be read: "
NONE_DESCRIBED = "must describe a residual U-Net in its metadata; got "
REFUSED = {
    "empty": (b"", UNREADABLE),
    "five bytes": (WHOLE[:5], UNREADABLE),
    "the length alone": (WHOLE[:8], UNREADABLE),
    "half of the header": (WHOLE[:500], UNREADABLE),
    "a byte too few": (WHOLE[:-1], UNREADABLE),
    "half": (WHOLE[: len(WHOLE) // 2], UNREADABLE),
    "a byte too many": (WHOLE + b"\0", UNREADABLE),
    "a text": (b"This is no weight file.", UNREADABLE),
    "a pickle": (pickle.dumps(values()), UNREADABLE),
    "no metadata": (weight_file.written(values(), {}), "must hold a network 'subpixel residual U-Net'; got None"),
    "another network": (told(network="VGG"), "must hold a network 'subpixel residual U-Net'; got 'VGG'"),
    "no version": (told(spec_version=None), "must name the version of its specification, such as '1.0'; got ''"),
    "a word for a version": (told(spec_version="new"), "must name the version of its specification, such as '1.0'; got 'new'"),
    "a negative version": (told(spec_version="-1.0"), "must name the version of its specification, such as '1.0'; got '-1.0'"),
    "three numbers": (told(spec_version="1.0.0"), "must name the version of its specification, such as '1.0'; got '1.0.0'"),
    "one number": (told(spec_version="1"), "must name the version of its specification, such as '1.0'; got '1'"),
    "digits of another script": (told(spec_version="１.０"), "must name the version of its specification, such as '1.0'; got '１.０'"),
    "five thousand digits": (told(spec_version="9" * 5000 + ".0"), "must name the version of its specification, such as '1.0'; got '999"),
    "a newer version": (told(spec_version="1.1"), "must be of specification 1.0 or older for this version of subpixel-spec; got 1.1"),
    "a much newer one": (told(spec_version="2.0"), "must be of specification 1.0 or older for this version of subpixel-spec; got 2.0"),
    "a two-digit one": (told(spec_version="10.0"), "must be of specification 1.0 or older for this version of subpixel-spec; got 10.0"),
    "no layout": (told(layout=None), "must have the layout 'channels last: kernel (*k, Ci, Co)'; got None"),
    "another layout": (told(layout="OIHW"), "must have the layout 'channels last: kernel (*k, Ci, Co)'; got 'OIHW'"),
    "no order": (told(order=None), NONE_DESCRIBED + "order must be one of 'DCR', 'CRD', 'DRC', 'RCD'; got None"),
    "another order": (told(order="RGB"), NONE_DESCRIBED + "order must be one of 'DCR', 'CRD', 'DRC', 'RCD'; got 'RGB'"),
    "no configuration": (told(config=None), NONE_DESCRIBED),
    "no JSON": (told(config="{'ndim': 2}"), NONE_DESCRIBED),
    "a list": (told(config="[2]"), NONE_DESCRIBED + "[2]"),
    "a long text": (told(config=json.dumps("U-Net" * 40)), NONE_DESCRIBED + "'" + ("U-Net" * 40)[:79]),
    "brackets": (told(config="[" * 100000), NONE_DESCRIBED),
    "an unknown field": (
        fields(dropout=0.5),
        NONE_DESCRIBED + "ResidualUNetConfig.__init__() got an unexpected keyword argument 'dropout'",
    ),
    "order among the fields": (fields(order="CRD"), NONE_DESCRIBED),
    "a field left out": (
        told(config=METADATA["config"].replace('"blur": false, ', "").replace(', "blur": false', "")),
        NONE_DESCRIBED + "a configuration without 'blur'",
    ),
    "groups": (fields(norm="group"), NONE_DESCRIBED + "widths must be multiples of groups=8 with norm='group'; got (2, 4)"),
    "no width": (fields(widths=[2, 0]), NONE_DESCRIBED + "every value of widths must be 1 or more; got 0"),
    "a float": (fields(ndim=2.0), NONE_DESCRIBED + "ndim must be an integer; got 2.0"),
    "null": (fields(widths=None), NONE_DESCRIBED + "widths must be a tuple of integers, one per level; got None"),
    "a tensor missing": (
        tensors(lambda p: {name: value for name, value in p.items() if name != "head.norm.mean"}),
        "must have the tensor 'head.norm.mean' of shape (2,); got 51 tensors without it",
    ),
    "a tensor renamed": (
        tensors(lambda p: {"stem.b" if name == "stem.bias" else name: value for name, value in p.items()}),
        "must have the tensor 'stem.bias' of shape (2,); got 'stem.b' instead",
    ),
    "a tensor too many": (
        tensors(lambda p: p | {"steps": np.zeros(1, np.float32)}),
        "must have no tensors but those of the configuration; got 'steps'",
    ),
    "another shape": (
        tensors(lambda p: p | {"stem.kernel": p["stem.kernel"].reshape(3, 3, 4)}),
        "must have 'stem.kernel' of shape (3, 3, 2, 2); got (3, 3, 4)",
    ),
    "float16": (
        tensors(lambda p: {name: value.astype(np.float16) for name, value in p.items()}),
        "must hold float32 alone or float64 alone; got F16",
    ),
    "mixed": (tensors(lambda p: p | {"stem.bias": np.zeros(2)}), "must hold float32 alone or float64 alone; got F32, F64"),
    "another configuration": (
        fields(widths=[2, 6]),
        "must have 'encoder.1.0.conv1.kernel' of shape (3, 3, 2, 6); got (3, 3, 2, 4)",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_is_none_is_refused_by_its_name_and_what_is_wrong(tmp_path, what):
    content, text = REFUSED[what]
    path = tmp_path / "my network.weights"
    path.write_bytes(content)
    with pytest.raises(ValueError) as raised:  # noqa: PT011 -- the text is compared below
        load_weights(path)
    assert type(raised.value) is ValueError
    assert str(raised.value).startswith(f"{path} {text}")
    exact = not text.endswith((": ", "got ", "'999"))
    assert (str(raised.value) == f"{path} {text}") == exact
    assert len(str(raised.value)) < 6000


@pytest.mark.parametrize("what", [what for what, (_, text) in REFUSED.items() if text == UNREADABLE])
def test_what_the_library_of_the_format_says_of_a_file_is_passed_on(tmp_path, what):
    path = tmp_path / "x"
    path.write_bytes(REFUSED[what][0])
    with pytest.raises(safetensors.SafetensorError) as theirs, safetensors.safe_open(path, framework="np"):
        pass
    with pytest.raises(ValueError) as ours:  # noqa: PT011 -- the text is compared below
        load_weights(path)
    assert str(ours.value) == f"{path} {UNREADABLE}{theirs.value}"


def test_an_older_version_and_an_unknown_sixth_key_are_read(tmp_path):
    for changes in ({"spec_version": "0.9"}, {"author": "somebody"}):
        (tmp_path / "x").write_bytes(told(**changes))
        same(load_weights(tmp_path / "x")[0], values())


@pytest.mark.parametrize("order", ["dcr", "", 3, ("DCR",)])
def test_an_order_that_there_is_not_is_refused(saved, order):
    with pytest.raises(ValueError, match=r"^order must be one of 'DCR', 'CRD', 'DRC', 'RCD'; got "):
        load_weights(saved[0], order=order)


def test_every_length_but_the_whole_is_refused(tmp_path):
    path = tmp_path / "x"
    content = weight_file.written(
        values(TINY), METADATA | {"config": json.dumps({k: v for k, v in TINY.as_dict().items() if k != "order"})}
    )
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=str(path)):
            load_weights(path)
    path.write_bytes(content)
    same(load_weights(path)[0], values(TINY))


@given(data=st.data())
def test_a_byte_that_is_wrong_is_refused_or_read_as_it_is(data):
    fields_ = {name: value for name, value in TINY.as_dict().items() if name != "order"}
    content = bytearray(weight_file.written(values(TINY), METADATA | {"config": json.dumps(fields_)}))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        try:
            loaded, config = load_weights(path)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017 -- it may also be read
        else:
            assert {name: value.shape for name, value in loaded.items()} == parameter_shapes(config)
            same(loaded, weight_file.read(bytes(content))[0])


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_nothing_in_a_file_is_ever_executed(tmp_path):
    path, trace = tmp_path / "x", tmp_path / "trace"
    content = pickle.dumps(Bomb(trace))
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"must be a whole safetensors file"):
        load_weights(path)
    assert not trace.exists()
    pickle.loads(content)
    assert trace.exists()


# --- no pickle, nowhere ---

PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "copyreg"}
LOADERS = {
    ("torch", "load"),
    ("torch", "save"),
    ("np", "load"),
    ("np", "save"),
    ("numpy", "load"),
    ("numpy", "save"),
    ("jnp", "load"),
    ("jnp", "save"),
}


def unsafe(tree):
    """Return what imports pickle, reads or writes one, or executes text."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.partition(".")[0] in PICKLES}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} if (node.module or "").partition(".")[0] in PICKLES else set()
            found |= {alias.name for alias in node.names if ((node.module or "").partition(".")[0], alias.name) in LOADERS}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in LOADERS:
            found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec", "__import__"):
            found.add(node.func.id)
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found.add(node.arg)
    return found


SOURCES = sorted([*(ROOT / "subpixel_core").glob("*.py"), *(ROOT / "backends").glob("*/*.py")])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_source_pickles(path):
    assert unsafe(ast.parse(path.read_text(encoding="utf-8"))) == set()


@pytest.mark.parametrize(
    "offender",
    [
        "import pickle",
        "import os, pickle as p",
        "def f():\n    from pickle import loads",
        "import joblib.numpy_pickle",
        "x = torch.load(path, weights_only=True)",
        "torch.save(model, path)",
        "from torch import load",
        "x = np.load(path)",
        "read = numpy.load",
        "eval(text)",
        "f(allow_pickle=True)",
    ],
)
def test_the_search_for_pickles_finds_them(offender):
    assert unsafe(ast.parse(offender))


def test_fresh_parameters_are_saved_as_they_are(tmp_path):
    params = init_parameters(CONFIG, np.random.default_rng(0))
    save_weights(tmp_path / "x", params, CONFIG)
    same(load_weights(tmp_path / "x")[0], params)


@pytest.mark.parametrize("blocks", [10**9, [10**9] * len(CONFIG.widths)], ids=["all", "each"])
def test_a_configuration_of_more_blocks_than_the_file_has_tensors_is_refused_at_once(saved, blocks):
    path, content = saved
    tensors, metadata = weight_file.read(content)
    config = json.dumps({**json.loads(metadata["config"]), "blocks": blocks})
    path.write_bytes(weight_file.written(tensors, {**metadata, "config": config}))
    with pytest.raises(ValueError, match=r"must hold the tensors of the \d+ blocks of its configuration; got \d+ tensors$"):
        load_weights(path)


def test_a_configuration_of_as_many_blocks_as_the_file_has_tensors_is_refused_by_what_is_missing(saved):
    path, content = saved
    tensors, metadata = weight_file.read(content)
    config = json.dumps({**json.loads(metadata["config"]), "blocks": [len(tensors) - 1, 1]})
    path.write_bytes(weight_file.written(tensors, {**metadata, "config": config}))
    with pytest.raises(ValueError, match=r"must have the tensor 'encoder.0.1.norm1.scale' of shape \(2,\); got 52 tensors without it$"):
        load_weights(path)


def test_a_configuration_of_an_output_scale_that_would_be_planned_forever_is_refused_at_once(saved):
    path, content = saved
    tensors, metadata = weight_file.read(content)
    config = json.dumps({**json.loads(metadata["config"]), "output_scale": 2**61 - 1})
    path.write_bytes(weight_file.written(tensors, {**metadata, "config": config}))
    with pytest.raises(ValueError, match="output_scale must have a product of at most 1048576 to be planned"):
        load_weights(path)


def test_parameters_that_are_no_mapping_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"^params must be a Mapping; got NoneType$"):
        save_weights(tmp_path / "none", None, CONFIG)
