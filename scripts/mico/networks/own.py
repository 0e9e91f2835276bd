"""A network of somebody's own: any torch module that maps a record to logits.

`net.py:make(width=16)` names what makes it (`mico.networks.factory`). It is called with the
arguments that are written there, and with what its parameters ask for by name and a data set knows:
`classes`, `features`, `shape` (channels, rows, columns), `vocabulary`, `padding`.

The module's own initial weights are drawn by torch's generator, which begins with a word of the
model's stream, and so is all that it draws in training. Buffers that a pass in training changes,
such as a batch norm's, are trained, stored and released with the parameters.

Most gradients of single examples need not be formed, see `mico.networks.bookkeeping`. That is so
for layers of the kinds known there that treat every example of a batch by itself, however often
they are called. The first time that single examples' gradients are asked for, each is tried on
made-up examples against autograd, one example at a time. The parameters of other layers are left to
`torch.func.vmap`, or where torch cannot do that, to a loop. If the module draws something in
training, all are, since two passes would draw twice.
"""

import inspect
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from mico.challenge.layout import MODEL
from mico.data.store import Description
from mico.networks import factory
from mico.networks.architecture import Parameters, StateDict
from mico.networks.bookkeeping import Formed, Gradients, Layer, is_known, total_norm
from mico.networks.factory import Factory
from mico.networks.facts import PHYSICAL_BATCH_SIZE, Facts, of
from mico.networks.made import bytes_of
from mico.networks.model_files import StateDictFile, read_state_dict
from mico.networks.module import ModuleArithmetic, widened
from mico.networks.randomness import RandomStream
from mico.support import digests, own_code
from mico.support.errors import InputError, did_you_mean, shown

# Rates are guessed: nobody has seen the network.
FACTS = {
    "net.py:make": {
        "summary": "for any data: a torch module of your own; see "
        "[docs/your-network.md](../docs/your-network.md)",
        "data": ("bits", "numbers", "images", "tokens"),
        "layers": "A network whose name has a colon is code of the organiser's, of which a copy is"
        " in `networks/`. Read it before you run it. The function after the colon makes a torch"
        " module, for which `torch.load(path, weights_only=True)` gives the state dict.",
        "record_seconds": 2e-3,
        "step_seconds": 1e-2,
        "forward": 0.3333333333333333,  # 1 / 3, as a literal
        "physical_batch_size": None,
        "feature_mb": 2e-3,
        "accuracy_records": 10_000,
        "white_box_records": 1_000,
        "white_box_shadows": 20,
    }
}
SOURCES = "networks"  # the folder of their files in a bundle
# What a factory may ask for by name, of a data set.
GIVEN = ("classes", "features", "shape", "vocabulary", "padding")
# What to use where a layer mixes the examples of a batch.
NORMS = "expected a norm of each example by itself, such as GroupNorm or LayerNorm"
PROBE = 1_618_033_988  # a seed that no factory is likely to set
# Two ways to the same number agree so far.
AGREEMENT = 1e-3
# A physical batch is of so many records that their computation makes this many bytes of tensors, as
# many as 28 images of 32 x 32 in `examples/resnet.py` with DP; see docs/performance.md. It is of at
# least `PHYSICAL_BATCH_SIZE`, and of more than the largest nothing was faster.
MADE_BYTES = 96_000_000
LARGEST_BATCH = 1024


class ReseededError(InputError):
    """Somebody's code sets the seed of torch's generator."""


@dataclass(frozen=True)
class ByExample:
    """How single examples' gradients are computed."""

    layers: dict[str, Layer]  # of which inputs and derivatives are kept
    shared: frozenset[str]  # those that look up the same for all examples, once
    others: list[str]  # parameters whose gradients are formed example by example
    in_a_loop: bool  # which torch's vmap cannot do


