"""Encoders of the transformers library that classify sentences, with a clipped gradient.

Any sequence-classification model whose parameters are in linear layers, embeddings and layer norms
that are each called once, on every sentence by itself: RoBERTa, BERT and most of their relatives.
The library's own code runs the model; what is here is its gradient.

No example's gradient is formed. One pass back gives the loss's derivatives by the outputs of all
layers, of activations alone. With these and the layers' inputs, the norm of each example's gradient
comes from products of tokens (Li et al. 2021, arXiv 2110.05679), and the sum of the clipped
gradients from the matrix products that a plain gradient takes, of derivatives scaled example by
example (the book-keeping of Bu et al. 2022, arXiv 2210.00038). A plain gradient is autograd's.
Since all layers' inputs are kept anyway, recomputing activations (gradient checkpointing) would
save little: what bounds the memory is the physical batch.

In mixed precision a pass forward and back is in bfloat16 (torch's autocast); weights, norms and
sums are in float32, so that no contribution is greater than the clipping norm.

A batch is computed in parts: its sentences by length, padded to the longest of their part alone.
Models are computed one after the other.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from mico.data.store import Description
from mico.networks import dropout
from mico.networks.architecture import SMALLEST, ExampleGradients, Parameters, StateDict
from mico.networks.facts import Facts, networks, parse
from mico.networks.model_files import read_state_dict
from mico.networks.randomness import RandomStream
from mico.support.errors import InputError

Layer = nn.Linear | nn.Embedding | nn.LayerNorm

# What older versions of the library stored beside the weights: numbers from 0 on.
BUFFERS = ("position_ids",)

# The rates of RoBERTa-base are reckoned from a smaller encoder's, by the parameters of a token.
FACTS = {
    "roberta-tiny": {
        "summary": "for text: two layers of 128 features, with random initial weights",
        "record_seconds": 9.4e-4,
        "step_seconds": 1e-2,
        "feature_mb": 0.04,
        "data": ("tokens",),
        "layers": "an encoder of the library `transformers`, which `AutoModelForSequence"
        "Classification.from_pretrained(<folder>)` loads, on token ids as `input_ids` and with 1 in"
        " `attention_mask` for all but padding, the token `pad_token_id` of its configuration.",
        "files": {
            "config.json": "its configuration, for `AutoConfig.from_pretrained(folder)`",
            "model.safetensors": "its weights, for `safetensors.torch.load_file(path)`",
        },
        "older": {"model.safetensors": "pytorch_model.bin"},
        "forward": 0.3333333333333333,  # 1 / 3, as a literal
        "accuracy_records": 2_000,
        "white_box_records": 500,
        "white_box_shadows": 10,
    },
    "roberta-base": {
        "like": "roberta-tiny",
        "summary": "for text: RoBERTa-base as published, downloaded from the hub",
        "record_seconds": 0.11,
        "step_seconds": 1.5,
        "feature_mb": 1.4,
        "weights_mb": 500,
        "pretrained": True,
    },
    "transformers": {
        "like": "roberta-base",
        "summary": "for text: `transformers/<a checkpoint's folder or name>`",
        "checkpoint": True,
    },
}
# roberta-tiny: large enough to learn real sentences, and trained in seconds.
TINY = {
    "num_hidden_layers": 2,
    "hidden_size": 128,
    "num_attention_heads": 2,
    "intermediate_size": 256,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
}
# On a CPU as fast as any, with dropout and the masks of padding.
ATTENTION = "eager"
# What a part of a batch costs on a CPU beyond its tokens, as tokens: less padding makes more parts.
PART_TOKENS = 25  # for passing over all weights and adding to all gradients once more
PART_CALLS = 2e7  # over the parameters that a token meets: for the calls, whose time is the same


@dataclass(frozen=True)
class _Pass:
    """One layer's part in a backward pass over B sentences of T tokens, or of 1 in the head."""

    name: str
    layer: Layer
    inputs: Tensor  # (B, T, K); of an embedding its indices (B, T)
    deltas: Tensor  # (B, T, O) the derivative of each sentence's loss by the output


