"""Operations on each channel's own positions: pooling, resizing, padding by reflection."""

from __future__ import annotations

from collections.abc import Sequence

from pruning.structure.following.call import Call, rule
from pruning.structure.following.marks import Layer, varies

POOLS = (
    "avg_pool{} adaptive_avg_pool{} _adaptive_avg_pool{} adaptive_max_pool{} max_pool{} "
    "max_pool{}_with_indices fractional_max_pool{} max_unpool{} reflection_pad{} replication_pad{}"
)
RESIZED = "nearest{0} _nearest_exact{0} linear{0} bilinear{0} bicubic{0} trilinear{0}"
UPS = (
    "upsample_nearest{} _upsample_nearest_exact{} upsample_linear{} upsample_bilinear{} "
    "upsample_bicubic{} upsample_trilinear{} _upsample_bilinear{}_aa _upsample_bicubic{}_aa "
    "grid_sampler_{}"
)


@rule(
    " ".join(name.replace("{}", f"{n}d") for n in (1, 2, 3) for name in (POOLS + " " + UPS).split())
)
def _window(call: Call) -> Sequence[Layer]:
    value = call.given[0]
    space = next(int(n) for n in "123" if f"{n}d" in call.name)
    last = set(range(value.dim() - space, value.dim()))
    layers = call.layers(value)
    mixed = [one for one in layers if varies(one) & last]
    mixed += [one for tensor in call.given[1:] for one in call.layers(tensor)]
    call.taint(mixed, f"a {call.name.strip('_')} over channels in the code")
    return [one for one in layers if not varies(one) & last]
