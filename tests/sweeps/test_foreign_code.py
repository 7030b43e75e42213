"""Models and policies of a user's own that raise, exit or give nothing: one line, before Ray."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sweep_files import changed

from pruning.errors import InputError
from pruning.foreign import ExitError, ForeignError, foreign
from sweeps.file.sweep import Sweep
from sweeps.planning.inspecting import cuts, of_name
from sweeps.running import preflight
from sweeps.running.run import run
from sweeps.storage.store import Store

MODELS = """
import os, sys, torch
from torch import nn
NUMBER, DRAW = 5, torch.Generator().manual_seed(0)
def plain(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, classes))
def without_a_word(shape, classes): raise KeyError
def asserts(shape, classes): assert shape == 3
def recurses(shape, classes): return recurses(shape, classes)
def exits(shape, classes): sys.exit(0)
def exits_hard(shape, classes): os._exit(0)
def interrupts(shape, classes): raise KeyboardInterrupt
def frozen(shape, classes): return plain(shape, classes).requires_grad_(False)
class Own(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.inner = plain(shape, classes)
    def forward(self, x): return self.changed(self.inner(x))
    def changed(self, out): return out
class Half(Own):
    def __init__(self, shape, classes):
        super().__init__(shape, classes)
        self.inner[1].requires_grad_(False)
class FewerInTraining(Own):
    def changed(self, out): return out[:, :5] if self.training else out
class RaisesInTraining(Own):
    def changed(self, out):
        if self.training: raise RuntimeError("only in training")
        return out
class ExitsInTraining(Own):
    def changed(self, out):
        if self.training: sys.exit(0)
        return out
class ExitsForward(Own):
    def changed(self, out): sys.exit(3)
class NoNumbers(Own):
    def changed(self, out): return out * float("nan")
class NoNumbersInTraining(Own):
    def changed(self, out): return out * (float("nan") if self.training else 1)
class NoGradient(Own):
    def changed(self, out): return out + torch.sqrt(out * 0)
class Detached(Own):
    def changed(self, out): return out.detach()
class BatchesOf2And32(Own):
    def changed(self, out):
        if len(out) not in (2, 32): raise RuntimeError(f"bad batch {len(out)}")
        return out
class Summed(Own):
    def changed(self, out): return out if len(out) == 2 else out.sum(0, keepdim=True)
class NoModes(Own):
    def train(self, mode=True): raise RuntimeError("no modes")
class Complex(Own):
    def changed(self, out): return out + 0j
async def later(shape, classes): return plain(shape, classes)
def wide(shape, classes):
    with torch.device("meta"):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10_000_000), nn.Linear(10_000_000, 10))
def any_width(shape, classes):
    width = int(torch.randint(1, 10**6, (), generator=DRAW)) % 90 + 4
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))
def remade(shape, classes, made=[]):
    made[:] = made or [plain(shape, classes)]
    return made[0]
def seedless(shape, classes):
    model = plain(shape, classes)
    nn.init.normal_(model[1].weight, generator=DRAW)
    return model
class Headless(nn.Module):
    def __init__(self, shape, classes): self.a = 1
class Within(Own):
    def __init__(self, shape, classes):
        super().__init__(shape, classes)
        self.head = Headless(shape, classes)
class Grows(Own):
    def changed(self, out):
        number = len(self._buffers)
        self.register_buffer(f"b{number}", torch.zeros(1))
        return out
class GrowsParameters(Own):
    def changed(self, out):
        self.register_parameter(f"p{len(self._parameters)}", nn.Parameter(torch.zeros(1)))
        return out
class StateExits(Own):
    def state_dict(self, *args, **how): sys.exit(0)
class AttributeExits(Own):
    def __getattr__(self, name):
        return sys.exit(0) if name == "out_features" else super().__getattr__(name)
class CopyRaises(Own):
    def __deepcopy__(self, memo): raise TypeError("no copies")
class Infinite(Own):
    def changed(self, out): return out * float("inf")
