"""The backend as the conformance suite judges it."""

import shutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import subpixel_torch as backend
from subpixel_core import ResidualUNetConfig, padding_widths
from subpixel_torch.unet import canonical

_layers = {
    1: (backend.SubpixelConv1d, backend.ChainedSubpixelConv1d),
    2: (backend.SubpixelConv2d, backend.ChainedSubpixelConv2d),
    3: (backend.SubpixelConv3d, backend.ChainedSubpixelConv3d),
}

_transposed: Mapping[int, Any] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_convolutions: Mapping[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class TorchAdapter:
    """`subpixel_torch` on NumPy arrays."""

    name = "subpixel_torch"
    versions: Mapping[str, str] = {"torch": torch.__version__}
    claims: Mapping[str, Any] = {
        "operations": (
            *("phase_shift", "inverse_phase_shift", "vjp", "icnr", "box_blur", "layer"),
            *("unet", "unet_mixed", "unet_gradients", "unet_steps", "save_weights", "load_weights"),
            *("from_conv_transpose", "from_resize_conv"),
        ),
        "orders": ("DCR", "CRD", "DRC", "RCD"),
        "data_formats": ("channels_last", "channels_first"),
        "ndims": (1, 2, 3, 4),
        "batch_ndims": (0, 1, 2, 3),
        "dtypes": (
            *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
            *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
        ),
        "modes": ("eager", "compile", "compile-dynamic", "vmap"),
        "devices": ("cpu", "cuda"),
        "refusals": ("ER-001", "ER-002", "ER-003", "ER-004", "ER-005", "ER-006", "ER-007", "UN-014", "UN-015"),
    }

    def __init__(self) -> None:
        # A process that judges float32 computes in float32, not in TensorFloat-32.
        self.reduced_precision("cuda", False)

    def devices(self) -> Mapping[str, str | None]:
        return {"cpu": None, "cuda": None if torch.cuda.is_available() else "torch finds no CUDA device"}

    def modes(self, device: str) -> Mapping[str, str | None]:
        compiler = device != "cpu" or any(shutil.which(name) for name in ("g++", "clang++", "cl"))
        reason = None if compiler else "torch.compile needs a C++ compiler, and none is installed"
        return {"eager": None, "compile": reason, "compile-dynamic": reason, "vmap": None}

    def reduced_precision(self, device: str, allowed: bool | None) -> Mapping[str, bool]:
        cuda = torch.backends.cuda.matmul
        if allowed is not None:
            torch.set_float32_matmul_precision("high" if allowed else "highest")
            torch.backends.cudnn.allow_tf32 = allowed
            cuda.allow_fp16_reduced_precision_reduction = allowed
            cuda.allow_bf16_reduced_precision_reduction = allowed
        found = {"float32_matmul_precision": torch.get_float32_matmul_precision() != "highest"}
        if device == "cuda":
            found["cuda.matmul.allow_tf32"] = cuda.allow_tf32
            found["cudnn.allow_tf32"] = torch.backends.cudnn.allow_tf32
            found["cuda.matmul.allow_fp16_reduced_precision_reduction"] = bool(cuda.allow_fp16_reduced_precision_reduction)
            found["cuda.matmul.allow_bf16_reduced_precision_reduction"] = bool(cuda.allow_bf16_reduced_precision_reduction)
        return found

    def reduces_precision(self, device: str) -> str | None:
        if device != "cuda":
            return f"float32 is float32 on {device}"
        capability = torch.cuda.get_device_capability()
        return (
            None if capability >= (8, 0) else f"TensorFloat-32 needs compute capability 8.0; this GPU has {capability[0]}.{capability[1]}"
        )

    def to_native(self, array: np.ndarray, device: str) -> Tensor:
        if any(stride < 0 for stride in array.strides) or not array.flags.writeable or not array.flags.aligned:
            array = array.copy()  # torch has no such tensors
        if array.dtype.name == "bfloat16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
        return torch.from_numpy(array).to(device)

    def to_numpy(self, value: Tensor) -> np.ndarray:
        value = value.detach().cpu()
        if value.dtype == torch.bfloat16:
            import ml_dtypes

            return value.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return value.resolve_conj().numpy()

    def device_of(self, value: Tensor) -> str:
        return value.device.type

    def compile(self, function: Callable[..., Tensor], mode: str) -> Callable[..., Tensor]:
        if mode == "eager":
            return function
        if mode == "vmap":
            return torch.func.vmap(function)
        torch.compiler.reset()
        return torch.compile(function, fullgraph=True, dynamic=mode == "compile-dynamic")

    def phase_shift(self, x: Tensor, scale: Any, *, order: Any, data_format: Any) -> Tensor:
        return backend.phase_shift(x, scale, order=order, data_format=data_format)

    def inverse_phase_shift(self, x: Tensor, scale: Any, *, order: Any, data_format: Any) -> Tensor:
        return backend.inverse_phase_shift(x, scale, order=order, data_format=data_format)

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        call = f"subpixel_torch.{operation}(torch.from_numpy(x), {scale}, order={order!r}, data_format={data_format!r})"
        return f"import torch, subpixel_torch\ny = {call}.numpy()"

    def vjp(self, function: Callable[[Tensor], Tensor], x: Tensor, cotangent: Tensor) -> Tensor:
        return torch.func.vjp(function, x)[1](cotangent)[0]

    def icnr(
        self, base: Callable[[tuple[int, ...]], np.ndarray], shape: tuple[int, ...], scale: Any, *, order: Any, dtype: str = "float32"
    ) -> np.ndarray:
        def initializer(tensor: Tensor) -> Tensor:
            drawn = torch.from_numpy(base((*tensor.shape[2:], *tensor.shape[1::-1])))
            return tensor.copy_(_from_canonical(drawn))

        weight = torch.empty(shape[-1], shape[-2], *shape[:-2], dtype=getattr(torch, dtype))
        return _to_canonical(backend.icnr_(weight, scale, order=order, initializer=initializer)).numpy()

    def box_blur(self, x: Tensor, scale: Any) -> Tensor:
        return backend.box_blur(x.movedim(-1, 1), scale).movedim(1, -1)

    def layer(self, config: Any, device: str, parameters: list[dict[str, np.ndarray]] | None = None) -> "_JudgedLayer":
        plain, chained = _layers[config.ndim]
        options = {name: getattr(config, name) for name in ("padding", "bias", "order", "separable", "blur")} | {
            "device": device,
            "dtype": getattr(torch, config.dtype),
        }
        shape = (config.in_channels, config.out_channels, config.kernel_size, config.scale)
        module: nn.Module
        stages: list[nn.Module]
        if config.factors is None:
            module = plain(*shape, **options)
            stages = [module]
        else:
            activation = {None: None, "relu": F.relu}[config.activation]
            module = chained(*shape, factors=config.factors, width=config.width, activation=activation, **options)
            stages = [*module.stages]
        if parameters is not None:
            with torch.no_grad():
                for stage, arrays in zip(stages, parameters, strict=True):
                    for name, array in arrays.items():
                        getattr(stage, _names[name]).copy_(_from_canonical(self.to_native(array, device), _names[name]))
        return _JudgedLayer(self, module, stages)

    def from_conv_transpose(
        self, x: Tensor, kernel: np.ndarray, bias: np.ndarray | None, *, stride: Any, padding: Any, output_padding: Any, device: str
    ) -> Tensor:
        deconvolution = _transposed[len(stride)]
        options = {"stride": stride, "padding": padding, "output_padding": output_padding, "bias": bias is not None, "device": device}
        module = deconvolution(*kernel.shape[-2:], kernel.shape[:-2], **options)
        self._load(module, {"weight": np.moveaxis(kernel, (-2, -1), (0, 1)), "bias": bias}, device)  # (Ci, Co, *K)
        return backend.from_conv_transpose(module)(x.movedim(-1, 1).contiguous()).movedim(1, -1)

    def from_resize_conv(self, x: Tensor, kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, padding: Any, device: str) -> Tensor:
        # torch's convolution has the same zeros at both ends: of other pairs the larger, and what is too much is cropped from the output.
        taps = kernel.shape[:-2]
        pairs = padding_widths(padding, taps)
        both = tuple(max(pair) for pair in pairs)
        module = _convolutions[len(scale)](*kernel.shape[-2:], taps, padding=both, bias=bias is not None, device=device)
        self._load(module, {"weight": np.moveaxis(kernel, (-2, -1), (1, 0)), "bias": bias}, device)  # (Co, Ci, *k)
        resize = nn.Upsample(scale_factor=tuple(map(float, scale)))
        y = backend.from_resize_conv(resize, module)(x.movedim(-1, 1).contiguous()).movedim(1, -1)
        ends = [(more - before, more - after) for more, (before, after) in zip(both, pairs, strict=True)]
        return y[(slice(None), *(slice(first, extent - last) for (first, last), extent in zip(ends, y.shape[1:-1], strict=True)))]

    def _load(self, module: nn.Module, arrays: Mapping[str, np.ndarray | None], device: str) -> None:
        with torch.no_grad():
            for name, array in arrays.items():
                if array is not None:
                    getattr(module, name).copy_(self.to_native(np.ascontiguousarray(array), device))

    def unet(self, config: Mapping[str, Any], device: str, params: Mapping[str, np.ndarray] | None, dtype: str) -> "_JudgedNetwork":
        model = backend.ResidualUNet(ResidualUNetConfig(**config))
        model.to(device, torch.float32 if dtype == "mixed" else getattr(torch, dtype))
        if params is not None:
            backend.set_parameters(model, params)
        return _JudgedNetwork(self, model, torch.autocast(device, torch.bfloat16, enabled=dtype == "mixed"))

    def save_weights(self, path: str, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> None:
        model = backend.ResidualUNet(ResidualUNetConfig(**config))
        model.to(getattr(torch, str(next(iter(params.values())).dtype)))
        backend.set_parameters(model, params)
        backend.save_weights(path, model)

    def load_weights(self, path: str, *, order: Any = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        model = backend.load_weights(path, order=order)
        return backend.get_parameters(model), model.config.as_dict()


_names = {"kernel": "weight", "bias": "bias", "depthwise": "depthwise"}


_canonical_axes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "weight": ((1, 0), (-2, -1)),  # (Co, Ci, *k) -> (*k, Ci, Co)
    "depthwise": ((0, 1), (-2, -1)),  # (Ci, 1, *k) -> (*k, Ci, 1)
    "bias": ((), ()),
}


def _to_canonical(parameter: Tensor, name: str = "weight") -> Tensor:
    return parameter.movedim(*_canonical_axes[name])


def _from_canonical(array: Tensor, name: str = "weight") -> Tensor:
    return array.movedim(*reversed(_canonical_axes[name]))


class _JudgedLayer:
    """A module on channels_last tensors, its parameters in the canonical layout."""

    def __init__(self, adapter: TorchAdapter, module: nn.Module, stages: list[Any]) -> None:
        self.adapter, self.module, self.stages = adapter, module, stages

    def __call__(self, x: Tensor) -> Tensor:
        # Contiguous, as a user's tensors are: inductor of torch 2.13 does not compile torch's own Conv2d for unknown extents otherwise.
        return self.module(x.movedim(-1, 1).contiguous()).movedim(1, -1)

    def parameters(self) -> list[dict[str, np.ndarray]]:
        return [self._canonical(dict(stage.named_parameters())) for stage in self.stages]

    def gradients(self, x: Tensor, cotangent: Tensor) -> tuple[Any, list[dict[str, np.ndarray]]]:
        x = x.detach().requires_grad_()
        self.module.zero_grad()
        self(x).backward(cotangent)
        return x.grad, [self._canonical({name: parameter.grad for name, parameter in stage.named_parameters()}) for stage in self.stages]

    def _canonical(self, tensors: dict[str, Any]) -> dict[str, np.ndarray]:
        own = {torch_name: name for name, torch_name in _names.items()}
        return {own[name]: self.adapter.to_numpy(_to_canonical(tensor, name)) for name, tensor in tensors.items()}


class _JudgedNetwork:
    """A model on channels_last tensors, its parameters in the canonical layout."""

    def __init__(self, adapter: TorchAdapter, model: backend.ResidualUNet, precision: torch.autocast) -> None:
        self.adapter, self.model, self.precision = adapter, model, precision
        self.optimizers: dict[str, torch.optim.Optimizer] = {}

    def __call__(self, x: Tensor, *, training: bool = False) -> Tensor:
        self.model.train(training)
        with self.precision:
            return self.model(x.movedim(-1, 1)).movedim(1, -1)

    def parameters(self) -> dict[str, np.ndarray]:
        return backend.get_parameters(self.model)

    def trace(self, x: Tensor) -> dict[str, np.ndarray]:
        seen: dict[str, np.ndarray] = {}
        layers = {name.rpartition(".")[0] for name in canonical(self.model)}

        def watch(name: str, module: nn.Module) -> Any:
            return module.register_forward_hook(lambda module, given, y: seen.update({name: self.adapter.to_numpy(y.movedim(1, -1))}))

        hooks = [
            watch(name, module)
            for name, module in self.model.named_modules()
            if name in layers or f"{name}.conv1" in layers  # a layer with parameters, or a block
        ]
        self(x)
        for hook in hooks:
            hook.remove()
        return seen

    def gradients(self, x: Tensor, cotangent: Tensor, *, training: bool = False) -> dict[str, np.ndarray]:
        self.model.zero_grad()
        y = self(x, training=training)
        y.backward(cotangent.to(y.dtype))
        gradients = canonical(self.model, lambda parameter: parameter.grad)
        return {name: self.adapter.to_numpy(gradient) for name, gradient in gradients.items() if gradient is not None}

    def step(self, x: Tensor, target: Tensor, optimizer: str, learning_rate: float) -> None:
        made = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
        stepping = self.optimizers.setdefault(optimizer, made(self.model.parameters(), lr=learning_rate))
        stepping.zero_grad()
        ((self(x, training=True) - target) ** 2).mean().backward()
        stepping.step()


adapter = TorchAdapter()
