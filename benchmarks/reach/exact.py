"""Whether a cut network computes what the dense one computes without what is gone.

A check of its own, beside the proof in ``pruning``: it shares no code with it and believes nothing
that a trace says. What a cut left is read off a copy in which every entry of every tensor bore a
number of its own (``mark``). What is missing is zero in the dense network; both compute in double
precision, and everything is compared: the outputs, what every convolution and linear layer puts
out, and the gradients of all parameters and inputs.

A norm over channels counts the zeros, too. There the dense network leaves out what the cut one does
not have: which entries these are is found by value (``norms.LeftOut``). Where code multiplies with
a number that it has of sizes, it computes with the cut one's (``amounts``).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.reach.amounts import Amounts
from benchmarks.reach.layers import channels, is_layer, weight_name
from benchmarks.reach.norms import LeftOut, Seen
from benchmarks.reach.values import scrambled, tensors, tensors_in

ENOUGH = {torch.float64: 1e-8, torch.float32: 1e-3}
"""The largest difference that rounding explains, relative to the largest value."""


@dataclass(frozen=True)
class Verdict:
    """worst: the largest relative difference. where: the first thing that differs, "" if nothing.

    left_out: functions in which the dense network left entries out, as a norm over channels does.
    """

    worst: float
    where: str
    left_out: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        return not self.where


def mark(model: nn.Module) -> nn.Module:
    """Give every entry of every floating-point tensor its number within it, in double precision."""
    model.double()
    with torch.no_grad():
        for tensor in tensors(model).values():
            if tensor.is_floating_point():
                tensor.copy_(torch.arange(tensor.numel()).view(tensor.shape))
    return model


def numbers(marked: nn.Module) -> dict[str, Tensor]:
    """Which entries of the dense tensors are left in a marked network: int64, in its shapes."""
    return {
        name: tensor.detach().long()
        for name, tensor in tensors(marked).items()
        if tensor.is_floating_point()
    }


def compare(dense: nn.Module, args: tuple[Any, ...], marked: nn.Module) -> Verdict:
    """The verdict on a cut.

    dense: the network before it. args: of its forward. marked: ``mark(copied(dense))`` after it;
    its values are spent here.
    """
    left = numbers(marked)
    if all(left[n].numel() == t.numel() for n, t in tensors(dense).items() if n in left):
        return Verdict(0.0, "nothing was cut")
    fault: Exception | None = None
    for dtype in (torch.float64, torch.float32):
        try:
            whole, inputs = scrambled(dense, args, dtype)
        except Exception as error:  # it computes in one precision only
            fault = fault or error
            continue
        return _verdict(whole, inputs, marked.to(dtype), left)
    raise RuntimeError(f"the dense network does not run: {fault}")


def _verdict(
    dense: nn.Module, args: tuple[Any, ...], small: nn.Module, left: dict[str, Tensor]
) -> Verdict:
    """dense: becomes the network with zeros where entries are missing."""
    old, new = tensors(dense), tensors(small)
    if other := sorted(old.keys() ^ new.keys()):
        return Verdict(1.0, f"{other[0]} is in one of the networks only")
    with torch.no_grad():
        for name, number in left.items():
            new[name].copy_(old[name].flatten()[number])
            old[name].copy_(_with_zeros(name, old[name], number))
    try:
        smaller = _Run(small, args, left, None)
    except Exception as error:
        return Verdict(1.0, f"the cut network fails: {type(error).__name__}: {error}")
    larger = _Run(dense, args, left, smaller)
    # a mixer's layers go over positions while channels go too: seen in what reads them alone
    maps = zip(larger.maps, smaller.maps, strict=False)
    strange = {
        name for (name, a), (_, b) in maps if a.shape != b.shape and name.startswith("what ")
    }
    if strange:
        smaller = _Run(small, args, left, None, strange)
        larger = _Run(dense, args, left, smaller, strange)
    dtype = next(t.dtype for t in old.values() if t.is_floating_point())
    return _difference(larger, smaller, left, ENOUGH[dtype])


def _with_zeros(name: str, tensor: Tensor, number: Tensor) -> Tensor:
    flat = torch.zeros_like(tensor).flatten()
    flat[number.flatten()] = tensor.flatten()[number.flatten()]
    new = flat.view(tensor.shape)
    if name.endswith((".original1", "_v")) and tensor.dim() > 1:
        # a direction of weight_norm: a row without length is 0 / 0, and its length is zero anyway
        gone = torch.ones(len(tensor), dtype=torch.bool)
        gone[number.flatten() // (tensor.numel() // len(tensor))] = False
        new[gone] = tensor[gone]
    return new


class _Run:
    """One pass forward and backward of a network, and all there is to compare.

    The loss weighs everything that is compared at random, in the same way in both networks: what
    lies before a saturated output has gradients, too.
    """

    def __init__(
        self,
        model: nn.Module,
        args: tuple[Any, ...],
        left: dict[str, Tensor],
        other: _Run | None,
        unseen: Container[str] = (),
    ) -> None:
        self._unseen = unseen
        self.maps: list[tuple[str, Tensor]] = []
        self._left, self._whole = left, other is not None
        handles = list(self._watch(model))
        inputs = [
            t.detach().clone().requires_grad_() for t in tensors_in(args) if t.is_floating_point()
        ]
        rest = iter(inputs)
        given = _replaced(args, rest)
        model.eval()
        for parameter in model.parameters():
            parameter.grad = None
            if parameter.is_floating_point():
                parameter.requires_grad_()
        seen, numbers = (other.seen, other.amounts) if other else (None, None)
        with LeftOut(seen) as mode, Amounts(numbers) as amounts:
            out = model(*given)
        self.seen: list[Seen] = mode.seen
        self.amounts: list[float] = amounts.seen
        self.left_out = (*mode.left_out, *amounts.exchanged)
        outputs = [("the output", t) for t in tensors_in(out) if t.is_floating_point()]
        self.maps = [*self.maps, *outputs]
        self._backward([value for _, value in self.maps])
        for handle in handles:  # not before: a checkpoint runs again what it ran
            handle.remove()
        named = [(n, p.grad) for n, p in model.named_parameters() if p.grad is not None]
        self.gradients: dict[str, Tensor] = dict(named)
        self.gradients |= {f"input {k}": t.grad for k, t in enumerate(inputs) if t.grad is not None}

    def _watch(self, model: nn.Module) -> Iterator[Any]:
        for name, module in model.named_modules():
            weight = weight_name(name, module)
            if weight in self._left and is_layer(module):
                yield module.register_forward_hook(self._hook(name, module, self._left[weight]))

    def _hook(self, name: str, module: nn.Module, left: Tensor) -> Any:
        def keep(_: nn.Module, __: object, out: Tensor) -> None:
            found = out.clone()  # an activation in place would change it
            if self._whole:
                dim = -1 if isinstance(module, nn.Linear) else 1
                kept = channels(module, tensors(module)[weight_name("", module)].shape, left)
                found = out.index_select(dim, kept)
            said = f"what {name!r} puts out"
            if said not in self._unseen:
                self.maps.append((said, found))

        return keep

    def _backward(self, values: Sequence[Tensor]) -> None:
        rng = torch.Generator().manual_seed(3)
        loss = torch.zeros((), dtype=torch.float64)
        for value in values:
            if value.requires_grad:
                draw = torch.randn(value.shape, generator=rng, dtype=value.dtype)
                scale = value.detach().abs().max().clamp(min=1e-12) * value.numel() ** 0.5
                loss = loss + (value * draw).sum().double() / scale
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]


def _replaced(value: Any, new: Iterator[Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return next(new) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: _replaced(item, new) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_replaced(item, new) for item in value)
    return value


def _difference(dense: _Run, small: _Run, left: dict[str, Tensor], enough: float) -> Verdict:
    names = [name for name, _ in dense.maps]
    if names != [name for name, _ in small.maps]:
        return Verdict(1.0, "the two run other layers", dense.left_out)
    worst, where = 0.0, ""
    pairs = [(name, a, b, 0.0) for (name, a), (_, b) in zip(dense.maps, small.maps, strict=True)]
    floor = 1e-4 * max((float(g.abs().max()) for g in small.gradients.values()), default=0.0)
    if dense.gradients.keys() != small.gradients.keys():
        return Verdict(1.0, "other parameters have gradients", dense.left_out)
    for name, gradient in small.gradients.items():
        whole = dense.gradients[name]
        kept = whole.flatten()[left[name]] if name in left else whole
        pairs.append((f"the gradient of {name}", kept, gradient, floor))
    for name, a, b, least in pairs:
        error = _relative(a.detach(), b.detach(), least)
        worst = max(worst, error)
        if not where and not error <= enough:
            where = f"{name} differs by {error:.1g}"
    return Verdict(worst, where, dense.left_out)


def _relative(a: Tensor, b: Tensor, least: float) -> float:
    if a.shape != b.shape:
        return 1.0
    if not a.numel():
        return 0.0
    error = float((a - b).abs().max())
    size = max(float(a.abs().max()), least, 1e-300)
    return error / size if error == error else float("inf")
