"""What the suite asks of an implementation: the protocol.

The suite talks NumPy. An adapter turns arrays into whatever its framework computes with, calls the implementation, and turns the
result back. Nothing here imports a framework, and an adapter need not import this module: the protocol is structural. It implements what
it claims; the rest is not judged. `callables` has the smallest ways to write one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

ORDERS = ("DCR", "CRD", "DRC", "RCD")
DATA_FORMATS = ("channels_last", "channels_first")
REFUSALS = (*(f"ER-00{number}" for number in range(1, 8)), "UN-014", "UN-015", "EQ-003", "EQ-010")


@dataclass(frozen=True)
class Claims:
    """What an implementation says it does, as data. A case outside the claims is *not claimed*: not judged, not counted.

    ``operations`` are the names of the adapter's methods that may be called; "unet_gradients" and "unet_steps" are those of the network
    that ``unet`` returns, and "unet_mixed" lets it be asked for mixed precision. ``refusals`` are the clauses that promise a refusal.
    ``batch_ndims`` are the numbers of axes before the spatial and channel axes that it takes. ``layers`` are the layers that ``layer`` can
    construct, each as some fields of `LayerConfig` and their values; None is all of them; ``fresh`` is whether they start as the
    initialization says, bias included (IC-002, IC-004, IC-010). ``bit_patterns`` is whether NaN payloads and the like arrive as they are
    (PS-010); ``strided`` is whether views are taken whose memory is not contiguous (PS-012).
    """

    operations: Sequence[str] = ("phase_shift", "inverse_phase_shift")
    orders: Sequence[str] = ORDERS
    data_formats: Sequence[str] = DATA_FORMATS
    ndims: Sequence[int] = (1, 2, 3)
    batch_ndims: Sequence[int] = (0, 1, 2)
    anisotropic: bool = True
    scale_one: bool = True
    empty: bool = True
    bit_patterns: bool = True
    strided: bool = True
    dtypes: Sequence[str] = ("float32",)
    modes: Sequence[str] = ("eager",)
    devices: Sequence[str] = ("cpu",)
    refusals: Sequence[str] = ()
    layers: Sequence[Mapping[str, Any]] | None = None
    fresh: bool = True


class Layer(Protocol):
    """A layer of the implementation, with its parameters in the canonical layout."""

    def parameters(self) -> list[dict[str, np.ndarray]]:
        """Return one dict per stage: ``kernel`` (*k, Ci, C·Πr), ``bias``; separable: ``depthwise`` (*k, Ci, 1) and a 1-tap ``kernel``."""

    def __call__(self, x: Any) -> Any:
        """Apply to a native channels_last tensor (N, *spatial, Ci); return a native channels_last tensor."""

    def gradients(self, x: Any, cotangent: Any) -> tuple[Any, list[dict[str, np.ndarray]]]:
        """Return the gradient of <layer(x), cotangent> for x (native) and for every parameter (canonical layout)."""


class Network(Protocol):
    """A residual U-Net of the implementation, with its parameters as UN-011 names and shapes them."""

    def parameters(self) -> dict[str, np.ndarray]:
        """Return everything by name, running statistics included, as they are now."""

    def __call__(self, x: Any, *, training: bool = False) -> Any:
        """Apply to a native channels_last tensor (N, *spatial, Ci); return one. Training updates the running statistics."""

    def trace(self, x: Any) -> dict[str, np.ndarray]:
        """Return, outside training, the output of every layer and block by name, channels_last, in the sequence of the computation.

        These are all convolutions, normalizations and upsamplings (after their blur), and the sum of a block under the block's own name.
        """

    def gradients(self, x: Any, cotangent: Any, *, training: bool = False) -> dict[str, np.ndarray]:
        """Return the gradient of <network(x), cotangent> for everything that is learned."""

    def step(self, x: Any, target: Any, optimizer: str, learning_rate: float) -> None:
        """Take one step in training, of the framework's own "sgd" or "adam" (as UN-013 fixes it), on ``mean((network(x) - target)**2)``."""