@dataclass(frozen=True, eq=False)
class Transformer:
    """A model of the transformers library, and its arithmetic as methods that hold no state."""

    name: str
    skeleton: nn.Module  # with nothing in its parameters and buffers
    buffers: StateDict
    layers: dict[str, Layer]  # of the skeleton, by name: those that have parameters
    last: str  # the name of the last
    pretrained: StateDict  # what a checkpoint has of them
    length: int  # tokens of a sentence in the data set, with its padding
    padding: int  # the token's id
    physical_batch_size: int
    precision: str

    @property
    def classes(self) -> int:
        """The number of classes in the data."""
        labels: int = _config(self.skeleton).num_labels
        return labels

    @property
    def facts(self) -> Facts:
        """What is known of the network without building it, such as its costs."""
        return networks()[parse(self.name)[0]]

    @property
    def batched(self) -> bool:
        """Whether one operation computes several models."""
        return False

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each parameter's shape, by the name that it has in the transformers library."""
        return {name: tuple(value.shape) for name, value in self.skeleton.named_parameters()}

    @property
    def dropout(self) -> bool:
        """Whether the model drops activations in training, which its configuration says."""
        layers = self.skeleton.modules()
        return any(isinstance(layer, nn.Dropout) and layer.p > 0 for layer in layers)

    def initial_weights(self, stream: RandomStream) -> Parameters:
        """The checkpoint's weights; what it has none of is drawn as the library would.

        Those are normals of the configuration's `initializer_range` for weights, with 0 for the
        embedding of padding, and 0 for biases; layer norms begin as 1 and 0.
        """
        std = _config(self.skeleton).initializer_range
        weights = {}
        for name, shape in self.shapes.items():
            layer = self.skeleton.get_submodule(name.rpartition(".")[0])
            if name in self.pretrained:
                weights[name] = self.pretrained[name]
            elif name.endswith("bias"):
                weights[name] = torch.zeros(shape)
            elif isinstance(layer, nn.LayerNorm):
                weights[name] = torch.ones(shape)
            else:
                count = math.prod(shape)
                drawn = torch.empty(count + count % 2)
                stream.normals(drawn, std)()
                weights[name] = drawn[:count].view(shape)
                if isinstance(layer, nn.Embedding) and layer.padding_idx is not None:
                    weights[name][layer.padding_idx] = 0
        return weights

    def to_state_dicts(self, parameters: Parameters) -> list[StateDict]:
        """One published state dict per model, on the CPU, as `from_pretrained` takes it."""
        on_cpu = {name: value.detach().cpu() for name, value in parameters.items()}
        models = len(next(iter(on_cpu.values())))
        return [
            {name: value[model].clone() for name, value in on_cpu.items()}
            for model in range(models)
        ]

    def from_state_dicts(self, state_dicts: Sequence[StateDict]) -> Parameters:
        """Parameters with a leading dimension M from M published state dicts.

        Raises:
            ValueError: a key or shape that is not this network's; the message names it.
        """
        shapes = self.shapes
        for state_dict in state_dicts:
            found = {name: tuple(value.shape) for name, value in state_dict.items()}
            for name in shapes | found:
                if found.get(name) != shapes.get(name):
                    given, expected = found.get(name, "missing"), shapes.get(name, "none")
                    raise ValueError(f"parameter {name}: {given}, expected {expected}")
        return {name: torch.stack([one[name] for one in state_dicts]) for name in shapes}

    def write_model(self, folder: Path, state_dict: StateDict, private: bool) -> None:
        """Write model.safetensors and config.json; equal weights give equal bytes.

        `AutoModelForSequenceClassification.from_pretrained(folder)` loads it, trained with DP
        (`private`) or without.
        """
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        config = _config(self.skeleton).to_diff_dict() | {
            "architectures": [type(self.skeleton).__name__],
            "num_labels": self.classes,
            "attn_implementation": ATTENTION,
        }
        (folder / "config.json").write_text(
            json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
        whole = {name: value.contiguous() for name, value in state_dict.items()}
        save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})

    def read_model(self, folder: Path) -> StateDict:
        """Read the weights that `write_model` wrote, or those of an older version of the library.

        Raises:
            InputError: the file is missing or corrupt, or holds other than finite float32 numbers.
        """
        from safetensors.torch import load_file

        path = folder / max(self.facts.found(folder))
        if path.suffix == ".bin":
            return read_state_dict(path, skipped=BUFFERS)
        try:
            state_dict: StateDict = load_file(path)
        except Exception as error:  # safetensors has its own
            raise InputError(f"{path}: cannot be read as safetensors ({_reason(error)})") from None
        for name, value in state_dict.items():
            if value.dtype != torch.float32 or not value.isfinite().all():
                raise InputError(f"{path}: {name}: expected finite float32 numbers")
        return state_dict

    def describe(self, folder: Path) -> str:
        """A released model's network in words, from its configuration, for the data card."""
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        count = sum(value.numel() for value in self.read_model(folder).values())
        return (
            f"{count:,} parameters: {', '.join(config.architectures)},"
            f" {config.num_hidden_layers} layers of {config.hidden_size} features with"
            f" {config.num_attention_heads} heads and"
            f" {config.intermediate_size} features between, {config.vocab_size:,} tokens, padding"
            f" is token {config.pad_token_id}; `config.json` says the rest"
        )

    def encode(self, features: np.ndarray) -> np.ndarray:
        """Token ids (N, L) as int32, which torch can look up."""
        return features.astype(np.int32)

    def inputs(self, encoded: Tensor) -> Tensor:
        """Token ids (M, B, L) as they are."""
        return encoded

    def logits(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Logits (M, B, classes) for token ids x (M, B, L)."""
        return self._evaluate(parameters, x, lambda _, logits: logits)

    def hidden(self, parameters: Parameters, x: Tensor) -> Tensor:
        """The activations (M, B, H) that the last layer takes."""
        return self._evaluate(parameters, x, lambda hidden, _: hidden)

    def mean_gradient(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        out: Parameters,
        seeds: Sequence[int] | None = None,
    ) -> None:
        """Write the gradient of the batch's mean cross-entropy into `out`.

        With dropout the result depends on the physical batch, of which masks are drawn at a time;
        without it, by rounding alone.

        Args:
            x: token ids (M, B, L); y: labels (M, B) int64.
            out: gradients, shapes as `parameters`; overwritten.
            seeds: a word for each model that its dropout is drawn from; None is without dropout.
        """
        for value in out.values():
            value.zero_()
        for model, own in enumerate(_each(parameters)):
            sums = {name: value[model] for name, value in out.items()}
            with _seeded(seeds[model] if seeds else None, x.device):
                for chosen, ids in self._parts(x[model]):
                    self._add_gradient(
                        own, ids, y[model, chosen], seeds is not None, 1 / x.shape[1], sums
                    )

    def add_clipped_gradients(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        bound: Tensor,
        clipping_norm: float,
        out: Parameters,
        seeds: Sequence[int] | None = None,
    ) -> None:
        """Add the weighted sum of the examples' cross-entropy gradients, each clipped, to `out`.

        Args:
            x: token ids (M, B, L); y: labels (M, B) int64.
            bound: (M, B); what the norm of each example's contribution is at most: the clipping
                norm C times the example's weight, 0 for padding, which is not computed at all.
            clipping_norm: C.
            out: shapes as `parameters`; holds the noise, or zeros.
            seeds: as above.
        """
        for model, own in enumerate(_each(parameters)):
            sums = {name: value[model] for name, value in out.items()}
            (rows,) = bound[model].nonzero(as_tuple=True)
            with _seeded(seeds[model] if seeds else None, x.device):
                for chosen, ids in self._parts(x[model, rows]):
                    at = rows[chosen]
                    passes = self._backward(own, ids, y[model, at], seeds is not None)
                    # The weight times min(1, C / norm).
                    scale = bound[model, at] / _total_norm(passes).clamp_(min=clipping_norm)
                    for one in passes:
                        _add(one, scale, sums)

    def example_gradients(
        self, parameters: Parameters, x: Tensor, y: Tensor, directions: Mapping[str, Parameters]
    ) -> ExampleGradients:
        """Measure single examples' gradients, as an attacker can who has the weights.

        The norms are of the embeddings, of each block of the encoder, and of the head.

        Args:
            x: token ids (M, B, L); y: labels (M, B) int64.
            directions: by a name, each of the shapes of `parameters`.
        """
        found = [
            self._examples(
                own,
                x[model],
                y[model],
                [{key: value[model] for key, value in one.items()} for one in directions.values()],
            )
            for model, own in enumerate(_each(parameters))
        ]
        hidden, norms, products = (torch.stack(each) for each in zip(*found, strict=True))
        return ExampleGradients(
            hidden,
            list(norms.movedim(-1, 0)),
            dict(zip(directions, products.movedim(-1, 0), strict=True)),
        )

    def _examples(
        self, parameters: StateDict, x: Tensor, y: Tensor, directions: Sequence[StateDict]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One model's hidden activations (B, H), logarithms of norms (B, blocks) and products."""

        def compute(chosen: Tensor, ids: Tensor) -> Tensor:
            passes = self._backward(parameters, ids, y[chosen], training=False)
            (last,) = (one for one in passes if one.name == self.last)
            norms = [_total_norm(block).clamp_(min=SMALLEST).log_() for block in _blocks(passes)]
            zero = last.deltas.new_zeros(len(ids))
            products = [
                sum((_product(one, direction) for one in passes), start=zero)
                for direction in directions
            ]
            return torch.cat([last.inputs[:, 0], torch.stack(norms + products, 1)], 1)

        found = self._in_parts(x, compute)
        ends = self.layers[self.last].weight.shape[1], found.shape[1] - len(directions)
        hidden, norms, products = found.tensor_split(ends, 1)
        return hidden, norms, products

    def _evaluate(
        self, parameters: Parameters, x: Tensor, take: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Run all models, and stack what `take` returns for the last layer's input and logits.

        Args:
            take: given activations (B, H) and logits (B, classes) of one model.
        """

        def compute(own: StateDict, _: Tensor, ids: Tensor) -> Tensor:
            hidden: list[Tensor] = []
            last = self.layers[self.last]
            with last.register_forward_pre_hook(lambda _, inputs: hidden.append(inputs[0])):
                logits = self._run(own, ids, training=False)
            return take(hidden[0], logits)

        models = zip(_each(parameters), x, strict=True)
        return torch.stack([self._in_parts(ids, partial(compute, own)) for own, ids in models])

    def _in_parts(self, x: Tensor, compute: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Call `compute` on sentences (B, L) part by part; the rows are in the sentences' order."""
        rows, values = [], []
        for chosen, ids in self._parts(x):
            rows.append(chosen)
            values.append(compute(chosen, ids))
        return torch.cat(values)[torch.cat(rows).argsort()]

    def _parts(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield a batch (B, L) in parts: sentences' positions, and ids cut to their longest."""
        lengths = (x != self.padding).sum(1)
        ordered, order = lengths.sort(descending=True, stable=True)
        of_longest = ordered.tolist()
        layers = [one for one in self.layers.values() if not isinstance(one, nn.Embedding)]
        overhead = PART_TOKENS + PART_CALLS / sum(one.weight.numel() for one in layers)
        start = 0
        for size in _sizes(of_longest, self.physical_batch_size * self.length, overhead):
            chosen = order[start : start + size]
            yield chosen, x[chosen, : of_longest[start]]
            start += size

    def _run(self, parameters: StateDict, ids: Tensor, training: bool) -> Tensor:
        """The logits (B, classes) of one model."""
        if self.skeleton.training != training:
            self.skeleton.train(training)
        buffers = {name: value.to(ids.device) for name, value in self.buffers.items()}
        given = {"input_ids": ids, "attention_mask": ids != self.padding}
        state = parameters | buffers
        output = functional_call(self.skeleton, state, (), given, tie_weights=False)
        logits: Tensor = output.logits
        return logits

    def _loss(self, parameters: StateDict, ids: Tensor, y: Tensor, training: bool) -> Tensor:
        """The sum of the sentences' cross-entropies, in the precision of a gradient."""
        with torch.autocast(ids.device.type, torch.bfloat16, self.precision == "bfloat16"):
            logits = self._run(parameters, ids, training)
        return functional.cross_entropy(_widened(logits), y, reduction="sum")

    def _add_gradient(
        self,
        parameters: StateDict,
        ids: Tensor,
        y: Tensor,
        training: bool,
        weight: float,
        sums: StateDict,
    ) -> None:
        """Add the gradient of the sentences' cross-entropies, each times `weight`, to `sums`.

        Autograd's own, but for the embeddings, of which it would make a gradient for every token.
        """
        looked_up: list[tuple[str, Tensor, Tensor]] = []

        def note(name: str, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            looked_up.append((name, inputs[0], output.requires_grad_()))

        with torch.enable_grad(), ExitStack() as hooks:
            leaves = dict(parameters)
            for name, layer in self.layers.items():
                if isinstance(layer, nn.Embedding):
                    hooks.enter_context(layer.register_forward_hook(partial(note, name)))
                    del leaves[f"{name}.weight"]
            for value in leaves.values():
                value.requires_grad_()
            loss = weight * self._loss(parameters, ids, y, training)
        outputs = [output for *_, output in looked_up]
        gradients = torch.autograd.grad(loss, [*leaves.values(), *outputs])
        torch._foreach_add_([sums[name] for name in leaves], gradients[: len(leaves)])
        for (name, inputs, _), deltas in zip(looked_up, gradients[len(leaves) :], strict=True):
            inputs, deltas = _by_token(self.layers[name], inputs, deltas)
            _add_tokens(sums[f"{name}.weight"], inputs, deltas)

    def _backward(
        self, parameters: StateDict, ids: Tensor, y: Tensor, training: bool
    ) -> list[_Pass]:
        """The layers' parts in the backward pass of the sum of the sentences' cross-entropies.

        Raises:
            InputError: the model does not call each layer once, on every sentence by itself.
        """
        calls: list[tuple[str, Tensor, Tensor]] = []

        def each_by_itself(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            # Positions are the same for all sentences, and may be looked up once.
            (indices,) = inputs
            return (indices.expand(len(ids), -1) if len(indices) == 1 else indices,)

        def note(name: str, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if not output.requires_grad:
                output.requires_grad_()
            calls.append((name, inputs[0].detach(), output))

        with torch.enable_grad(), ExitStack() as hooks:
            for name, layer in self.layers.items():
                if isinstance(layer, nn.Embedding):
                    hooks.enter_context(layer.register_forward_pre_hook(each_by_itself))
                hooks.enter_context(layer.register_forward_hook(partial(note, name)))
            loss = self._loss(parameters, ids, y, training)
        once = sorted(name for name, *_ in calls) == sorted(self.layers)
        if not once or any(len(output) != len(ids) for *_, output in calls):
            raise InputError(
                f"architecture {self.name!r}: expected each layer to be called once, on every "
                "sentence by itself"
            )
        deltas = torch.autograd.grad(loss, [output for *_, output in calls])
        passes = []
        for (name, inputs, _), delta in zip(calls, deltas, strict=True):
            layer = self.layers[name]
            by_token = _by_token(layer, _widened(inputs), _widened(delta))
            passes.append(_Pass(name, layer, *by_token))
        return passes


def _widened(value: Tensor) -> Tensor:
    """A tensor in float32 if mixed precision has it in bfloat16; others stay as they are."""
    return value.float() if value.dtype == torch.bfloat16 else value


def _by_token(layer: Layer, inputs: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
    """A layer's input and derivative as (B, T, features); the head's get T = 1.

    An embedding's input stays (B, T), and its derivative is 0 where the token is padding.
    """
    if isinstance(layer, nn.Embedding):
        if layer.padding_idx is not None:  # its gradient is 0
            deltas = deltas * (inputs != layer.padding_idx).unsqueeze(-1)
        return inputs, deltas
    if isinstance(layer, nn.LayerNorm):
        inputs = functional.layer_norm(inputs, layer.normalized_shape, eps=layer.eps)
    inputs, deltas = (each.reshape(len(each), -1, each.shape[-1]) for each in (inputs, deltas))
    return inputs, deltas


def _total_norm(passes: Sequence[_Pass]) -> Tensor:
    """The norm (B,) of each example's gradient by the layers' parameters."""
    return torch.stack([_squared_norm(one) for one in passes]).sum(0).clamp_(min=0).sqrt_()


def _squared_norm(one: _Pass) -> Tensor:
    """The squared norm (B,) of each example's gradient by a layer's parameters."""
    inputs, deltas = one.inputs, one.deltas
    if isinstance(one.layer, nn.Embedding):
        same = inputs.unsqueeze(1) == inputs.unsqueeze(2)
        return (_gram(deltas) * same).sum((1, 2))
    if isinstance(one.layer, nn.LayerNorm):
        total = (inputs * deltas).sum(1).square().sum(1)
    elif inputs.shape[1] * (inputs.shape[2] + deltas.shape[2]) <= inputs.shape[2] * deltas.shape[2]:
        total = (_gram(inputs) * _gram(deltas)).sum((1, 2))
    else:  # of long sentences the gradients themselves are smaller
        gradient = torch.bmm(deltas.transpose(1, 2), inputs)
        total = gradient.square().sum(2).sum(1)
    return total if one.layer.bias is None else total + deltas.sum(1).square().sum(1)


def _gram(x: Tensor) -> Tensor:
    return torch.bmm(x, x.transpose(1, 2))


def _add(one: _Pass, scale: Tensor, sums: StateDict) -> None:
    """Add the sum of each example's gradient times its scale (B,)."""
    deltas, weight = one.deltas * scale.view(-1, 1, 1), sums[f"{one.name}.weight"]
    if isinstance(one.layer, nn.Embedding):
        _add_tokens(weight, one.inputs, deltas)
        return
    inputs, deltas = one.inputs.flatten(0, 1), deltas.flatten(0, 1)
    if isinstance(one.layer, nn.LayerNorm):
        weight.add_((inputs * deltas).sum(0))
    else:
        weight.addmm_(deltas.T, inputs)
    if one.layer.bias is not None:
        sums[f"{one.name}.bias"].add_(deltas.sum(0))


def _add_tokens(weight: Tensor, indices: Tensor, deltas: Tensor) -> None:
    """Add an embedding's gradient to its weight's: indices (B, T), derivatives (B, T, O)."""
    # On a GPU index_add_ sums in any order.
    weight.index_put_((indices.long(),), deltas, accumulate=True)


def _product(one: _Pass, direction: StateDict) -> Tensor:
    """The product (B,) of each example's gradient by a layer's parameters with a direction."""
    weight = direction[f"{one.name}.weight"]
    if isinstance(one.layer, nn.Embedding):
        output = weight[one.inputs]
    else:
        bias = None if one.layer.bias is None else direction[f"{one.name}.bias"]
        if isinstance(one.layer, nn.LayerNorm):
            output = one.inputs * weight if bias is None else one.inputs * weight + bias
        else:
            output = functional.linear(one.inputs, weight, bias)
    return (output * one.deltas).sum((1, 2))


def _blocks(passes: Sequence[_Pass]) -> list[list[_Pass]]:
    """Layers grouped by their names: the embeddings, each block of the encoder, the head."""

    def block(one: _Pass) -> str:
        numbered = re.match(r".*?\.\d+\.", one.name)
        return numbered[0] if numbered else ""

    return [list(group) for _, group in groupby(passes, block)]


def _sizes(lengths: Sequence[int], tokens: int, overhead: float) -> list[int]:
    """How many sentences each part of a batch has, from the longest sentences to the shortest.

    The parts are those that cost least in all: each its tokens, with padding, and `overhead`.

    Args:
        tokens: what a part of more than one sentence holds at most.
    """
    widths, counts = (each[::-1] for each in np.unique(lengths, return_counts=True))
    most = np.maximum(tokens // np.maximum(widths, 1), 1)
    bounds = np.append(0, counts.cumsum())
    # Sentences from one length to another cost this much, in as few parts as may hold them.
    numbers = bounds[1:] - bounds[:-1, None]
    costs = numbers * widths[:, None] + overhead * -(-numbers // most[:, None])
    # From the shortest: the least that the sentences from a length on cost, and where to cut next.
    least, cuts = np.zeros(len(bounds)), np.zeros(len(widths), int)
    for first in reversed(range(len(widths))):
        totals = costs[first, first:] + least[first + 1 :]
        cuts[first] = first + 1 + totals.argmin()
        least[first] = totals.min()
    sizes, first = [], 0
    while first < len(widths):
        number, size = int(numbers[first, cuts[first] - 1]), int(most[first])
        sizes += [min(size, number - begin) for begin in range(0, number, size)]
        first = cuts[first]
    return sizes


def _each(parameters: Parameters) -> Iterator[StateDict]:
    """Yield the parameters of one model after the other, copied.

    A CPU's small matrix products round by where in memory their factors begin: with copies, a model
    gives the same logits at the end of its training as after its release.
    """
    for model in range(len(next(iter(parameters.values())))):
        yield {name: value[model].clone() for name, value in parameters.items()}


@contextmanager
def _seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Let torch's own generator of the device begin with a seed, and then go on where it was."""
    if seed is None:
        yield
        return
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng([device] if on_gpu else []):
        own = torch.cuda.default_generators[device.index] if on_gpu else torch.default_generator
        own.manual_seed(seed)
        yield


def build(name: str, data: Description, physical_batch_size: int, precision: str) -> Transformer:
    """Build the network of this name for a data set of tokens; see `mico.networks.build.build`.

    Raises:
        InputError: transformers is not installed, there is no such checkpoint, or the model does
            not fit the data set or the rules here.
    """
    where = f"architecture {name!r}"
    try:
        import transformers
    except ImportError as error:
        raise InputError(f"{where}: needs the package transformers ({error})") from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # What the library draws itself is not used, and must leave no trace.
    with torch.random.fork_rng([]):
        if name == "roberta-tiny":
            model, pretrained = _tiny(data)
        else:
            model, pretrained = _checkpoint(where, name.removeprefix("transformers/"), data)
    dropout.replace(model)
    layers = _layers(where, model)
    _check(where, model, data)
    last = [
        key
        for key, layer in layers.items()
        if isinstance(layer, nn.Linear) and layer.out_features == data.classes
    ][-1]
    buffers = dict(model.named_buffers())
    skeleton = model.to("meta").requires_grad_(False)
    found = Transformer(
        name,
        skeleton,
        buffers,
        layers,
        last,
        pretrained,
        data.features,
        data.padding,
        physical_batch_size,
        precision,
    )
    _probe(where, found)
    return found


def _probe(where: str, transformer: Transformer) -> None:
    """Try the model on two sentences of three tokens, and refuse it if it cannot be run so."""
    weights = transformer.initial_weights(RandomStream(0, "probe"))
    token = 0 if transformer.padding else 1
    ids, y = torch.full((2, 3), token, dtype=torch.int32), torch.zeros(2, dtype=torch.int64)
    try:
        transformer._backward(weights, ids, y, training=False)
    except InputError:
        raise
    except Exception as error:  # what a model raises depends on what it misses
        raise InputError(f"{where}: cannot be run on token ids alone ({_reason(error)})") from None


def _config(model: nn.Module) -> Any:
    """The library's configuration of a model, whose fields depend on the kind of model."""
    return model.config


def _tiny(data: Description) -> tuple[nn.Module, StateDict]:
    """The model `roberta-tiny`, and no weights: all are drawn."""
    from transformers import RobertaConfig, RobertaForSequenceClassification

    settings: dict[str, Any] = {
        "vocab_size": data.vocabulary,
        "pad_token_id": data.padding,
        "max_position_embeddings": data.features + data.padding + 1,
        "num_labels": data.classes,
        "attn_implementation": ATTENTION,
        **TINY,
    }
    return RobertaForSequenceClassification(RobertaConfig(**settings)), {}


def _checkpoint(where: str, checkpoint: str, data: Description) -> tuple[nn.Module, StateDict]:
    """A checkpoint's model, and its weights by name; what the library had to draw is left out."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    try:
        config = AutoConfig.from_pretrained(checkpoint, trust_remote_code=False)
        trained = any("SequenceClassification" in each for each in config.architectures or [])
        if trained and config.num_labels != data.classes:
            found = f"its head has {config.num_labels} labels"
            raise InputError(f"{where}: {found}, data set {data.name} has {data.classes}")
        model, report = AutoModelForSequenceClassification.from_pretrained(
            checkpoint,
            num_labels=data.classes,
            dtype=torch.float32,
            attn_implementation=ATTENTION,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except InputError:
        raise
    except Exception as error:  # what the library raises depends on what is wrong
        raise InputError(f"{where}: cannot be loaded from safetensors ({_reason(error)})") from None
    pretrained = {
        name: value.detach()
        for name, value in model.named_parameters()
        if name not in report["missing_keys"]
    }
    return model, pretrained


def _layers(where: str, model: nn.Module) -> dict[str, Layer]:
    """The layers that have parameters, by name.

    Raises:
        InputError: a layer is of a kind whose gradients cannot be clipped here.
    """
    layers: dict[str, Layer] = {}
    for name, layer in model.named_modules():
        if next(layer.parameters(recurse=False), None) is None:
            continue
        kind = type(layer)
        # A class that inherits from one of these may compute something else.
        if not isinstance(layer, Layer) or kind not in (nn.Linear, nn.Embedding, nn.LayerNorm):
            found = f"{name} is a {kind.__name__}"
            raise InputError(f"{where}: {found}, of which no gradient can be clipped")
        layers[name] = layer
    return layers


def _check(where: str, model: nn.Module, data: Description) -> None:
    """Refuse a model that does not fit the data: its tokens, padding, or length of sentences."""
    names: dict[nn.Parameter, str] = {}
    for name, value in model.named_parameters(remove_duplicate=False):
        if value in names:
            raise InputError(f"{where}: {name} and {names[value]} are tied, expected no such")
        names[value] = name
    config = _config(model)
    if config.vocab_size < data.vocabulary:
        found = f"a vocabulary of {config.vocab_size} tokens"
        raise InputError(f"{where}: {found}, data set {data.name} has {data.vocabulary}")
    if config.pad_token_id != data.padding:
        found = f"token {config.pad_token_id} is padding"
        raise InputError(f"{where}: {found}, in data set {data.name} it is {data.padding}")
    for name, layer in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(layer, nn.Embedding):
            # RoBERTa's positions begin after that of padding.
            first = 0 if layer.padding_idx is None else layer.padding_idx + 1
            positions = layer.num_embeddings - first
            if positions < data.features:
                found = f"at most {positions} tokens"
                raise InputError(f"{where}: {found}, data set {data.name} has {data.features}")


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
