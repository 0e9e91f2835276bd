"""Encoders of the transformers library that classify sentences, with a clipped gradient.

Any sequence-classification model whose parameters are in linear layers, embeddings and layer norms
that are each called once, on every sentence by itself: RoBERTa, BERT and most of their relatives.
The library's own code runs the model; `mico.networks.module` has its gradient. A part of a batch
has sentences of about the same length, padded to the longest of their part alone.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mico.data.store import Description
from mico.networks import dropout
from mico.networks.architecture import Parameters, StateDict
from mico.networks.bookkeeping import Gradients, Layer, add_tokens, is_known, without_padding
from mico.networks.facts import Facts, of
from mico.networks.model_files import read_state_dict
from mico.networks.module import ModuleArithmetic
from mico.networks.randomness import RandomStream
from mico.support.errors import InputError

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


@dataclass(eq=False)
class Transformer(ModuleArithmetic):
    """A model of the transformers library."""

    name: str
    module: nn.Module
    trained: dict[str, nn.Parameter]
    constants: StateDict
    shapes: dict[str, tuple[int, ...]]  # each parameter's, by the name that it has in the library
    layers: dict[str, Layer]  # of the module, by name: those that have parameters
    last: nn.Linear
    pretrained: StateDict  # what a checkpoint has of them
    length: int  # tokens of a sentence in the data set, with its padding
    padding: int  # the token's id
    physical_batch_size: int
    precision: str

    @property
    def classes(self) -> int:
        """The number of classes in the data."""
        labels: int = _config(self.module).num_labels
        return labels

    @property
    def facts(self) -> Facts:
        """What is known of the network without building it, such as its costs."""
        return of(self.name)

    @property
    def dropout(self) -> bool:
        """Whether the model drops activations in training, which its configuration says."""
        layers = self.module.modules()
        return any(isinstance(layer, nn.Dropout) and layer.p > 0 for layer in layers)

    def initial_weights(self, stream: RandomStream) -> Parameters:
        """The checkpoint's weights; what it has none of is drawn as the library would.

        Those are normals of the configuration's `initializer_range` for weights, with 0 for the
        embedding of padding, and 0 for biases; layer norms begin as 1 and 0.
        """
        std = _config(self.module).initializer_range
        weights = {}
        for name, shape in self.shapes.items():
            layer = self.module.get_submodule(name.rpartition(".")[0])
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
        config = _config(self.module).to_diff_dict() | {
            "architectures": [type(self.module).__name__],
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

    def output(self, x: Tensor) -> Tensor:
        """The logits (B, classes) for token ids (B, T)."""
        logits: Tensor = self.module(input_ids=x, attention_mask=x != self.padding).logits
        return logits

    def prepare(self, private: bool) -> None:
        """Nothing: its layers are known."""

    def gradients(self, x: Tensor, y: Tensor, smoothing: float = 0.0) -> list[Gradients]:
        """The gradients of B sentences' losses, of the model that is loaded.

        Raises:
            InputError: the model does not call each layer once, on every sentence by itself.
        """

        def each_by_itself(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            # Positions are the same for all sentences, and may be looked up once.
            (indices,) = inputs
            return (indices.expand(len(x), -1) if len(indices) == 1 else indices,)

        called: list[tuple[str, bool]] = []

        def note(name: str, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            called.append((name, len(output) == len(x)))

        with ExitStack() as hooks:
            for name, layer in self.layers.items():
                if isinstance(layer, nn.Embedding):
                    hooks.enter_context(layer.register_forward_pre_hook(each_by_itself))
                hooks.enter_context(layer.register_forward_hook(partial(note, name)))
            found = self.kept(self.layers, x, y, smoothing)
        if sorted(called) != [(name, True) for name in sorted(self.layers)]:
            raise InputError(
                f"architecture {self.name!r}: expected each layer to be called once, on every "
                "sentence by itself"
            )
        return found

    def blocks(self, gradients: Sequence[Gradients]) -> list[list[Gradients]]:
        """The layers by their names: the embeddings, each block of the encoder, the head."""

        def block(one: Gradients) -> str:
            numbered = re.match(r".*?\.\d+\.", one.name)
            return numbered[0] if numbered else ""

        return [list(group) for _, group in groupby(gradients, block)]

    def add_gradient(
        self, x: Tensor, y: Tensor, weight: float, smoothing: float, sums: StateDict
    ) -> None:
        """Add the gradient of B sentences' losses, each times `weight`, to `sums`.

        Autograd's own, but for the embeddings, of which it would make a gradient for every token.
        """
        looked_up: list[tuple[str, Tensor, Tensor]] = []

        def note(name: str, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            looked_up.append((name, inputs[0], output.requires_grad_()))

        with torch.enable_grad(), ExitStack() as hooks:
            leaves = dict(self.trained)
            for name, layer in self.layers.items():
                if isinstance(layer, nn.Embedding):
                    hooks.enter_context(layer.register_forward_hook(partial(note, name)))
                    leaves.pop(f"{name}.weight").requires_grad_(False)
            for value in leaves.values():
                value.requires_grad_()
            loss = weight * self.loss(x, y, smoothing)
        outputs = [output for *_, output in looked_up]
        gradients = torch.autograd.grad(loss, [*leaves.values(), *outputs])
        torch._foreach_add_([sums[name] for name in leaves], gradients[: len(leaves)])
        for (name, inputs, _), deltas in zip(looked_up, gradients[len(leaves) :], strict=True):
            layer = self.layers[name]
            assert isinstance(layer, nn.Embedding)
            add_tokens(sums[f"{name}.weight"], *without_padding(layer, inputs, deltas))

    def parts(self, x: Tensor, by_example: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield a batch (B, L) in parts: sentences' positions, and ids cut to their longest."""
        lengths = (x != self.padding).sum(1)
        ordered, order = lengths.sort(descending=True, stable=True)
        of_longest = ordered.tolist()
        layers = [name for name, one in self.layers.items() if not isinstance(one, nn.Embedding)]
        weights = sum(math.prod(self.shapes[f"{name}.weight"]) for name in layers)
        overhead = PART_TOKENS + PART_CALLS / weights
        start = 0
        for size in _sizes(of_longest, self.physical_batch_size * self.length, overhead):
            chosen = order[start : start + size]
            yield chosen, x[chosen, : of_longest[start]]
            start += size


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
        layer
        for layer in layers.values()
        if isinstance(layer, nn.Linear) and layer.out_features == data.classes
    ][-1]
    trained = dict(model.named_parameters())
    found = Transformer(
        name,
        model,
        trained,
        dict(model.named_buffers()),
        {name: tuple(value.shape) for name, value in trained.items()},
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
        with transformer.loaded({name: value.clone() for name, value in weights.items()}):
            transformer.gradients(ids, y)
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
        if not isinstance(layer, Layer) or not is_known(layer):
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