@dataclass(eq=False, kw_only=True)
class OwnNetwork(ModuleArithmetic, StateDictFile):
    """A module, and what is known of it."""

    name: str
    data: Description
    make: partial[nn.Module]  # with all its arguments
    module: nn.Module
    trained: dict[str, nn.Parameter]
    statistics: tuple[str, ...]
    constants: StateDict
    published: dict[str, str]  # each name in a state dict, and which of these it stands for
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, torch.dtype]  # of the statistics
    last: nn.Linear | None
    configured: int | None  # on how many examples it computes at a time
    record_bytes: int  # that a plain pass makes for an example
    precision: str

    @property
    def physical_batch_size(self) -> int:
        """On how many examples it computes at a time, but for single examples' gradients."""
        return self._batch(self.record_bytes)

    def _batch(self, record_bytes: int) -> int:
        """The physical batch of examples for each of which so many bytes are made."""
        most = min(MADE_BYTES // max(record_bytes, 1), LARGEST_BATCH)
        return self.configured or max(most, PHYSICAL_BATCH_SIZE)

    @property
    def classes(self) -> int:
        """The number of classes in the data."""
        return self.data.classes

    @property
    def facts(self) -> Facts:
        """What is known of the network without building it, such as its costs."""
        return of(self.name)

    @property
    def dropout(self) -> bool:
        """Whether training differs from use: the engine then gives each model a seed."""
        return True

    def initial_weights(self, stream: RandomStream) -> Parameters:
        """One model's parameters before training, as the module itself draws them."""
        word = np.empty(1, np.int64)
        stream.bits(word)()
        module = _seeded(self.make, int(word[0]))
        state = dict(module.named_parameters()) | dict(module.named_buffers())
        return {name: state[name].detach().float() for name in self.shapes}

    def to_state_dicts(self, parameters: Parameters) -> list[StateDict]:
        """One published state dict per model, on the CPU, as the module takes it."""
        constants = {name: value.cpu() for name, value in self.constants.items()}
        found = []
        for model in range(len(next(iter(parameters.values())))):
            own = constants | {
                name: value[model].detach().cpu().to(self.dtypes.get(name, torch.float32))
                for name, value in parameters.items()
            }
            found.append({name: own[held].clone() for name, held in self.published.items()})
        return found

    def from_state_dicts(self, state_dicts: Sequence[StateDict]) -> Parameters:
        """Parameters with a leading dimension M from M published state dicts.

        Raises:
            ValueError: a key, shape or type that is not this network's, or another value of what
                is not trained; the message names it.
        """
        constants = {name: value.cpu() for name, value in self.constants.items()}
        for state_dict in state_dicts:
            for name in self.published | state_dict:
                held = self.published.get(name, "")
                like = constants.get(held)
                shape = self.shapes.get(held) if like is None else tuple(like.shape)
                dtype = self.dtypes.get(held, torch.float32) if like is None else like.dtype
                given = state_dict.get(name)
                if given is None or tuple(given.shape) != shape or given.dtype != dtype:
                    found = "missing" if given is None else f"{tuple(given.shape)} {given.dtype}"
                    expected = "none" if shape is None else f"{shape} {dtype}"
                    raise ValueError(f"parameter {name}: {found}, expected {expected}")
                if like is not None and not torch.equal(given, like):
                    raise ValueError(f"{name}, which is not trained: other values than are made")
                if like is None and not torch.equal(given, state_dict.get(held, given)):
                    raise ValueError(f"{name}: other values than {held}, which is the same one")
        return {
            name: torch.stack([one[name] for one in state_dicts]).float() for name in self.shapes
        }

    def read_model(self, folder: Path) -> StateDict:
        """Read the weights that `write_model` wrote.

        Raises:
            InputError: the file is missing or corrupt, or what is trained is other than finite
                float32 numbers.
        """
        others = {*self.constants, *self.dtypes}
        return read_state_dict(
            folder / MODEL, of_any_type={n for n, held in self.published.items() if held in others}
        )

    def describe(self, folder: Path) -> str:
        """The number of parameters, and the file that makes the network, for the data card."""
        count = sum(np.prod(shape, dtype=int) for shape in self.shapes.values())
        path = factory.parse(self.name).source
        digest = digests.of_file(path)
        return f"{count:,} parameters, made by `{SOURCES}/{path.name}` (SHA-256 `{digest}`)"

    def encode(self, features: np.ndarray) -> np.ndarray:
        """Features (N, d) as they are; token ids as int32, which torch can look up."""
        return features.astype(np.int32) if self.data.kind == "tokens" else features

    def inputs(self, encoded: Tensor) -> Tensor:
        """What the module takes (M, B, ...): float32 numbers, normalised images, or token ids."""
        if self.data.kind == "tokens":
            return encoded.long()
        x = encoded.float()
        if self.data.kind != "images":
            return x
        shape, mean, std = self.data.shape, self.data.mean, self.data.std
        assert shape is not None  # as of all images
        assert mean is not None
        assert std is not None
        by_channel = [x.new_tensor(each).view(-1, 1, 1) for each in (mean, std)]
        images = x.view(*x.shape[:2], *shape)
        return images.div_(255).sub_(by_channel[0]).div_(by_channel[1])

    def output(self, x: Tensor) -> Tensor:
        """The logits (B, classes) for the inputs of B examples."""
        logits: Tensor = self.module(x)
        return logits

    @contextmanager
    def loaded(self, own: StateDict, seed: int | None = None) -> Iterator[None]:
        """As of every module; whatever goes wrong in its code is told in a line."""
        with own_code.told(factory.parse(self.name).source), super().loaded(own, seed):
            yield

    def parts(self, x: Tensor, by_example: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield a batch in physical batches, all about as large.

        It stays whole where a batch has statistics in training.
        """
        size = self._batch(self.example_bytes if by_example else self.record_bytes)
        whole = self.statistics and self.module.training
        count = 1 if whole else math.ceil(len(x) / size)
        positions = torch.arange(len(x), device=x.device)
        for chosen in torch.tensor_split(positions, count) if len(x) else ():
            # Copied, since small products round by where a factor begins.
            yield chosen, x.index_select(0, chosen)

    def prepare(self, private: bool) -> None:
        """Find out how single examples' gradients are computed.

        Raises:
            InputError: DP is asked for, and an example's logits depend on the rest of its batch.
        """
        if private and self._mixing:
            raise InputError(f"architecture {self.name!r}: with DP {self._mixing}")
        _ = self.example_bytes

    def gradients(self, x: Tensor, y: Tensor, smoothing: float = 0.0) -> list[Gradients]:
        """The gradients of B examples' losses, of the model that is loaded."""
        how = self.by_example
        found = self._kept(how.layers, how.shared, x, y, smoothing) if how.layers else []
        if how.others:
            compute = self._one_by_one if how.in_a_loop else self._by_vmap
            formed = compute(how.others, x, y, smoothing)
            for holder in dict.fromkeys(name.rpartition(".")[0] for name in formed):
                own = {n: one for n, one in formed.items() if n.rpartition(".")[0] == holder}
                found.append(Formed(holder, own))
        return found

    def _kept(
        self,
        layers: dict[str, Layer],
        shared: frozenset[str],
        x: Tensor,
        y: Tensor,
        smoothing: float,
    ) -> list[Gradients]:
        """`kept`, with an embedding that looks up once for all examples doing so for each."""

        def each_by_itself(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (inputs[0].expand(len(x), *inputs[0].shape[-1:]), *inputs[1:])

        with ExitStack() as hooks:
            for name in shared:
                hooks.enter_context(layers[name].register_forward_pre_hook(each_by_itself))
            return self.kept(layers, x, y, smoothing)

    def blocks(self, gradients: Sequence[Gradients]) -> list[list[Gradients]]:
        """Gradients by the module's parts, and a numbered part's by its number."""
        names = {_block(name.rpartition(".")[0]): None for name in self.trained}
        return [[one for one in gradients if _block(one.name) == name] for name in names]

    @cached_property
    def example_bytes(self) -> int:
        """The bytes that are made for an example whose gradient is clipped."""
        _ = self.by_example
        with self.loaded(self._some_weights()):
            return _for_one(self.data, lambda x, y: total_norm(self.gradients(x, y)))

    @cached_property
    def by_example(self) -> ByExample:
        """How single examples' gradients are computed, found out by trying."""
        with self.loaded(self._some_weights()):
            layers, shared = self._separable()
            covered = {
                f"{name}.{own}"
                for name, layer in layers.items()
                for own, _ in layer.named_parameters(recurse=False)
            }
            others = [name for name in self.trained if name not in covered]
            if others and self._draws:
                layers, shared, others = {}, frozenset(), [*self.trained]
            return ByExample(layers, shared, others, bool(others) and not self._can_vmap(others))

    def _separable(self) -> tuple[dict[str, Layer], frozenset[str]]:
        """The layers whose inputs and derivatives give single examples' gradients, as tried."""
        held = {id(value): name for name, value in self.trained.items()}
        layers: dict[str, Layer] = {}
        for name, layer in self.module.named_modules():
            own = dict(layer.named_parameters(prefix=name, recurse=False))
            trained = own and all(held.get(id(value)) == key for key, value in own.items())
            # Others have a weight that is computed, or are the whole module.
            usual = own.keys() <= {f"{name}.weight", f"{name}.bias"}
            if trained and usual and isinstance(layer, Layer) and is_known(layer):
                layers[name] = layer
        for tied in _tied(self.module):
            layers.pop(tied, None)
        shared: set[str] = set()
        batches = [_examples(self.data, size) for size in (2, 3)]
        for x, _ in batches:
            layers, own_shared = self._by_shape(layers, x)
            shared |= own_shared
        for x, y in batches:
            expected = self._one_by_one([*self.trained], x, y)
            tried = self._kept(layers, frozenset(shared & layers.keys()), x, y, 0.0)
            called = {one.name: one for one in tried}
            for name in [*layers]:
                own = {key: expected[key] for key in expected if key.rpartition(".")[0] == name}
                if not _agree(called.get(name), own):
                    del layers[name]
        return layers, frozenset(shared & layers.keys())

    def _by_shape(self, layers: dict[str, Layer], x: Tensor) -> tuple[dict[str, Layer], set[str]]:
        """Those of the layers that are called with an example in each row, or look up once for all.

        The latter are embeddings; their names come second.
        """
        wrong: set[str] = set()
        shared: set[str] = set()

        def note(name: str) -> Callable[..., None]:
            def look(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
                given = inputs[0] if inputs else None
                if not isinstance(given, Tensor) or not isinstance(output, Tensor):
                    wrong.add(name)
                elif (
                    len(given) != len(x)
                    and isinstance(layer, nn.Embedding)
                    and (given.ndim == 1 or (given.ndim == 2 and len(given) == 1))
                ):
                    shared.add(name)
                elif len(given) != len(x) or len(output) != len(x):
                    wrong.add(name)

            return look

        with torch.no_grad(), ExitStack() as hooks:
            for name, layer in layers.items():
                hooks.enter_context(layer.register_forward_hook(note(name)))
            self.output(x)
        return {name: one for name, one in layers.items() if name not in wrong}, shared - wrong

    @property
    def _draws(self) -> bool:
        """Whether the module that is loaded draws anything in training."""
        x, _ = _examples(self.data, 3)
        with torch.no_grad(), torch.random.fork_rng([]):
            found = []
            for seed in (1, 2):
                torch.manual_seed(seed)
                self.module.train()
                found.append(self.output(x))
        self.module.eval()
        return not torch.equal(*found)

    def _can_vmap(self, names: Sequence[str]) -> bool:
        x, y = _examples(self.data, 3)
        try:
            found = self._by_vmap(names, x, y)
        except Exception:  # what torch raises depends on what it cannot do
            return False
        expected = self._one_by_one(names, x, y)
        return all(_close(found[name], one) for name, one in expected.items())

    def _by_vmap(
        self, names: Sequence[str], x: Tensor, y: Tensor, smoothing: float = 0.0
    ) -> StateDict:
        """Each example's gradient (B, *shape) by some parameters, all at once."""

        def loss(values: StateDict, one: Tensor, label: Tensor) -> Tensor:
            with torch.autocast(x.device.type, torch.bfloat16, self.precision == "bfloat16"):
                logits = functional_call(self.module, values, (one.unsqueeze(0),))
            return functional.cross_entropy(
                widened(logits), label.unsqueeze(0), label_smoothing=smoothing
            )

        values = {name: self.trained[name].detach() for name in names}
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")  # that an operation is slow this way
            found: StateDict = vmap(grad(loss), (None, 0, 0), randomness="different")(values, x, y)
        return found

    def _one_by_one(
        self, names: Sequence[str], x: Tensor, y: Tensor, smoothing: float = 0.0
    ) -> StateDict:
        """Each example's gradient (B, *shape) by some parameters, in a loop."""
        leaves = [self.trained[name] for name in names]
        for value in self.trained.values():
            value.requires_grad_(False)
        for value in leaves:
            value.requires_grad_()
        rows = []
        for one, label in zip(torch.split(x, 1), torch.split(y, 1), strict=True):
            with torch.enable_grad():
                loss = self.loss(one, label, smoothing)
            found = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
            rows.append(found)
        columns = [torch.stack(column) for column in zip(*rows, strict=True)]
        return dict(zip(names, columns, strict=True))

    def _some_weights(self) -> StateDict:
        """Weights of which none is 0, so that every layer has a gradient."""
        generator = torch.Generator().manual_seed(1)
        weights = self.initial_weights(RandomStream(0, "probe"))
        return {
            name: value
            if name in self.statistics
            else value + 0.02 * torch.randn(value.shape, generator=generator)
            for name, value in weights.items()
        }

    @cached_property
    def _mixing(self) -> str:
        """In words, what makes an example's logits depend on others in training, if anything."""
        for name, layer in self.module.named_modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                kind = type(layer).__name__
                return f"{name} is a {kind}, which mixes the examples of a batch; {NORMS}"
        if self.statistics:
            return (
                f"{self.statistics[0]} is a buffer that training changes; expected that nothing "
                "of a batch is kept"
            )
        x, _ = _examples(self.data, 3)
        with self.loaded(self._some_weights(), 0), torch.no_grad():
            for layer in self.module.modules():
                if isinstance(layer, nn.modules.dropout._DropoutNd):
                    layer.eval()
            torch.manual_seed(0)
            together = self.output(x)
            torch.manual_seed(0)
            again = self.output(x)
            alone = torch.cat([self.output(one) for one in torch.split(x, 1)])
            self.module.train()
        if torch.equal(together, again) and not _close(together, alone):
            return f"the logits of an example depend on the others of its batch; {NORMS}"
        return ""


def build(
    name: str, data: Description, physical_batch_size: int | None, precision: str
) -> OwnNetwork:
    """The network that a factory makes, tried on a few made-up records.

    Raises:
        InputError: it cannot be made or run, or is not a module that maps a record to logits.
    """
    where = f"architecture {name!r}"
    made = factory.parse(name)
    path = made.source
    make = _maker(where, made, data)
    try:
        with own_code.told(path):
            module, again = (_seeded(make, PROBE) for _ in range(2))
    except ReseededError:
        raise InputError(
            f"{where}: calls torch.manual_seed when it is made, so that all models would begin "
            "alike; expected that it leaves the seed to the model"
        ) from None
    _check(where, module, again)
    trained = {key: one for key, one in module.named_parameters() if one.requires_grad}
    held = dict(module.named_parameters()) | dict(module.named_buffers())
    x, _ = _examples(data, 3)
    took = f"{where}: called with {tuple(x.shape)} {str(x.dtype).removeprefix('torch.')}"
    try:
        with own_code.told(path), torch.no_grad(), torch.random.fork_rng([]):
            statistics = _changed(module, x)
            logits, last = _run(module, x)
            repeated = module(x)
            unchanged = torch.equal(x, _examples(data, 3)[0])
            alone = [module(one) for one in torch.split(x, 1)]
            forward = _for_one(data, lambda x, _: module(x))
    except InputError as error:
        raise InputError(f"{took}: {error}") from None
    if not isinstance(logits, Tensor) or logits.shape != (3, data.classes):
        found = f"{tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"{took}: puts out {found}, expected logits (3, {data.classes})")
    if not logits.is_floating_point() or not logits.isfinite().all():
        raise InputError(f"{took}: puts out {logits.dtype} or no finite numbers, expected logits")
    for one in alone:
        if one.shape != (1, data.classes):
            raise InputError(
                f"{where}: of one record puts out {tuple(one.shape)}, expected (1, {data.classes})"
            )
    if not unchanged:
        raise InputError(f"{where}: changes the records that it is called with, expected a copy")
    if not torch.equal(logits, repeated):
        raise InputError(
            f"{where}: puts out other logits when it is called with the same records again, "
            "expected that it draws nothing and keeps nothing in use"
        )
    if not _close(logits, torch.cat(alone)):
        raise InputError(
            f"{where}: the logits of a record depend on the others of its batch, expected them of "
            "each by itself"
        )
    names = {id(value): key for key, value in held.items()}
    state = module.state_dict(keep_vars=True)
    return OwnNetwork(
        name=name,
        data=data,
        make=make,
        module=module,
        trained=trained,
        statistics=statistics,
        constants={
            key: value.detach().clone()
            for key, value in held.items()
            if key not in trained and key not in statistics
        },
        published={key: names[id(value)] for key, value in state.items()},
        shapes={key: tuple(held[key].shape) for key in (*trained, *statistics)},
        dtypes={key: held[key].dtype for key in statistics},
        last=last,
        configured=physical_batch_size,
        record_bytes=2 * forward,  # about as much again is made on the way back
        precision=precision,
    )


def _maker(where: str, made: Factory, data: Description) -> partial[nn.Module]:
    """The factory with its arguments: those that are written, and what it asks of the data."""
    path = made.source
    with own_code.told(path):
        code = own_code.module(path) if made.is_file else import_module(made.place)
        function = getattr(code, made.name, None)
    if not callable(function):
        names = [
            name
            for name, value in vars(code).items()
            if callable(value) and getattr(value, "__module__", "") == code.__name__
        ]
        hint = f", {did_you_mean(made.name, names)}" if names else ""
        raise InputError(f"{where}: {path}: there is no {made.name!r}{hint}")
    given = dict(made.arguments)
    with own_code.told(path):
        parameters = inspect.signature(function).parameters
    for name, one in parameters.items():
        known = getattr(data, name, None) if name in GIVEN else None
        if name in given or one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            continue
        if known is not None:
            given[name] = known
        elif one.default is one.empty:
            raise InputError(
                f"{where}: {made.name} needs {name!r}, which neither the name nor data set "
                f"{data.name} gives: expected {name}=... in the parentheses"
            )
    if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        for name in given.keys() - parameters.keys():
            raise InputError(
                f"{where}: {made.name} takes no {name!r}, {did_you_mean(name, parameters)}"
            )
    return partial(function, **given)


def _seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A module whose weights torch's generator draws from a seed."""
    with torch.random.fork_rng([]), torch.enable_grad():
        torch.default_generator.manual_seed(seed)
        module = make()
        if (torch.default_generator.initial_seed() - seed) % 2**64:
            raise ReseededError("the module's code calls torch.manual_seed")
        return module


def _check(where: str, module: nn.Module, again: nn.Module) -> None:
    """Refuse what is no module whose parameters can be trained, or is another each time."""
    if not isinstance(module, nn.Module):
        raise InputError(f"{where}: makes {shown(module)}, expected a torch.nn.Module")
    for name, layer in module.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is None:
            raise InputError(
                f"{where}: {name} is a {type(layer).__name__} without running statistics, which "
                f"mixes the records of a batch also in use; {NORMS}, or track_running_stats=True"
            )
    lazy = nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        if isinstance(value, lazy):
            raise InputError(f"{where}: {name} has no shape yet, expected no lazy layers")
        if value.device.type != "cpu" or value.layout != torch.strided:
            raise InputError(f"{where}: {name}: expected a dense tensor on the CPU")
    trained = {name: one for name, one in module.named_parameters() if one.requires_grad}
    if not trained:
        raise InputError(f"{where}: has no parameters to train")
    for name, one in trained.items():
        if one.dtype != torch.float32:
            raise InputError(f"{where}: {name} is {one.dtype}, expected torch.float32")
    first, second = module.state_dict(), again.state_dict()
    if first.keys() != second.keys() or not all(
        torch.equal(one, second[name]) for name, one in first.items()
    ):
        raise InputError(
            f"{where}: gives other weights each time it is called after the same "
            "torch.manual_seed: expected all that it draws from torch's own generator"
        )


def _changed(module: nn.Module, x: Tensor) -> tuple[str, ...]:
    """The buffers that a pass in training changes; the module is left as it is used."""
    before = {name: value.clone() for name, value in module.named_buffers()}
    module.train()
    module(x)
    changed = []
    for name, value in module.named_buffers():
        if not torch.equal(value, before[name]):
            changed.append(name)
            value.copy_(before[name])
    module.eval()
    return tuple(changed)


def _run(module: nn.Module, x: Tensor) -> tuple[Any, nn.Linear | None]:
    """What a module puts out, and the linear layer whose output that is, if there is one."""
    called: list[tuple[nn.Linear, Tensor]] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.Linear) and inputs and inputs[0].ndim == 2:
            called.append((layer, output))

    with ExitStack() as hooks:
        for layer in module.modules():
            hooks.enter_context(layer.register_forward_hook(note))
        logits = module(x)
    same = [layer for layer, output in called if output is logits]
    return logits, same[-1] if same else None


def _tied(module: nn.Module) -> set[str]:
    """The layers that share a parameter with another."""
    holders: dict[int, list[str]] = {}
    for name, value in module.named_parameters(remove_duplicate=False):
        holders.setdefault(id(value), []).append(name.rpartition(".")[0])
    return {name for names in holders.values() if len(names) > 1 for name in names}


def _examples(data: Description, count: int) -> tuple[Tensor, Tensor]:
    """Made-up records as a module takes them, and labels."""
    generator = torch.Generator().manual_seed(count)
    size = (count, data.features)
    y = torch.arange(count) % data.classes
    if data.kind == "bits":
        return torch.randint(0, 2, size, generator=generator).float(), y
    if data.kind == "tokens":
        ids = torch.randint(0, data.vocabulary, size, generator=generator)
        ids[1:, -(data.features // 3) :] = data.padding
        return ids, y
    x = torch.randn(size, generator=generator)
    return x if data.shape is None else x.view(count, *data.shape), y


def _for_one(data: Description, compute: Callable[[Tensor, Tensor], object]) -> int:
    """The bytes of tensors that a computation makes for one example more."""
    few, more = (bytes_of(partial(compute, *_examples(data, count))) for count in (2, 3))
    return more - few


def _agree(tried: Gradients | None, expected: StateDict) -> bool:
    """Whether gradients that were had without forming them are those of autograd, (B, *shape)."""
    squares = torch.stack([one.flatten(1).square().sum(1) for one in expected.values()]).sum(0)
    if tried is None:  # not called
        return not squares.any()
    sums = {name: torch.zeros_like(one[0]) for name, one in expected.items()}
    tried.add(torch.ones(len(squares)), sums)
    pairs = [(tried.squared_norm(), squares)]
    pairs += [(sums[name], one.sum(0)) for name, one in expected.items()]
    return all(_close(*pair) for pair in pairs)


def _close(found: Tensor, expected: Tensor) -> bool:
    if not expected.isfinite().all():
        return False
    largest = float(expected.abs().max()) if expected.numel() else 0.0
    return torch.allclose(found, expected, AGREEMENT, AGREEMENT * largest)


def _block(name: str) -> str:
    """The part of a module that a layer is in: the first part of its name, and its number."""
    found = re.match(r"[^.]*(\.\d+)?", name)
    return found[0] if found else ""
