"""The arithmetic of networks that are torch modules: their gradients, and clipped ones.

No example's gradient is formed where that takes longer. One pass back gives the loss's derivatives
by the outputs of all layers, of activations alone; `mico.networks.bookkeeping` does the rest. A
plain gradient is autograd's. Since all layers' inputs are kept anyway, recomputing activations
(gradient checkpointing) would save little: what bounds the memory is the physical batch.

In mixed precision a pass forward and back is in bfloat16 (torch's autocast); weights, norms and
sums are in float32, so that no contribution is greater than the clipping norm.

Models are computed one after the other, a batch of each in parts.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from mico.networks.architecture import SMALLEST, Clipping, ExampleGradients, Parameters, StateDict
from mico.networks.bookkeeping import Call, Gradients, Kept, Layer, of_calls, total_norm


class ModuleArithmetic(ABC):
    """A base of networks that are torch modules.

    One has `module`, whose parameters and buffers are replaced by those of the model that is
    computed; `trained`, the parameters that are trained, by name, and their `shapes`; and
    `constants`, what else the module holds, by name.
    """

    module: nn.Module
    trained: dict[str, nn.Parameter]
    shapes: dict[str, tuple[int, ...]]
    constants: StateDict
    last: nn.Linear | None  # the layer that puts out the logits, if it is such a one
    precision: str
    # Buffers that a pass in training changes, such as a batch norm's; they are in `shapes`, last.
    statistics: tuple[str, ...] = ()

    @property
    def batched(self) -> bool:
        """Whether one operation computes several models."""
        return False

    @abstractmethod
    def output(self, x: Tensor) -> Tensor:
        """The module's logits (B, classes) for the inputs of B examples."""

    @abstractmethod
    def parts(self, x: Tensor, by_example: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield a batch of B examples in parts: their positions in it, and their inputs.

        Args:
            by_example: single examples' gradients are computed, which may take more memory.
        """

    @abstractmethod
    def prepare(self, private: bool) -> None:
        """Called before single examples' gradients are asked for, to clip them or to look at."""

    @abstractmethod
    def gradients(self, x: Tensor, y: Tensor, smoothing: float = 0.0) -> list[Gradients]:
        """The gradients of B examples' losses, of the model that is loaded."""

    @abstractmethod
    def blocks(self, gradients: Sequence[Gradients]) -> list[list[Gradients]]:
        """Gradients by the parts of the network whose norms an attacker looks at."""

    def logits(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Logits (M, B, classes) for inputs x (M, B, ...)."""
        return self._evaluate(parameters, x, self.output)

    def hidden(self, parameters: Parameters, x: Tensor) -> Tensor:
        """The activations (M, B, H) that the last layer takes; the logits if there is none."""
        return self._evaluate(parameters, x, self._hidden)

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

        With dropout the result depends on the physical batch, of which masks are drawn at a time;
        without it, by rounding alone. Statistics are brought up to date in `parameters`.

        Args:
            x: inputs (M, B, ...); y: labels (M, B) int64.
            out: gradients, shapes as `parameters`; overwritten.
            seeds: a word for each model that its dropout is drawn from; None is without dropout.
            smoothing: the share of a label that is spread evenly over all classes.
        """
        for value in out.values():
            value.zero_()
        for model, own in enumerate(each(parameters)):
            sums = {name: value[model] for name, value in out.items()}
            with self.loaded(own, seeds[model] if seeds else None):
                for chosen, inputs in self.parts(x[model]):
                    self.add_gradient(inputs, y[model, chosen], 1 / x.shape[1], smoothing, sums)
            for name in self.statistics:
                parameters[name][model].copy_(own[name])

    def add_gradient(
        self, x: Tensor, y: Tensor, weight: float, smoothing: float, sums: StateDict
    ) -> None:
        """Add the gradient of B examples' losses, each times `weight`, to `sums`."""
        leaves = self.trained
        with torch.enable_grad():
            for value in leaves.values():
                value.requires_grad_()
            loss = weight * self.loss(x, y, smoothing)
        gradients = torch.autograd.grad(loss, [*leaves.values()], allow_unused=True)
        used = {name: one for name, one in zip(leaves, gradients, strict=True) if one is not None}
        torch._foreach_add_([sums[name] for name in used], [*used.values()])

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

        Args:
            x: inputs (M, B, ...); y: labels (M, B) int64.
            bound: (M, B); what the norm of each example's contribution is at most: the clipping
                norm C times the example's weight, 0 for padding, which is not computed at all.
            clipping: with C.
            out: shapes as `parameters`; holds the noise, or zeros.
            seeds, smoothing: as above.
        """
        self.prepare(private=True)
        for model, own in enumerate(each(parameters)):
            sums = {name: value[model] for name, value in out.items()}
            (rows,) = bound[model].nonzero(as_tuple=True)
            with self.loaded(own, seeds[model] if seeds else None):
                for chosen, inputs in self.parts(x[model].index_select(0, rows), True):
                    at = rows[chosen]
                    gradients = self.gradients(inputs, y[model, at], smoothing)
                    scale = clipping.scale(bound[model, at], total_norm(gradients))
                    for one in gradients:
                        one.add(scale, sums)

    def example_gradients(
        self, parameters: Parameters, x: Tensor, y: Tensor, directions: Mapping[str, Parameters]
    ) -> ExampleGradients:
        """Measure single examples' gradients, as an attacker can who has the weights.

        The norms are of the network's blocks.

        Args:
            x: inputs (M, B, ...); y: labels (M, B) int64.
            directions: by a name, each of the shapes of `parameters`.
        """
        self.prepare(private=False)
        found = []
        for model, own in enumerate(each(parameters)):
            of_model = [
                {name: value[model] for name, value in one.items()} for one in directions.values()
            ]
            with self.loaded(own):
                found.append(self._examples(x[model], y[model], of_model))
        hidden, norms, products = (torch.stack(one) for one in zip(*found, strict=True))
        return ExampleGradients(
            hidden,
            list(norms.movedim(-1, 0)),
            dict(zip(directions, products.movedim(-1, 0), strict=True)),
        )

    def _examples(
        self, x: Tensor, y: Tensor, directions: Sequence[StateDict]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One model's hidden activations (B, H), logarithms of norms (B, blocks) and products."""

        def compute(chosen: Tensor, inputs: Tensor) -> Tensor:
            gradients = self.gradients(inputs, y[chosen])
            kept = (one for one in gradients if isinstance(one, Kept) and one.layer is self.last)
            last = next(kept, None)
            hidden = self._hidden(inputs) if last is None else last.inputs[:, -1]
            norms = [
                total_norm(block).clamp_(min=SMALLEST).log_() for block in self.blocks(gradients)
            ]
            zero = hidden.new_zeros(len(chosen))
            products = [
                sum((one.product(direction) for one in gradients), start=zero)
                for direction in directions
            ]
            ends[:] = hidden.shape[1], hidden.shape[1] + len(norms)
            return torch.cat([hidden, torch.stack(norms + products, 1)], 1)

        ends: list[int] = []
        found = self._in_parts(x, compute, by_example=True)
        hidden, norms, products = found.tensor_split(ends, 1)
        return hidden, norms, products

    def _hidden(self, x: Tensor) -> Tensor:
        """The activations (B, H) that the last layer takes; the logits if there is none."""
        if self.last is None:
            return self.output(x)
        taken: list[Tensor] = []
        with self.last.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0])):
            self.output(x)
        return taken[-1]

    def _evaluate(
        self, parameters: Parameters, x: Tensor, take: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Run all models, and stack what `take` returns for the inputs of B examples of each."""
        found = []
        for own, inputs in zip(each(parameters), x, strict=True):
            with self.loaded(own), torch.no_grad():
                found.append(self._in_parts(inputs, lambda _, part: take(part)))
        return torch.stack(found)

    def _in_parts(
        self, x: Tensor, compute: Callable[[Tensor, Tensor], Tensor], by_example: bool = False
    ) -> Tensor:
        """Call `compute` on B examples part by part; the rows are in the examples' order."""
        rows, values = [], []
        for chosen, inputs in self.parts(x, by_example):
            rows.append(chosen)
            values.append(compute(chosen, inputs))
        return torch.cat(values)[torch.cat(rows).argsort()]

    def loss(self, x: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
        """The sum of the examples' cross-entropies, in the precision of a gradient."""
        with torch.autocast(x.device.type, torch.bfloat16, self.precision == "bfloat16"):
            logits = self.output(x)
        return functional.cross_entropy(
            widened(logits), y, reduction="sum", label_smoothing=smoothing
        )

    def kept(
        self, layers: Mapping[str, Layer], x: Tensor, y: Tensor, smoothing: float = 0.0
    ) -> list[Gradients]:
        """The gradients of B examples' losses by the parameters of some layers, in their order.

        Args:
            layers: each treats every example by itself, and takes its tensor first.
        """
        calls: list[tuple[str, Tensor]] = []
        deltas: dict[int, Tensor] = {}
        leaves: list[Tensor] = []

        def note(name: str, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if not output.requires_grad:
                leaves.append(output.requires_grad_())
                output = output.clone()  # which the module may change, unlike a leaf
            number = len(calls)
            calls.append((name, inputs[0].detach()))
            # What comes back to this layer, even if the module changes its output in place.
            assert output.grad_fn is not None
            output.grad_fn.register_prehook(lambda given: deltas.__setitem__(number, given[0]))
            return output

        with torch.enable_grad(), ExitStack() as hooks:
            for value in self.trained.values():
                value.requires_grad_(False)
            for name, layer in layers.items():
                hooks.enter_context(layer.register_forward_hook(partial(note, name)))
            loss = self.loss(x, y, smoothing)
        if leaves:
            torch.autograd.grad(loss, leaves, allow_unused=True)
        by_layer: dict[str, list[Call]] = {}
        for number, (name, inputs) in enumerate(calls):
            if number in deltas:
                pair = widened(inputs), widened(deltas[number])
                by_layer.setdefault(name, []).append(pair)
        return [of_calls(name, layers[name], pairs) for name, pairs in by_layer.items()]

    @contextmanager
    def loaded(self, own: StateDict, seed: int | None = None) -> Iterator[None]:
        """Let the module have a model's parameters; in training with a seed, else as it is used.

        Args:
            own: the parameters, and the statistics, which training changes in place.
            seed: what torch's own generator begins with; afterwards it goes on where it was.
        """
        device = next(iter(own.values())).device
        if any(value.device != device for value in self.constants.values()):
            self.constants = {name: value.to(device) for name, value in self.constants.items()}
        training = seed is not None
        if self.module.training != training:
            self.module.train(training)
        buffers = {name: own[name] for name in self.statistics}
        for name, value in (self.constants | buffers).items():
            self._put(name, value)
        for name, parameter in self.trained.items():
            parameter.data = own[name]
        try:
            with _seeded(seed, device):
                yield
        finally:
            for parameter in self.trained.values():  # which else would live as long as the module
                parameter.data = parameter.data.new_empty(0)

    def _put(self, name: str, value: Tensor) -> None:
        """Give a buffer, or a parameter that is not trained, its value."""
        place, _, leaf = name.rpartition(".")
        holder = self.module.get_submodule(place)
        held = getattr(holder, leaf)
        if isinstance(held, nn.Parameter):
            held.data = value
        else:
            setattr(holder, leaf, value)


def each(parameters: Parameters) -> Iterator[StateDict]:
    """Yield the parameters of one model after the other, copied.

    A CPU's small matrix products round by where in memory their factors begin: with copies, a model
    gives the same logits at the end of its training as after its release.
    """
    for model in range(len(next(iter(parameters.values())))):
        yield {name: value[model].clone() for name, value in parameters.items()}


def widened(value: Tensor) -> Tensor:
    """A tensor in float32 if mixed precision has it in bfloat16; others stay as they are."""
    return value.float() if value.dtype == torch.bfloat16 else value


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
