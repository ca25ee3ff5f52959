"""A backend is thin: no rule, no message and no trip through the host lives in it, and nobody below knows anybody above."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BACKENDS = {name: ROOT / "backends" / f"subpixel_{name}" for name in ("torch", "tensorflow", "jax")}
CORE = ROOT / "subpixel_core"
CALLBACKS = {"pure_callback", "io_callback", "py_function", "numpy_function", "py_func", "callback", "host_callback", "debug_callback"}
AT_THE_FILE = {
    "get_parameters",
    "set_parameters",
    "save_weights",
    "load_weights",
    "_array",
    "_tensor",
    "_outputs",
    "_verify",
    "_allowed",
    "to_saved_model",
    "to_tflite",
}  # where arrays are what they are about
BEYOND = {"adapter.py": {"ml_dtypes", "optax"}, "export.py": {"onnxruntime", "onnxscript"}}  # what a file may import besides
THROUGH_NUMPY = {"numpy", "asarray", "array", "tolist", "item", "from_numpy"}


def trees(folder):
    return {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py"))}


def raised(tree):
    """Return the lines that raise, assert, or make an exception."""
    made = (
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith(("Error", "Exception", "Warning"))
    )
    return sorted({*made, *(node.lineno for node in ast.walk(tree) if isinstance(node, (ast.Raise, ast.Assert)))})


def messages(tree):
    """Return the strings that read like a message of the core: the rule with "must", or what was received with "got"."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    strings = [
        node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
    ]
    return [node.value for node in strings if any(word in node.value.split() for word in ("must", "got", "expected", "invalid", "unknown"))]


def called_back(tree):
    """Return the names that stand for a callback from a compiled program into Python."""
    names = (
        name
        for node in ast.walk(tree)
        for name in (getattr(node, "attr", None), getattr(node, "id", None), getattr(node, "name", None))
        if name
    )
    return sorted(set(names) & CALLBACKS)


def through_numpy(tree):
    """Return the lines that turn a tensor into a NumPy array or a Python number, or back."""
    lines = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in THROUGH_NUMPY:
            owner = node.func.value
            if node.func.attr in ("asarray", "array") and not (isinstance(owner, ast.Name) and owner.id in ("np", "numpy")):
                continue  # jnp.asarray stays on the device
            lines.add(node.lineno)
    return sorted(lines)


def without(tree, functions):
    """Return the tree without these functions at its top level."""
    kept = [node for node in tree.body if getattr(node, "name", None) not in functions]
    return ast.Module(kept, type_ignores=[])


def imported(tree):
    """Return the top-level names of everything imported, inside functions too; "." for a relative import."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else (node.module or "").partition(".")[0])
    return names


each_backend = pytest.mark.parametrize("backend", BACKENDS)


@each_backend
def test_a_backend_raises_nothing_and_words_nothing(backend):
    for name, tree in trees(BACKENDS[backend]).items():
        assert raised(tree) == [], name
        assert messages(tree) == [], name


@each_backend
def test_a_backend_never_calls_back_into_python(backend):
    for name, tree in trees(BACKENDS[backend]).items():
        assert called_back(tree) == [], name


@each_backend
def test_a_backend_never_goes_through_numpy_but_in_its_adapter(backend):
    for name, tree in trees(BACKENDS[backend]).items():
        if name != "adapter.py":
            assert through_numpy(without(tree, AT_THE_FILE)) == [], name


@each_backend
def test_a_backend_imports_the_core_and_its_own_framework_and_no_other(backend):
    frameworks = {"torch": {"torch"}, "tensorflow": {"tensorflow", "keras"}, "jax": {"jax"}}[backend]
    allowed = frameworks | {"subpixel_core", f"subpixel_{backend}", "numpy"} | set(sys.stdlib_module_names)
    for name, tree in trees(BACKENDS[backend]).items():
        assert imported(tree) - allowed - BEYOND.get(name, set()) == set(), name


def test_the_core_imports_numpy_and_itself_and_the_standard_library_alone():
    for name, tree in trees(CORE).items():
        without_files = without(tree, {"save_weights", "load_weights"} if name == "_weights.py" else set())
        assert imported(without_files) - set(sys.stdlib_module_names) <= {"numpy", "subpixel_core"}, name


def test_the_backends_have_the_same_files():
    files = {"__init__.py", "adapter.py", "convert.py", "initializers.py", "export.py", "layers.py", "ops.py", "unet.py"}
    # What a forward does, where it is code: a Keras model is a graph, and JAX's functions have no layers.
    own = {"torch": {"graphs.py"}}
    for name, folder in BACKENDS.items():
        assert set(trees(folder)) == files | own.get(name, set()), folder


@pytest.mark.parametrize(
    ("check", "offender"),
    [
        (raised, "def f(x):\n    raise ValueError(x)"),
        (raised, "def f(x):\n    assert x"),
        (raised, "error = TypeError('no')"),
        (messages, "def f(x):\n    fail(f'scale must be positive; got {x}')"),
        (messages, "text = 'unknown order'"),
        (called_back, "import jax\ny = jax.pure_callback(f, s, x)"),
        (called_back, "from jax.experimental import io_callback"),
        (called_back, "from jax.experimental import io_callback as hidden"),
        (called_back, "y = tf.py_function(f, [x], tf.float32)"),
        (called_back, "y = tf.numpy_function(f, [x], tf.float32)"),
        (through_numpy, "def f(x):\n    return x.detach().cpu().numpy()"),
        (through_numpy, "def f(x):\n    return np.asarray(x)"),
        (through_numpy, "def f(x):\n    return torch.from_numpy(x)"),
        (through_numpy, "def f(x):\n    return x.tolist()"),
    ],
)
def test_each_check_finds_what_it_is_for(check, offender):
    assert check(ast.parse(offender))


@pytest.mark.parametrize(
    ("offender", "name"),
    [
        ("def f():\n    import subpixel_torch.ops", "subpixel_torch"),
        ("from subpixel_conformance import oracle", "subpixel_conformance"),
        ("import numpy as np, scipy.signal", "scipy"),
        ("from . import ops", "."),
    ],
)
def test_the_check_of_imports_finds_them_wherever_they_are(offender, name):
    assert name in imported(ast.parse(offender))


def test_a_function_is_left_out_by_its_name_and_no_other():
    tree = ast.parse("def save_weights(x):\n    return x.numpy()\ndef forward(x):\n    return x.numpy()")
    assert through_numpy(without(tree, AT_THE_FILE)) == [4]


def test_documentation_may_say_must():
    assert messages(ast.parse('def f():\n    """It must be so; got it."""')) == []