class OnValues(Own):
    def changed(self, out): return -out if out.sum() > 0 else out * 1
class Empty(Own):
    def __init__(self, shape, classes):
        super().__init__(shape, classes)
        self.more = nn.Linear(3, 0)
"""
POLICIES = """
import os, sys
import numpy as np
from typing import ClassVar
from pruning import Policy
class Own(Policy):
    name: ClassVar[str] = "own"
    def decide(self, history): return None
class Raises(Own):
    def decide(self, history): raise RuntimeError("policy boom")
class Wordless(Own):
    def decide(self, history): raise KeyError
class Exits(Own):
    def decide(self, history): sys.exit(0)
class ExitsHard(Own):
    def decide(self, history): os._exit(0)
class Interrupts(Own):
    def decide(self, history): raise KeyboardInterrupt
class ExitsAtWork(Own):
    def decide(self, history):
        if len(history.layout.names) < 5: sys.exit(0)
class ExitsHardAtWork(Own):
    def decide(self, history):
        if len(history.layout.names) < 5: os._exit(0)
class InterruptsAtWork(Own):
    def decide(self, history):
        if len(history.layout.names) < 5: raise KeyboardInterrupt
class InNumpy(Own):
    def decide(self, history): return np.concatenate([])
class Unfinished(Policy):
    name: ClassVar[str] = "unfinished"
class MadeExits(Own):
    def model_post_init(self, context): sys.exit(0)
class MadeRaises(Own):
    def model_post_init(self, context): raise RuntimeError
class NoProbes(Own):
    def probes(self): raise RuntimeError("no probes")
class CheckRaises(Own):
    def check(self, epochs): raise KeyError
class AsksExits(Own):
    def asks(self, epoch, epochs, acted): sys.exit(0)
class AsksRaises(Own):
    def asks(self, epoch, epochs, acted): raise RuntimeError("asks boom")
class ReferenceExits(Own):
    def reference(self): os._exit(0)
class Reference3(Own):
    def reference(self): return 3
class ReferenceItself(Own):
    def reference(self): return self
class FirstRaises(Own):
    def first_action(self, epochs): raise RuntimeError("first boom")
class NoKey(Own):
    def action_key(self): return []
class Stops(Own):
    def decide(self, history): raise GeneratorExit
class End(BaseException): pass
class Ends(Own):
    def decide(self, history): raise End("mine")
class Groups(Own):
    def decide(self, history): raise BaseExceptionGroup("all", [End()])
class Cut(Own):
    def decide(self, history): return "cut"
class Later(Own):
    async def decide(self, history): return None
class CutAtWork(Own):
    def decide(self, history): return "cut" if len(history.layout.names) < 5 else None
"""
OPTIMIZERS = """
class Sides(torch.optim.SGD):
    def step(self, closure=None):
        super().step()
        for p in self.param_groups[0]["params"]:
            self.state[p]["side"] = torch.ones(len(p), len(p))
class Objects(torch.optim.SGD):
    def step(self, closure=None):
        super().step()
        for p in self.param_groups[0]["params"]:
            self.state[p]["o"] = object()
"""
SALIENCIES = """
import os, sys, torch
from typing import ClassVar
from pruning import Saliency
class Boom(Saliency):
    name: ClassVar[str] = "boom"
    def score(self, network, seed): raise RuntimeError("sal boom")
class Refuses(Boom):
    def score(self, network, seed): raise ValueError("no such layer")
class Exits(Boom):
    def score(self, network, seed): sys.exit(0)
class ExitsHard(Boom):
    def score(self, network, seed): os._exit(0)
class Stops(Boom):
    def score(self, network, seed): raise GeneratorExit
class CheckExits(Boom):
    def check(self, network): sys.exit(0)
class KeyExits(Boom):
    @property
    def key(self): sys.exit(0)
class NoNumbers(Boom):
    def score(self, network, seed): return network.per_unit(lambda _, w: w * float("nan"))
