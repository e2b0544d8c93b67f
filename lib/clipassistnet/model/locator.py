"""The locator: a small network that finds the clip applier's box in a frame.

It looks at the whole frame first, and then more closely: at a window around the box that it has
found. Its trunk is a frozen ImageNet network, and locator_training.py trains its two heads.
Classifiers of crops see what lies in the box.

Runs on Python 3.8 with torch, timm, numpy, OpenCV and Pillow.
"""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any, Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipassistnet import files, transforms
from clipassistnet.model import classifier, cutting, layers
from clipassistnet.model import weights as pretrained
from clipassistnet.model.weights import LITE0, ModelError

FILE = "locator.safetensors"  # beside the checkpoint of the classifier of its crops
CORNERS = ["x0", "y0", "x1", "y1"]
CHANNELS = 112  # of the trunk's last maps, 1/16 of the frame's side
SHARPNESS = 4  # cells vote on the box by the 4th power of their confidence


class Locator(nn.Module):
    """From a picture to maps: is the applier here, and how far are the edges of its box?

    Uses only operations that torch2trt converts. `decode` turns its maps into boxes. `head` is for
    whole frames, `closer_head` for windows. `spec`, which the file stores: image_size and
    window_size (edges in pixels of whole frames and windows), width (channels of the heads), mean,
    std.
    """

    def __init__(
        self,
        weights: str = "imagenet",
        image_size: int = 256,
        window_size: int = 160,
        width: int = 64,
    ):
        super().__init__()
        built = classifier.build(LITE0, weights)
        network = built.network
        trunk = [network.conv_stem, network.bn1, *list(network.blocks)[:5]]
        self.trunk = nn.Sequential(*trunk).requires_grad_(False).eval()
        self.head, self.closer_head = _head(width), _head(width)
        sizes = {"image_size": image_size, "window_size": window_size, "width": width}
        self.spec: dict[str, Any] = {**sizes, **{k: built.spec[k] for k in ("mean", "std")}}

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, 5, S / 16, S / 16) of preprocessed frames (N, 3, S, S).

        Logit of "applier here", then the distances to the box's left, upper, right and lower edge
        as shares of the frame.
        """
        return self.head(self.trunk(images))

    def closer(self, images: Tensor) -> Tensor:
        """The same maps of preprocessed windows, as shares of the window."""
        return self.closer_head(self.trunk(images))

    def train(self, mode: bool = True) -> Locator:
        """As nn.Module.train, but the frozen trunk keeps its statistics."""
        super().train(mode)
        self.trunk.eval()
        return self

    def plain(self) -> Locator:
        """A copy in eval mode with the same results, whose convolutions are all nn.Conv2d."""
        return layers.plain(copy.deepcopy(self).eval(), self.spec["image_size"])

    def features(self, frames: np.ndarray, size: int, batch_size: int = 8) -> Tensor:
        """The trunk's maps (N, 112, S / 16, S / 16) of pictures uint8 RGB (N, H, W, 3).

        The pictures are resized to S = `size`: image_size of the spec, or window_size.
        """
        maps = []
        with torch.inference_mode():
            for start in range(0, len(frames), batch_size):
                part = frames[start : start + batch_size]
                maps.append(self.trunk(self._preprocess(part, size)).cpu())
        return torch.cat(maps).clone()  # a normal tensor, which training may use

    def _preprocess(self, pictures: np.ndarray, size: int) -> Tensor:
        images = transforms.preprocess(pictures, size, self.spec["mean"], self.spec["std"])
        return self._placed(images)

    def _placed(self, images: Tensor) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)  # a CPU convolves faster so
        return images.to(next(self.parameters()).device)

    def find(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4) as shares of the frame, and p(applier in the frame) (N,).

        `frames`: uint8 RGB (N, H, W, 3).
        """
        boxes, presence = self._look(self, self._preprocess(frames, self.spec["image_size"]))

        def look(windows: np.ndarray) -> np.ndarray:
            images = transforms.normalise(windows, self.spec["mean"], self.spec["std"])
            return self._look(self.closer, self._placed(images))[0]

        return cutting.look_closer(frames, boxes, look, self.spec["window_size"]), presence

    def presence(self, frames: np.ndarray) -> np.ndarray:
        """p(applier in the frame) (N,) alone, which takes a single look (see `find`)."""
        return self._look(self, self._preprocess(frames, self.spec["image_size"]))[1]

    def _look(
        self, network: Callable[[Tensor], Tensor], images: Tensor
    ) -> tuple[np.ndarray, np.ndarray]:
        self.eval()
        with torch.inference_mode():
            boxes, presence = decode(network(images).cpu())
        return boxes.numpy(), presence.numpy()


