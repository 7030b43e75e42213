"""Feature maps in a forward pass, each with the name of the weights that its channels belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import ref

from torch import Tensor
from torch.overrides import TorchFunctionMode

from pruning.structure.functions import Effect, Kind, changes_in_place, effect_of, plain_name

_PRODUCTS = frozenset("mul imul rmul multiply".split())


@dataclass(frozen=True, order=True)
class Site:
    """A place in a network where feature maps come out.

    source: name of a parameter or buffer, of the layer or normalisation that the channels came out
    of last. dim: where they lie, counted from the end. function: what made the map, by its plain
    name.
    """

    source: str
    dim: int
    kind: Kind
    function: str = field(compare=False)


Forewarn = Callable[[], None]
"""Called right before a feature map is overwritten."""

See = Callable[[Site, Tensor], Forewarn | None]
"""Called with every feature map as it comes out."""


class Tracker(TorchFunctionMode):
    """While it is entered, follows channels through every function of torch.

    A layer's output belongs to its weights, a normalisation's to its scale (so that behind a
    concatenation the channels are known again), and other functions leave channels alone or lose
    them: a feature map is shown only where its channels are certain. Nothing is computed, and no
    tensor is kept alive.

    names: of parameters and buffers, by ``id``. widths: how many channels each of the names has;
    what is not in it belongs to no unit. see: is shown the feature maps.
    """

    def __init__(self, names: Mapping[int, str], widths: Mapping[str, int], see: See) -> None:
        super().__init__()
        self.gates: set[Site] = set()
        """Sites whose feature maps are spread over a larger one and multiplied with it."""
        self._names, self._widths, self._see = names, widths, see
        self._known: dict[int, tuple[ref[Tensor], Site, Forewarn | None]] = {}
        self._stopped = False

    def stop(self) -> None:
        """Follow nothing any more, though it is still entered."""
        self._stopped = True
        self._known.clear()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self._stopped:
            return func(*args, **kwargs)
        name = plain_name(func)
        effect = effect_of(name, args, kwargs)
        site = self._site(name, effect, args, kwargs) if effect else None
        if changes_in_place(func, kwargs):
            self._forewarn(args, kwargs)
        out = func(*args, **kwargs)
        if site and isinstance(out, Tensor) and self._fits(site, out):
            if effect != "none":
                self._known[id(out)] = ref(out), site, self._see(site, out)
            elif not self._at(out):  # `contiguous` may give back its argument, with its forewarning
                self._known[id(out)] = ref(out), site, None
        return out

    def _at(self, tensor: Tensor) -> Site | None:
        """Where a tensor came out, None if that is not known."""
        found = self._known.get(id(tensor))  # an id may be a later tensor's by now
        return found[1] if found and found[0]() is tensor else None

    def _site(
        self, name: str, effect: Effect, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Site | None:
        """Where the output of a call stands, judged by what goes into it."""
        given = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        if effect in ("layer", "norm"):
            names = (self._names.get(id(tensor)) for tensor in given)
            source = next((one for one in names if one in self._widths), None)
            if source is not None:
                return Site(source, channel_dim(name, given[0].dim()), effect, name)
            if effect == "layer":
                return None
        known = [(tensor, site) for tensor in given if (site := self._at(tensor))]
        if name in _PRODUCTS and len(known) == 2:
            (small, gate), (large, weighed) = sorted(known, key=lambda pair: pair[0].numel())
            if small.numel() < large.numel():
                # squeeze-and-excitation: a sigmoid that weighs a map is no activation of its units
                self.gates.add(gate)
                return weighed
        if not known:
            return None
        site = known[0][1]
        return site if effect == "none" else Site(site.source, site.dim, effect, name)

    def _fits(self, site: Site, out: Tensor) -> bool:
        """Whether there is a batch, and as many channels as there ought to be."""
        return out.dim() > -site.dim and out.shape[site.dim] == self._widths[site.source]

    def _forewarn(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        for tensor in (*args[:1], kwargs.get("input"), kwargs.get("out")):
            if isinstance(tensor, Tensor) and self._at(tensor):
                _, _, forewarn = self._known.pop(id(tensor))
                if forewarn:
                    forewarn()


def channel_dim(name: str, dims: int) -> int:
    """Where the channels lie in the output of a layer or normalisation, from the end."""
    if name.startswith("conv"):
        return -1 - int(name[-2])
    return -1 if name in ("linear", "embedding", "layer_norm", "rms_norm") else 1 - dims
