"""Layers with weights of their own kind: convolutions and embeddings."""

from __future__ import annotations

from collections.abc import Sequence

from pruning.structure.following.call import Call, rule
from pruning.structure.following.marks import Layer, lies_along, varies
from pruning.structure.following.products import contract

SPACE = "a convolution mixes what lies along its positions"


CONVOLUTIONS = "convolution _convolution mkldnn_convolution"


@rule(CONVOLUTIONS)
def _convolution(call: Call) -> Sequence[Layer]:
    """[n, channels, *space] with a weight [out, in / groups, *kernel], or transposed [in, ...]."""
    value, weight, bias = call.args["input"], call.args["weight"], call.args.get("bias")
    groups, swapped = call.args["groups"], call.args["transposed"]
    width = value.shape[1]
    given = call.layers(value)
    read = [layer for layer in given if lies_along(layer, 1, width)]
    rest = [layer for layer in given if not lies_along(layer, 1, width)]
    passed = [one for one in rest if not varies(one) - {0}]
    along = [one for one in rest if varies(one) - {0}]
    if call.out.shape[2:] == value.shape[2:]:  # a channel attention's, over all channels as a row
        call.ledger.take_together(along)
        passed += along
    else:
        call.taint(along, SPACE)
    ins, outs = (call.weight_layers(weight, dim) for dim in ((0, 1) if swapped else (1, 0)))
    if groups > 1:
        made = _grouped(call, read, groups)
    else:
        for one in ins:
            call.ledger.play(one, "consume")
        contract(call, [_rows(one) for one in read], [one.reshape(-1, 1) for one in ins])
        made = [one.reshape(1, -1) for one in outs]
    shift = [] if bias is None else call.weight_layers(bias, 0)
    for one in (*outs, *shift):
        call.ledger.play(one, "produce")
    for one in made:
        for own in shift:
            call.ledger.tie(one, own.reshape(1, -1))
    space = (1,) * (call.out.dim() - 2)
    return [*(one.reshape(1, -1, *space) for one in made), *passed]


def _rows(layer: Layer) -> Layer:
    """[channels, everything else]."""
    return layer.transpose(0, 1).reshape(layer.shape[1], -1)


def _grouped(call: Call, read: Sequence[Layer], groups: int) -> list[Layer]:
    """Grouped and depthwise: the inputs and outputs of one group are one unit.

    The weight lies along dimension 0 in any case, the outputs' or, transposed, the inputs'.
    """
    weight = call.args["weight"]
    hub = call.ledger.hub(groups)
    own_outs = call.weight_layers(weight, 0)
    for one in own_outs:
        call.ledger.play(one, "produce")
        call.ledger.tie(one.reshape(-1), hub.repeat_interleave(weight.shape[0] // groups))
    for one in read:
        rows = _rows(one)
        wide = hub.repeat_interleave(len(rows) // groups) if len(rows) > 1 else hub[:1]
        call.ledger.tie(rows, wide[:, None])
    if own_outs and not call.args["transposed"]:
        return [one.reshape(1, -1) for one in own_outs]
    return [hub.repeat_interleave(call.out.shape[1] // groups)[None]]


@rule("_trilinear")
def _bilinear(call: Call) -> Sequence[Layer]:
    """[n, i] and [n, j] with a weight [out, i, j], as ``nn.Bilinear`` has it computed."""
    one, weight, other = (call.args[name] for name in ("i1", "i2", "i3"))
    if weight.dim() != 3 or not call.is_weight(weight):
        call.taint(
            [x for t in call.given for x in call.layers(t)], "a product of three in the code"
        )
        return []
    for dim, value in ((1, one), (2, other)):
        reads = call.weight_layers(weight, dim)
        for own in reads:
            call.ledger.play(own, "consume")
        given = [_rows(x) for x in call.layers(value) if lies_along(x, 1, value.shape[1])]
        contract(call, given, [own.reshape(-1, 1) for own in reads])
    made = call.weight_layers(weight, 0)
    for own in made:
        call.ledger.play(own, "produce")
    return [own.reshape(1, -1) for own in made]


@rule("embedding")
def _embedding(call: Call) -> Sequence[Layer]:
    """Rows [words, width] by their numbers."""
    weight = call.args["weight"]
    made = call.weight_layers(weight, 1)
    for one in made:
        call.ledger.play(one, "produce")
    return [one.reshape((1,) * (call.out.dim() - 1) + (-1,)) for one in made]
