"""The published Purchase-100 network, for several models at once, with a clipped gradient.

Linear(d, 128), Tanh, Linear(128, classes): "3-layer" in the competition's words, which count the
input. Every parameter has a leading dimension M, the models that are computed together. The first
weight is held transposed, (d, 128): on a CPU both of its matrix products then run up to twice as
fast. `to_state_dicts` and `from_state_dicts` speak the published layout.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

HIDDEN = 128
Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class MLP:
    """The network's shape, and its arithmetic as methods that hold no state."""

    features: int
    classes: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each parameter's shape as held here, under its published state-dict key."""
        return {
            "mlp.0.weight": (self.features, HIDDEN),
            "mlp.0.bias": (HIDDEN,),
            "mlp.2.weight": (self.classes, HIDDEN),
            "mlp.2.bias": (self.classes,),
        }

    def init_bound(self, name: str) -> float:
        """torch.nn.Linear's default: parameters uniform in +- 1 / sqrt(inputs of the layer)."""
        return (self.features if name.startswith("mlp.0.") else HIDDEN) ** -0.5

    def to_state_dicts(self, parameters: Parameters) -> list[dict[str, Tensor]]:
        """One published state dict per model: weights as torch.nn.Linear has them, on the CPU."""
        published = {name: value.detach().cpu() for name, value in parameters.items()}
        published["mlp.0.weight"] = published["mlp.0.weight"].transpose(1, 2)
        models = len(published["mlp.0.weight"])
        return [
            {
                name: value[model].clone(memory_format=torch.contiguous_format)
                for name, value in published.items()
            }
            for model in range(models)
        ]

    def from_state_dicts(self, state_dicts: Sequence[dict[str, Tensor]]) -> Parameters:
        """The inverse of `to_state_dicts`.

        Raises:
            ValueError: a key or shape that is not this network's; the message names it.
        """
        shapes = self.shapes | {"mlp.0.weight": (HIDDEN, self.features)}
        for state_dict in state_dicts:
            found = {name: tuple(value.shape) for name, value in state_dict.items()}
            if found != shapes:
                raise ValueError(f"parameters {found}, expected {shapes}")
        parameters = {name: torch.stack([one[name] for one in state_dicts]) for name in shapes}
        parameters["mlp.0.weight"] = parameters["mlp.0.weight"].transpose(1, 2).contiguous()
        return parameters

    def logits(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Logits (M, B, classes) for inputs x (M, B, d)."""
        return self._forward(parameters, x)[1]

    def gradient_sum(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        weight: Tensor,
        clipping_norm: float | None,
        out: Parameters,
    ) -> None:
        """Write the weighted sum of per-example cross-entropy gradients, clipped, into `out`.

        No per-example gradient is formed. For a linear layer with input a and back-propagated d
        the gradient is the outer product d (a, 1), of squared norm |d|^2 (|a|^2 + 1) (Goodfellow
        2015, arXiv 1510.01799), so that clipping an example is a scaling of its d.

        Args:
            x: inputs (M, B, d); y: labels (M, B) int64.
            weight: (M, B); 0 for padding, else what each (clipped) gradient is multiplied by.
            clipping_norm: the bound C on each example's gradient norm, or None. The factor is
                min(1, C / (norm + 1e-6)) as in Opacus.
            out: gradients, shapes as `parameters`; overwritten.
        """
        hidden, delta2 = self._forward(parameters, x)
        delta2 = delta2.softmax(-1)
        delta2.scatter_add_(-1, y.unsqueeze(-1), torch.full_like(weight, -1.0).unsqueeze(-1))
        delta1 = torch.bmm(delta2, parameters["mlp.2.weight"])
        squared_hidden = hidden.square()
        delta1 -= delta1 * squared_hidden
        scale = weight
        if clipping_norm is not None:
            squared = _squared_norm(delta2).mul_(squared_hidden.sum(-1).add_(1.0))
            squared += _squared_norm(delta1).mul_(_squared_norm(x).add_(1.0))
            scale = weight * (clipping_norm / (squared.sqrt_() + 1e-6)).clamp_(max=1.0)
        delta2 *= scale.unsqueeze(-1)
        delta1 *= scale.unsqueeze(-1)
        torch.bmm(x.transpose(1, 2), delta1, out=out["mlp.0.weight"])
        torch.sum(delta1, 1, out=out["mlp.0.bias"])
        torch.bmm(delta2.transpose(1, 2), hidden, out=out["mlp.2.weight"])
        torch.sum(delta2, 1, out=out["mlp.2.bias"])

    def _forward(self, parameters: Parameters, x: Tensor) -> tuple[Tensor, Tensor]:
        """The hidden layer's output (M, B, 128) and the logits (M, B, classes)."""
        bias1, bias2 = (parameters[f"mlp.{layer}.bias"].unsqueeze(1) for layer in (0, 2))
        # On a CPU a product, then adding the bias in place, beats torch.baddbmm.
        hidden = torch.bmm(x, parameters["mlp.0.weight"]).add_(bias1).tanh_()
        logits = torch.bmm(hidden, parameters["mlp.2.weight"].transpose(1, 2)).add_(bias2)
        return hidden, logits


def _squared_norm(x: Tensor) -> Tensor:
    return torch.linalg.vecdot(x, x)