def _head(width: int) -> nn.Sequential:
    head = nn.Sequential(
        nn.Conv2d(CHANNELS, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.Conv2d(width, 1 + len(CORNERS), 1),
    )
    nn.init.constant_(head[-1].bias[:1], -3.0)  # most cells show no applier
    return head


def cell_centres(maps: Tensor) -> tuple[Tensor, Tensor]:
    """x and y (height, width) of the centres of the maps' cells, as shares of the frame."""
    height, width = maps.shape[-2:]
    y = (torch.arange(height) + 0.5) / height
    x = (torch.arange(width) + 0.5) / width
    return x.expand(height, width), y[:, None].expand(height, width)


def decode(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (N, 4) x0, y0, x1, y1 as shares of the frame, and presence (N,), of a locator's maps.

    Each cell proposes a box; the box is their mean, weighted by the cells' confidence.
    """
    x, y = cell_centres(maps)
    left, upper, right, lower = maps[:, 1:].unbind(1)
    proposals = torch.stack([x - left, y - upper, x + right, y + lower], dim=1).flatten(2)
    logits = maps[:, 0].flatten(1)
    votes = F.softmax(SHARPNESS * F.logsigmoid(logits), dim=1)
    boxes = (proposals * votes[:, None]).sum(dim=2).clamp(0, 1)
    return boxes, torch.sigmoid(logits).amax(dim=1)


def new(seed: int) -> Locator:
    """A locator whose heads, not trained yet, are drawn by a seed."""
    torch.manual_seed(seed)
    return Locator()


def digest(locator: Locator) -> str:
    """SHA-256 of what decides the boxes: the spec, and the names and values of its tensors."""
    sha = hashlib.sha256(json.dumps(locator.spec).encode())
    for name, tensor in sorted(locator.state_dict().items()):
        sha.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def save(locator: Locator, path: files.PathLike, patients: Sequence[str] = ()) -> None:
    """Write weights and spec as one safetensors file, whole or not at all.

    `patients` whom it was trained on are written too, for one that is used outside of its study.
    """
    notes = {"locator": json.dumps(locator.spec), "patients": json.dumps(sorted(patients))}
    pretrained.write(locator.state_dict(), path, notes)


def patients(path: files.PathLike) -> list[str]:
    """The patients that `save` wrote. Raises ModelError as `load`."""
    return json.loads(pretrained.read(str(path))[1].get("patients", "[]"))


def refuse_seen(checkpoint: files.PathLike, studied: Iterable[str]) -> None:
    """Raise ModelError where a network has seen one of the `studied` patients: a leak.

    The locator beside its checkpoint names the patients, where there is one.
    """
    beside = Path(checkpoint).with_name(FILE)
    if beside.exists() and (both := sorted(set(studied) & set(patients(beside)))):
        raise ModelError(
            f"{checkpoint}: it was trained on the patients {', '.join(both)} of this study; "
            "expected a network that has seen none of them"
        )


def load(path: files.PathLike) -> Locator:
    """The locator that `save` wrote, in eval mode.

    Raises ModelError, naming the file, where it is missing, broken or something else.
    """
    state, notes = pretrained.read(str(path))
    if "locator" not in notes:
        raise ModelError(f"{path}: not a locator that clipassistnet.model.locator.save wrote")
    spec = json.loads(notes["locator"])
    if "window_size" not in spec:
        raise ModelError(f"{path}: a locator of an older version: train it again")
    locator = Locator("none", spec["image_size"], spec["window_size"], spec["width"])
    try:
        locator.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{path}: {error}") from error
    return locator.eval()
