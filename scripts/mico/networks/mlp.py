"""The published Purchase-100 network, for several models at once, with a clipped gradient.

Linear(d, 128), Tanh, Linear(128, classes): "3-layer" in the competition's words, which count the
input. Every parameter has a leading dimension M, the models that are computed together.

The first layer is held as one matrix (d + 1, 128), the transposed weight above the bias, and every
input ends in a 1: the bias then costs no operation of its own, and a CPU multiplies up to twice as
fast as with the published layout, which `to_state_dicts` and `from_state_dicts` speak. Inputs that
are bits stay packed, and a CPU multiplies by them as they are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mico.data.store import Description
from mico.networks import bits
from mico.networks.architecture import (
    Clipping,
    ExampleGradients,
    Parameters,
    log_norm,
    smooth_,
    uniform_weights,
)
from mico.networks.facts import PHYSICAL_BATCH_SIZE, Facts, networks
from mico.networks.kernels import clip_, softmax_error_, tanh_
from mico.networks.model_files import StateDictFile
from mico.networks.randomness import RandomStream

FACTS = {
    "mlp": {
        "data": ("bits", "numbers"),
        "summary": "for bits and numbers: Linear(d, 128), Tanh, Linear(128, classes)",
        "layers": "`mlp`: Linear, Tanh, Linear, on features as they are stored: 0 and 1, or "
        "numbers.",
        "record_seconds": 6.7e-6,
        "step_seconds": 1.5e-3,
        "forward": 0.5,
        "features": 600,
        "accuracy_records": 1_000_000,
        "white_box_records": 10_000,
        "white_box_shadows": 10_000,
    }
}
HIDDEN = 128


@dataclass(frozen=True)
class MLP(StateDictFile):
    """The network's shape, and its arithmetic as methods that hold no state."""

    features: int
    classes: int

    @property
    def facts(self) -> Facts:
        """What is known of the network without building it, such as its costs."""
        return networks()["mlp"]

    @property
    def physical_batch_size(self) -> int:
        """The default: what it holds of an example is small, and it computes on all at a time."""
        return PHYSICAL_BATCH_SIZE

    @property
    def batched(self) -> bool:
        """Whether one operation computes several models."""
        return True

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each parameter's shape, by name, without the leading dimension M."""
        return {
            "mlp.0": (self.features + 1, HIDDEN),
            "mlp.2.weight": (self.classes, HIDDEN),
            "mlp.2.bias": (1, self.classes),
        }

    @property
    def statistics(self) -> tuple[str, ...]:
        """Statistics of batches: there are none."""
        return ()

    @property
    def dropout(self) -> bool:
        """Whether gradients in training are random: not here, for there is no dropout."""
        return False

    def initial_weights(self, stream: RandomStream) -> Parameters:
        """torch.nn.Linear's default: parameters uniform in +- 1 / sqrt(inputs of the layer)."""
        return uniform_weights(self.shapes, self._init_bound, stream)

    def _init_bound(self, name: str) -> float:
        return math.pow(self.features if name == "mlp.0" else HIDDEN, -0.5)

    def to_state_dicts(self, parameters: Parameters) -> list[dict[str, Tensor]]:
        """One published state dict per model, on the CPU: weights as torch.nn.Linear has them."""
        first, weight, bias = (parameters[name].detach().cpu() for name in self.shapes)
        published = {
            "mlp.0.weight": first[:, :-1].transpose(1, 2),
            "mlp.0.bias": first[:, -1],
            "mlp.2.weight": weight,
            "mlp.2.bias": bias[:, 0],
        }
        return [
            {
                name: value[model].clone(memory_format=torch.contiguous_format)
                for name, value in published.items()
            }
            for model in range(len(first))
        ]

    def from_state_dicts(self, state_dicts: Sequence[dict[str, Tensor]]) -> Parameters:
        """Parameters with a leading dimension M from M published state dicts.

        Raises:
            ValueError: a key or shape that is not this network's; the message names it.
        """
        shapes = {
            "mlp.0.weight": (HIDDEN, self.features),
            "mlp.0.bias": (HIDDEN,),
            "mlp.2.weight": (self.classes, HIDDEN),
            "mlp.2.bias": (self.classes,),
        }
        for state_dict in state_dicts:
            found = {name: tuple(value.shape) for name, value in state_dict.items()}
            if found != shapes:
                raise ValueError(f"parameters {found}, expected {shapes}")
        first, first_bias, weight, bias = (
            torch.stack([one[name] for one in state_dicts]) for name in shapes
        )
        first = torch.cat([first.transpose(1, 2), first_bias.unsqueeze(1)], 1)
        return dict(zip(self.shapes, (first, weight, bias.unsqueeze(1)), strict=True))

    def encode(self, features: np.ndarray) -> np.ndarray:
        """Features (N, d), with a last column of ones, the biases' input; bits are packed."""
        whole = np.pad(features, ((0, 0), (0, 1)), constant_values=1)
        return bits.pack(whole) if features.dtype == np.uint8 else whole

    def inputs(self, encoded: Tensor) -> Tensor:
        """Encoded features (M, B, d + 1) as float32; on a CPU, bits as words (M, B, W) int32."""
        if encoded.dtype != torch.int32 or encoded.device.type == "cpu":
            return encoded
        return bits.unpack(encoded, self.features + 1)

    def logits(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Logits (M, B, classes) for inputs x (M, B, d + 1) that end in a 1."""
        return self._forward(parameters, x)[1]

    def hidden(self, parameters: Parameters, x: Tensor) -> Tensor:
        """The hidden layer's activations (M, B, 128)."""
        return self._forward(parameters, x)[0]

    def mean_gradient(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        out: Parameters,
        seeds: Sequence[int] | None = None,
        smoothing: float = 0.0,
    ) -> None:
        """Write the gradient of the batch's mean cross-entropy into `out`.

        Args:
            x: inputs (M, B, d + 1) that end in a 1; y: labels (M, B) int64.
            out: gradients, shapes as `parameters`; overwritten.
            seeds: not used, there is no dropout.
            smoothing: the share of a label that is spread evenly over all classes.
        """
        hidden, delta1, delta2 = self._backward(parameters, x, y, smoothing, 1 / x.shape[1])
        _add_product_transposed_(out["mlp.0"].zero_(), x, delta1)
        torch.bmm(delta2.transpose(1, 2), hidden, out=out["mlp.2.weight"])
        torch.sum(delta2, 1, keepdim=True, out=out["mlp.2.bias"])

    def add_clipped_gradients(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        bound: Tensor,
        clipping: Clipping,
        out: Parameters,
        seeds: Sequence[int] | None = None,
        smoothing: float = 0.0,
    ) -> None:
        """Add the weighted sum of the examples' cross-entropy gradients, each clipped, to `out`.

        No per-example gradient is formed. For a linear layer with input a and back-propagated d
        the gradient is the outer product d (a, 1), of squared norm |d|^2 (|a|^2 + 1) (Goodfellow
        2015, arXiv 1510.01799), so that clipping an example is a scaling of its d.

        Args:
            x: inputs (M, B, d + 1) that end in a 1; y: labels (M, B) int64.
            bound: (M, B); what the norm of each example's contribution is at most: the clipping
                norm C times the example's weight, 0 for padding.
            clipping: with C.
            out: shapes as `parameters`; holds the noise, or zeros.
            seeds: not used, there is no dropout.
            smoothing: the share of a label that is spread evenly over all classes.
        """
        hidden, delta1, delta2 = self._backward(parameters, x, y, smoothing)
        clip_(_squares(x), delta1, hidden, delta2, bound, *clipping.least_and_added)
        _add_product_transposed_(out["mlp.0"], x, delta1)
        out["mlp.2.weight"].baddbmm_(delta2.transpose(1, 2), hidden)
        out["mlp.2.bias"].add_(delta2.sum(1, keepdim=True))

    def example_gradients(
        self, parameters: Parameters, x: Tensor, y: Tensor, directions: Mapping[str, Parameters]
    ) -> ExampleGradients:
        """Measure single examples' gradients, as an attacker can who has the weights.

        No gradient is formed: that of a linear layer is the outer product of the back-propagated d
        and the input a, with norm |d| |a| and product d . (G a) with a matrix G.

        Args:
            x: inputs (M, B, d + 1) that end in a 1; y: labels (M, B) int64.
            directions: by a name, each of the shapes of `parameters`.
        """
        hidden, delta1, delta2 = self._backward(parameters, x, y)
        log_norms = [
            _squares(x).log().div(2) + log_norm(delta1),
            hidden.square().sum(-1).add(1).log().div(2) + log_norm(delta2),
        ]
        products = {}
        for name, direction in directions.items():
            first = _product(x, direction["mlp.0"])
            second = torch.bmm(hidden, direction["mlp.2.weight"].transpose(1, 2))
            second += direction["mlp.2.bias"]
            products[name] = (first * delta1).sum(-1) + (second * delta2).sum(-1)
        return ExampleGradients(hidden, log_norms, products)

    def _forward(self, parameters: Parameters, x: Tensor) -> tuple[Tensor, Tensor]:
        """The hidden layer's output (M, B, 128) and the logits (M, B, classes)."""
        hidden = tanh_(_product(x, parameters["mlp.0"]))
        logits = torch.bmm(hidden, parameters["mlp.2.weight"].transpose(1, 2))
        # On a CPU adding the bias in place beats torch.baddbmm.
        return hidden, logits.add_(parameters["mlp.2.bias"])

    def _backward(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        smoothing: float = 0.0,
        weight: float = 1.0,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The hidden layer's output, and the loss's derivative by each layer's output before tanh.

        (M, B, 128), (M, B, 128) and (M, B, classes), for the sum of the examples' losses, each
        times the weight.
        """
        hidden, logits = self._forward(parameters, x)
        delta2 = smooth_(softmax_error_(logits, y), y, smoothing)
        if weight != 1:
            delta2.mul_(weight)
        delta1 = torch.bmm(delta2, parameters["mlp.2.weight"])
        torch.ops.aten.tanh_backward.grad_input(delta1, hidden, grad_input=delta1)
        return hidden, delta1, delta2


def _product(x: Tensor, numbers: Tensor) -> Tensor:
    """Inputs (M, B, D), perhaps packed, times numbers (M, D, H)."""
    if x.dtype != torch.int32:
        return torch.bmm(x, numbers)
    return bits.add_product_(numbers.new_zeros(*x.shape[:2], numbers.shape[2]), x, numbers)


def _add_product_transposed_(out: Tensor, x: Tensor, numbers: Tensor) -> None:
    """Add inputs (M, B, D), perhaps packed and transposed in any case, times numbers (M, B, H)."""
    if x.dtype != torch.int32:
        out.baddbmm_(x.transpose(1, 2), numbers)
    else:
        bits.add_product_(out, bits.transpose(x, out.shape[1]), numbers)


def _squares(x: Tensor) -> Tensor:
    """The squared norms (M, B) of inputs (M, B, D), perhaps packed."""
    return x.square().sum(-1) if x.dtype != torch.int32 else bits.ones(x)


def build(name: str, data: Description, physical_batch_size: int, precision: str) -> MLP:
    """The network for a data set of bits or numbers; it computes on a batch at once, in float32."""
    return MLP(data.features, data.classes)
