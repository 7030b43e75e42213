"""The public names of ``pruning`` and where each is from; loaded when the first is asked for."""

from pruning.actions import Action as Action
from pruning.actions import Mask as Mask
from pruning.errors import InputError as InputError
from pruning.history import History as History
from pruning.history import Record as Record
from pruning.policies import EPI as EPI
from pruning.policies import POLICIES as POLICIES
from pruning.policies import AtEpoch as AtEpoch
from pruning.policies import Dense as Dense
from pruning.policies import OneShot as OneShot
from pruning.policies import Policy as Policy
from pruning.policies import Prune as Prune
from pruning.policies import policy as policy
from pruning.pruner import Pruner as Pruner
from pruning.saliency import SALIENCIES as SALIENCIES
from pruning.saliency import Magnitude as Magnitude
from pruning.saliency import Probe as Probe
from pruning.saliency import Random as Random
from pruning.saliency import Saliency as Saliency
from pruning.saliency import Taylor as Taylor
from pruning.saliency import saliency as saliency
from pruning.structure.aside import Sample as Sample