class AdapterProtocol(Protocol):
    """One implementation. Only the methods named in ``claims["operations"]`` are called, and the first group always.

    ``claims`` is a mapping with the fields of `Claims`; what is missing has the default there.
    ``versions`` names what is judged, for instance ``{"torch": "2.13.0"}``.
    """

    name: str
    versions: Mapping[str, str]
    claims: Mapping[str, Any]

    # --- always ---
    def devices(self) -> Mapping[str, str | None]:
        """Return every claimed device: None when it is present, else the reason why it is not."""

    def modes(self, device: str) -> Mapping[str, str | None]:
        """Return every claimed execution mode: None when the machine can run it, else the reason why it cannot."""

    def to_native(self, array: np.ndarray, device: str) -> Any:
        """Return the array as a native tensor on ``device``."""

    def to_numpy(self, value: Any) -> np.ndarray:
        """Return a native tensor as an array, in its own dtype."""

    def device_of(self, value: Any) -> str:
        """Return the claimed name of the device that a native tensor lies on."""

    def compile(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        """Return ``function`` (native tensors in, native tensor out) as it runs in ``mode``. Mode "eager" returns it as it is.

        A mode whose name ends in "dynamic" compiles it for unknown batch and spatial extents; mode "vmap" maps it over axis 0.
        """

    # --- optional ---
    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return Python lines, imports included, that compute ``y`` from a NumPy array ``x`` without this suite."""

    def reduced_precision(self, device: str, allowed: bool | None) -> Mapping[str, bool]:
        """Allow or forbid TensorFloat-32 and whatever else makes float32 less than it is; None changes nothing.

        Return every switch that there is for ``device`` as it *reads* afterwards: True where reduced precision is allowed.
        """

    def reduces_precision(self, device: str) -> str | None:
        """Return None where ``device`` does compute float32 in less when it is allowed to, else the reason why it does not."""

    # --- class shift ---
    def phase_shift(self, x: Any, scale: Any, *, order: str, data_format: str) -> Any:
        """Return the phase shift of a native tensor."""

    def inverse_phase_shift(self, x: Any, scale: Any, *, order: str, data_format: str) -> Any:
        """Return the inverse phase shift of a native tensor."""

    def channel_permutation(self, channels: int, scale: Any, *, source: str, target: str) -> np.ndarray:
        """Return the permutation of CP-001."""

    # --- class gradient ---
    def vjp(self, function: Callable[[Any], Any], x: Any, cotangent: Any) -> Any:
        """Return the vector-Jacobian product of ``function`` at ``x``, by the framework's own differentiation."""

    # --- class init ---
    def icnr(
        self, base: Callable[[tuple[int, ...]], np.ndarray], shape: tuple[int, ...], scale: Any, *, order: str, dtype: str = "float32"
    ) -> np.ndarray:
        """Return a kernel of canonical ``shape`` (*k, Ci, C·Πr), made by the implementation's initializer from ``base``, in ``dtype``.

        ``base`` stands for the base initializer: it is called with the canonical shape that the initializer asks for and returns an array.
        The adapter transposes between that and the framework's own layout, in both directions, and adds nothing. ``dtype`` is given where
        it is not float32: it is float64 then, for those that claim it.
        """

    def icnr_bias(self, bias: np.ndarray, scale: Any, *, order: str) -> np.ndarray:
        """Return the bias (C·Πr,) of IC-002 for a base bias (C,)."""

    def icnr_residual(self, kernel: np.ndarray, scale: Any, *, order: str, bias: np.ndarray | None = None) -> float:
        """Return the residual of IC-005."""

    def icnr_weight_norm(self, kernel: np.ndarray, scale: Any, *, order: str) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(g, v)`` of IC-006 for a base kernel (*k, Ci, C)."""

    # --- class layer ---
    def conv(self, x: Any, kernel: Any, bias: Any = None, *, padding: Any = "same") -> Any:
        """Return the convolution of CV-001 for native tensors, channels_last."""

    def conv_transpose(self, x: Any, kernel: Any, bias: Any = None, *, stride: Any, padding: Any = 0, output_padding: Any = 0) -> Any:
        """Return the transposed convolution of CV-004; stride and paddings are tuples, one value per axis."""

    def nearest_upsample(self, x: Any, scale: Any) -> Any:
        """Return the nearest-neighbour upsampling of CV-005."""

    def box_blur(self, x: Any, scale: Any) -> Any:
        """Return the blur of BL-001."""

    def checkerboard(self, x: Any, scale: Any) -> float:
        """Return the measure of CB-001."""

    def layer(self, config: "LayerConfig", device: str, parameters: list[dict[str, np.ndarray]] | None = None) -> Layer:
        """Construct the implementation's own layer. Without ``parameters`` as it comes; with them, loaded into it."""

    # --- class stages ---
    def plan_stages(self, scale: Any, in_channels: int, out_channels: int, **options: Any) -> Any:
        """Return a plan with ``stages`` (each with a ``scale``), ``parameters``, ``macs``, ``activations`` and ``receptive_field``."""

    # --- class unet ---
    def unet(self, config: Mapping[str, Any], device: str, params: Mapping[str, np.ndarray] | None, dtype: str) -> Network:
        """Construct the residual U-Net of ``config``, all fields of `ResidualUNetConfig` by name. Without ``params`` as it comes.

        ``params`` are float32, or float64 for ``dtype="float64"``. ``dtype`` is that of parameters and computation: "float64", "float32",
        "bfloat16"; or "mixed": float32 parameters, and bfloat16 where the framework's own way of mixed precision computes in it.
        """

    def unet_arithmetic(self, config: Mapping[str, Any]) -> Any:
        """Return an object with ``parameters`` and ``macs(spatial)``."""

    def save_weights(self, path: str, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> None:
        """Write a weight file through the implementation's own public function."""

    def load_weights(self, path: str, *, order: str | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Read a weight file likewise: the parameters by name, and the configuration as a dict of its fields."""

    # --- class equivalence: arrays in, arrays out, but for the last three ---
    def deconv_to_subpixel(self, kernel: np.ndarray, bias: np.ndarray | None, **options: Any) -> Any:
        """Return the sub-pixel convolution of EQ-001: ``kernel``, ``bias``, ``scale``, ``order``, ``padding``, ``crop``, ``groups``.

        ``options`` are stride, padding (a tuple of integers, or of pairs where it differs at the ends), output_padding, dilation, groups,
        order and form ("minimal" or "aligned"). What is returned has ``macs(spatial)`` besides.
        """

    def subpixel_to_deconv(self, kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, order: str, padding: Any) -> Any:
        """Return the transposed convolution of EQ-003: ``kernel``, ``bias``, ``stride``, ``padding``, ``output_padding``, ``crop``."""

    def resize_conv_to_subpixel(self, kernel: np.ndarray, bias: np.ndarray | None, **options: Any) -> Any:
        """Return the sub-pixel convolution of EQ-005.

        ``options``: scale, padding, order, form; dilation and groups of the convolution; in refusals mode and align_corners.
        """

    def shift_conv_to_subpixel(self, kernel: np.ndarray, bias: np.ndarray | None, **options: Any) -> Any:
        """Return the sub-pixel convolution of EQ-006. ``options``: scale, padding, order, form."""

    def conv_unshift_to_strided(self, kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, order: str, padding: Any) -> Any:
        """Return the strided convolution of EQ-007: ``kernel``, ``bias``, ``stride``, ``padding`` (pairs)."""

    def unshift_conv_to_strided(self, kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, order: str, padding: Any) -> Any:
        """Return the strided convolution of EQ-007 where the inverse shift comes first."""

    def collapse_stages(self, stages: Any, **options: Any) -> Any:
        """Return the sub-pixel convolution of EQ-008, with its ``interior``, for ``(kernel, bias or None, scale)`` of every stage.

        ``options``: order, padding, form; in a refusal activation.
        """

    def choose_form(self, layers: Sequence[Any], spatial: tuple[int, ...] | None) -> Any:
        """Return the one of several results of ``deconv_to_subpixel`` that EQ-011 chooses."""

    def reorder(self, kernel: np.ndarray, bias: np.ndarray, *, scale: Any, source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel and bias of a sub-pixel convolution for another order: EQ-009."""

    def fractionally_strided_conv(self, x: Any, kernel: Any, bias: Any = None, *, stride: Any, padding: Any, output_padding: Any) -> Any:
        """Return the convolution between zeros of EQ-004 for native tensors, channels_last."""

    def from_conv_transpose(self, x: Any, kernel: np.ndarray, bias: np.ndarray | None, *, device: str, **options: Any) -> Any:
        """Make the framework's own transposed convolution, convert it, and return what the converted layer gives for ``x`` (native).

        ``options`` are stride, padding and output_padding; a framework that knows no padding crops what is converted.
        """

    def from_resize_conv(self, x: Any, kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, padding: Any, device: str) -> Any:
        """Make the framework's own resize and convolution, convert the pair, and return what it gives for ``x`` (native).

        ``padding`` is "same", "valid" or pairs; what the framework's convolution does not know is put around its input by hand, before.
        """


@dataclass(frozen=True)
class LayerConfig:
    """A layer to construct. ``factors`` None is the plain layer, a tuple the chained one with those stages."""

    ndim: int
    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, ...]
    scale: tuple[int, ...]
    order: str
    padding: Any = "same"
    bias: bool = True
    separable: bool = False
    blur: bool = False
    factors: tuple[tuple[int, ...], ...] | None = None
    width: int | None = None
    activation: str | None = None
    """None or "relu", between the stages of a chain."""
    dtype: str = "float32"


_ALWAYS = (
    *("claims", "compile", "device_of", "devices", "modes", "name", "to_native", "to_numpy", "versions"),
    *("snippet", "reduced_precision", "reduces_precision"),
)
OPERATIONS = tuple(name for name in AdapterProtocol.__dict__ if not name.startswith("_") and name not in _ALWAYS)
CLAIMABLE = (*OPERATIONS, "unet_mixed", "unet_gradients", "unet_steps")
"""What ``claims["operations"]`` may name."""