class Short(Boom):
    def score(self, network, seed): return torch.ones(3)
class Text(Boom):
    def score(self, network, seed): return "abc"
class Whole(Boom):
    def score(self, network, seed): return torch.ones(len(network.alive_ids)).long()
class ShortOfSteps(Short):
    per_step: ClassVar[bool] = True
class AtWork(Boom):
    def score(self, network, seed):
        if network.epoch: os._exit(0)
        return network.per_unit(lambda _, w: w**2)
"""
EXIT, ANY = "it would end the program, in own_models.py, line", "batches of any size"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "own_models.py").write_text(MODELS)
    (tmp_path / "own_policies.py").write_text(POLICIES)
    (tmp_path / "own_saliencies.py").write_text(SALIENCIES)
    (tmp_path / "exiting.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "wordless.py").write_text("raise KeyError\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("own_models", "own_policies", "own_saliencies", "exiting", "wordless"):
        sys.modules.pop(name, None)


def refusal(fields: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(InputError) as error:
        preflight.check(Sweep.parse(changed(seeds=[0], **fields)))
    assert capfd.readouterr() == ("", ""), "one line is all there is to see"
    line = str(error.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("policies", [["dense"], ["dense", {"policy": "at_epoch", "epoch": 1}]])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_models:NUMBER", "is of type int, which cannot be called"),
        ("os.path:sep", "is of type str, which cannot be called"),
        ("json:__name__", "is of type str, which cannot be called"),
        ("exiting:x", "does not import (SystemExit: 0: it would end the program, in exiting.py"),
        ("wordless:x", "does not import (KeyError, in wordless.py, line 1)"),
        ("own_models:without_a_word", "(KeyError, in own_models.py, line "),
        ("own_models:asserts", "(AssertionError, in own_models.py, line "),
        ("own_models:recurses", "(RecursionError: maximum recursion depth exceeded"),
        ("own_models:exits", f"(SystemExit: 0: {EXIT}"),
        ("own_models:exits_hard", f"(SystemExit: 0: {EXIT}"),
        ("own_models:interrupts", f"(KeyboardInterrupt: {EXIT}"),
        ("own_models:ExitsForward", f"(SystemExit: 3: {EXIT}"),
        ("own_models:NoModes", "(RuntimeError: no modes)"),
        ("own_models:Empty", "has a layer without units: 'more.weight' is empty"),
        ("own_models:remade", "returns a network that it has returned before"),
        ("own_models:any_width", "returns another network each time: '1.weight' is ("),
        ("own_models:Headless", "Headless did not call super().__init__()"),
        ("own_models:Within", "Headless ('head') did not call super().__init__()"),
        ("own_models:Grows", "is another network after each call: only one has 'b1'"),
        ("own_models:GrowsParameters", "is another network after each call: only one has 'p1'"),
        ("own_models:AttributeExits", f"cannot be looked at (SystemExit: 0: {EXIT}"),
        ("own_models:Infinite", "in evaluation gives outputs that are infinite (inf)"),
        ("own_models:later", "returned coroutine, not an nn.Module"),
        ("own_models:wide", "has a layer of 10,000,000 units, '1' (allowed: up to 1,000,000"),
        ("own_models:Complex", "gives outputs that are complex numbers"),
        ("own_models:frozen", "has no parameter that requires_grad"),
        ("own_models:FewerInTraining", "[batch, 5] in training, and [batch, 10] in evaluation"),
        ("own_models:RaisesInTraining", "in training fails for a batch of 4 (RuntimeError: only"),
        (
            "own_models:ExitsInTraining",
            f"in training fails for a batch of 4 (SystemExit: 0: {EXIT}",
        ),
        ("own_models:NoNumbers", "in evaluation gives outputs that are no numbers (nan)"),
        ("own_models:NoNumbersInTraining", "in training gives outputs that are no numbers (nan)"),
        ("own_models:NoGradient", "has a gradient that is no finite number, of 'inner.1.weight'"),
        ("own_models:Detached", "gives an output that depends on no parameter"),
        ("own_models:BatchesOf2And32", ANY),
        ("own_models:Summed", "gives (1, 10) for a batch of 4"),
        ("torchvision:inception_v3", "does not take samples of shape (1, 8, 8)"),
        ("torchvision:googlenet", "does not take samples of shape (1, 8, 8)"),
    ],
)
def test_a_model(
    name: str, said: str, policies: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    line = refusal({"task__model": name, "policies": policies}, capfd)
    assert line.startswith(f"task.model: {name!r}")
    assert said in line


def test_a_state_that_exits(capfd: pytest.CaptureFixture[str]) -> None:
    line = refusal({"task__model": "own_models:StateExits"}, capfd)
    assert line.startswith("task.model: a snapshot of it cannot be taken and restored (SystemExit")


def test_weights_that_do_not_follow_the_seed_are_told() -> None:
    with pytest.warns(UserWarning, match=r"do not follow torch's seed \('1.weight' differs"):
        assert preflight.check(Sweep.parse(changed(task__model="own_models:seedless", seeds=[0])))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("small_mlp", {"hidden": [0]}, "hidden.0: 0 is not allowed"),
        ("small_mlp", {"hidden": [16, -1]}, "hidden.1: -1 is not allowed"),
        ("small_mlp", {"hidden": ["a"]}, "hidden.0: 'a' is not allowed"),
        ("small_mlp", {"dropout": 1}, "dropout: 1 is not allowed: input should be less than 1"),
        ("small_cnn", {"pooling": "nope"}, "pooling: 'nope' is not allowed: input should be 'av"),
        ("small_cnn", {"batch_norm": "maybe"}, "batch_norm: 'maybe' is not allowed"),
        ("small_cnn", {"widths": []}, "widths: [] is not allowed"),
        ("small_resnet", {"blocks": 0}, "blocks: 0 is not allowed"),
    ],
)
def test_options_of_ours(
    name: str, options: dict[str, Any], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    line = refusal({"task__model": {"name": name, "options": options}}, capfd)
    assert line.startswith(f"task.model.options.{said}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("frozen", "has no parameter that requires_grad"),
        ("Headless", "did not call super().__init__()"),
        ("Complex", "gives outputs that are complex numbers"),
        ("NoNumbers", "in evaluation gives outputs that are no numbers (nan)"),
        ("Infinite", "in evaluation gives outputs that are infinite (inf)"),
        ("Detached", "gives an output that depends on no parameter"),
        ("RaisesInTraining", "in training fails for a batch of 4"),
        ("ExitsInTraining", f"in training fails for a batch of 4 (SystemExit: 0: {EXIT}"),
        ("BatchesOf2And32", ANY),
        ("CopyRaises", "(TypeError: no copies)"),
        ("StateExits", f"(SystemExit: 0: {EXIT}"),
        ("remade", "returns a network that it has returned before"),
    ],
)
def test_inspect_says_what_a_run_would(name: str, said: str) -> None:
    asked = cuts(0.5, "magnitude", "layer")
    for data in ({"shape": "1,8,8", "classes": 10}, {"data": "digits"}):
        with pytest.raises(InputError) as error:
            of_name(f"own_models:{name}", asked, **data)
        assert said in str(error.value)


def test_a_network_that_branches_on_values_is_inspected() -> None:
    found = of_name("own_models:OnValues", cuts(0.5, "magnitude", "layer"), data="digits").found
    assert found.cuts[0].units == 8
    assert found.cuts[0].macs == 64 * 8 + 8 * 10


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"task__protect": ["nope"]}, "task.protect: the model has no module 'nope'"),
        ({"task__protect": ["0", "1.weight"]}, "task.protect: the model has no module '1.weight'"),
        (
            {"task__optimizer": {"name": "adam", "betas": [2, 3]}},
            "task.optimizer.betas.0: 2 is not allowed",
        ),
        ({"task__optimizer": {"lr": 1e300}}, "task.optimizer.lr: 1e+300 is not allowed"),
        (
            {"task__schedule": {"name": "step", "gamma": 1e300, "step_epochs": 1}},
            "task.schedule.gamma: 1e+300 is not allowed",
        ),
    ],
)
def test_what_no_step_can_be_made_with(
    fields: dict[str, Any], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert refusal(fields, capfd).startswith(said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("exiting:Mine", "does not import (SystemExit: 0: it would end the program, in exiting.py"),
        ("wordless:Mine", "does not import (KeyError, in wordless.py, line 1)"),
        ("os.path:sep", "is not a pruning.policies.base.Policy"),
        ("own_policies:Exits", "(SystemExit: 0: it would end the program, in own_policies.py"),
        ("own_policies:ExitsHard", "(SystemExit: 0: it would end the program, in own_policies.py"),
        ("own_policies:Interrupts", "(KeyboardInterrupt: it would end the program"),
        ("own_policies:MadeExits", "cannot be made (SystemExit: 0"),
        ("own_policies:MadeRaises", "cannot be made (RuntimeError, in own_policies.py, line "),
        ("own_policies:Unfinished", "cannot be made (TypeError: Can't instantiate abstract class"),
        ("own_policies:NoProbes", "probes() fails (RuntimeError: no probes)"),
        ("own_policies:AsksExits", "asks() fails (SystemExit: 0: it would end the program, in own"),
        ("own_policies:AsksRaises", "asks() fails (RuntimeError: asks boom)"),
        ("own_policies:ReferenceExits", "reference() fails (SystemExit: 0: it would end"),
        (
            "own_policies:Reference3",
            "reference() gives 3, of type int (allowed: a policy,",
        ),
        ("own_policies:ReferenceItself", "reference() gives the policy itself"),
        ("own_policies:FirstRaises", "first_action() fails (RuntimeError: first boom)"),
        ("own_policies:NoKey", "action_key() fails (TypeError: unhashable type: 'list')"),
        ("own_policies:Stops", "(GeneratorExit: it would end the program, in own_policies.py"),
        ("own_policies:Ends", "(End: mine: it would end the program, in own_policies.py, line "),
        ("own_policies:Groups", "(BaseExceptionGroup: all (1 sub-exception): it would end the"),
        ("own_policies:Cut", "decide returned 'cut', a str (allowed: an Action or None)"),
        ("own_policies:Later", "a coroutine (allowed: an Action or None)"),
        ("own_policies:CheckRaises", "check(4) fails (KeyError, in own_policies.py, line "),
    ],
)
def test_a_policy(name: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    line = refusal({"policies": ["dense", {"policy": name}]}, capfd)
    assert line.startswith("policies.1: ")
    assert said in line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Boom", "fails (RuntimeError: sal boom, in own_saliencies.py, line "),
        ("Refuses", "fails (ValueError: no such layer, in own_saliencies.py, line "),
        ("Exits", "fails (SystemExit: 0: it would end the program, in own_saliencies.py, line "),
        ("ExitsHard", "fails (SystemExit: 0: it would end the program, in own_saliencies.py"),
        ("Stops", "fails (GeneratorExit: it would end the program, in own_saliencies.py, line "),
        ("CheckExits", "fails (SystemExit: 0: it would end the program, in own_saliencies.py"),
        ("KeyExits", "(SystemExit: 0: it would end the program, in own_saliencies.py, line "),
        ("NoNumbers", "gives scores that are NaN (allowed: finite numbers)"),
        ("Short", "gives [3] of torch.float32 (allowed: [16] of torch.float32, a score for"),
        ("ShortOfSteps", "gives [3] of torch.float32 (allowed: [16] of torch.float32, a score"),
        ("Text", "gives 'abc', of type str (allowed: [16] of torch.float32, a score for"),
        ("Whole", "gives [16] of torch.int64 (allowed: [16] of torch.float32, a score for"),
    ],
)
def test_a_saliency(name: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    own = {"policy": "at_epoch", "epoch": 1, "saliency": f"own_saliencies:{name}"}
    line = refusal({"policies": ["dense", own]}, capfd)
    assert line.startswith("policies.1: ")
    assert said in line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Raises", "RuntimeError: policy boom, in own_policies.py, line "),
        ("Wordless", "KeyError, in own_policies.py, line "),
        ("InNumpy", "ValueError: need at least one array to concatenate, in own_policies.py, line"),
        ("ExitsHardAtWork", "SystemExit: 0: it would end the program, in own_policies.py, line "),
        ("InterruptsAtWork", "KeyboardInterrupt: it would end the program, in own_policies.py"),
        (
            "CutAtWork",
            "TypeError: decide returned 'cut', a str (allowed: an Action or None)",
        ),
        ("ExitsAtWork", "SystemExit: 0: it would end the program, in own_policies.py, line "),
    ],
)
def test_a_policy_that_fails_at_work_fails_alone(
    name: str, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import here

    monkeypatch.setattr("sweeps.running.run._train", here.train)
    own = {"policy": f"own_policies:{name}"}
    sweep = Sweep.parse(changed(policies=["dense", own], seeds=[0], task__epochs=2))
    uri = f"sqlite:///{folder}/m.db"
    store = Store(folder / "s")
    dense, mine = run(sweep, preflight.check(sweep), store, uri, Console(quiet=True)).rows
    assert dense["status"] == "finished"
    assert mine["reason"].startswith(said)
    assert mine["reason"].endswith(", after epoch 0")


@pytest.mark.parametrize("name", ["own_models:plain", "own_models:Half"])
def test_what_works_is_accepted(name: str) -> None:
    assert preflight.check(Sweep.parse(changed(task__model=name, seeds=[0])))


def test_a_pressed_ctrl_c_stays_one(request: pytest.FixtureRequest) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # Tune keeps its own
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with pytest.raises(KeyboardInterrupt), foreign("it fails"):
        os.kill(os.getpid(), signal.SIGINT)
    with (
        pytest.raises(ForeignError, match=r"it fails \(KeyboardInterrupt: it would end"),
        foreign("it fails"),
    ):
        raise KeyboardInterrupt


def test_a_process_that_was_forked_meanwhile_really_ends() -> None:
    with foreign("it fails"):
        child = os.fork()
        if not child:
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_saliency_that_fails_at_work_is_named(folder: Path) -> None:
    from pruning.foreign import told_where
    from pruning.saliency.registry import saliency
    from pruning.training.loop import Training

    sweep = Sweep.parse(changed(seeds=[0]))
    training = Training(sweep.task, 0, [saliency("own_saliencies:AtWork")])
    training.begin()
    with pytest.raises(ExitError) as error:
        training.epoch()
    line = told_where(error.value)
    assert line.startswith("SystemExit: 0: it would end the program, in own_saliencies.py, line ")
    assert line.endswith(", in saliency boom")


def test_an_optimizer_that_cannot_lose_units_is_known_before(
    capfd: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "own_models.py").write_text(MODELS + OPTIMIZERS)
    optimizer = {"name": "own_models:Sides", "lr": 0.1}
    cut = {"policy": "at_epoch", "epoch": 1}
    line = refusal({"task__optimizer": optimizer, "policies": ["dense", cut]}, capfd)
    assert line.startswith("policies.1: no unit can go after a step of training: optimizer Sides")
    for harmless in ("dense", {"policy": "bayes_factor"}, {"policy": "snip"}):
        sweep = Sweep.parse(changed(seeds=[0], task__optimizer=optimizer, policies=[harmless]))
        preflight.check(sweep)
    line = refusal({"task__optimizer": "own_models:Objects"}, capfd)
    assert line.startswith("task.optimizer: no snapshot of 'own_models:Objects' can be taken: ")
