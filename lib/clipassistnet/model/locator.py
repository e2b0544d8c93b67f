"""The locator: a small network that finds the clip applier's box in a frame.

It looks at the whole frame first, and then more closely: at a window around the box that it has
found. Its trunk is a frozen ImageNet network, and locator_training.py trains its two heads.
Classifiers of crops see what lies in the box.

Runs on Python 3.8 with torch, timm, numpy and OpenCV.
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any, Callable

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from clipassistnet import files, transforms
from clipassistnet.model import classifier, layers
from clipassistnet.model import weights as pretrained
from clipassistnet.model.weights import LITE0, ModelError

FILE = "locator.safetensors"  # beside the checkpoint of the classifier of its crops
CORNERS = ["x0", "y0", "x1", "y1"]
CHANNELS = 112  # of the trunk's last maps, 1/16 of the frame's side
SHARPNESS = 4  # cells vote on the box by the 4th power of their confidence
GREY = (124, 116, 104)  # the mean of ImageNet, which preprocessing turns into zeros
SMALLEST = 1 / 32  # side of a crop, as a share of the frame's
WINDOW = 2.0  # side of the window of a closer look, in sides of the box found before
CLOSER_LOOKS = 2  # on 316 real frames the mean IoU rose from 0.62 to 0.67 and 0.68


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

        return look_closer(frames, boxes, look, self.spec["window_size"]), presence

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


def crop(frame: np.ndarray, box: np.ndarray, size: int, margin: float = 1.0) -> np.ndarray:
    """What lies in a box (x0, y0, x1, y1 as shares of the frame), resized to (size, size, 3) uint8.

    The box is enlarged about its centre by the factor `margin`; what then lies outside the frame is
    grey. The aspect is not kept: the applier fills the crop in any orientation. Edges may lie
    between pixels, so boxes that hardly differ give crops that hardly differ.
    """
    return np.rint(_cut(frame, box, size, margin)).astype(np.uint8)


def window(frame: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """What a closer look around a box sees: as `crop` gives it, but float32 in 0..255.

    Rounded pixels would turn the last digits of a box into other boxes: on real frames, 1e-6 of the
    frame became 5e-4 (median), and engines found other boxes than PyTorch.
    """
    return _cut(frame, box, size, WINDOW)


def _cut(frame: np.ndarray, box: np.ndarray, size: int, margin: float) -> np.ndarray:
    low, high = _edges(frame, box, margin)
    reach = np.ceil(np.maximum((high - low) / size, 1)).astype(int)  # of the filter, in pixels
    first, last = np.floor(low).astype(int) - reach, np.ceil(high).astype(int) + reach
    side = np.array(frame.shape[1::-1])
    start, stop = np.clip(first, 0, side - 1), np.clip(last, 1, side)
    part = frame[start[1] : stop[1], start[0] : stop[0]]
    (left, upper), (right, lower) = start - first, last - stop
    part = cv2.copyMakeBorder(part, upper, lower, left, right, cv2.BORDER_CONSTANT, value=GREY)
    inside = (*(low - first), *(high - first))
    channels = [Image.fromarray(channel) for channel in part.transpose(2, 0, 1).astype(np.float32)]
    return np.stack([c.resize((size, size), Image.BILINEAR, box=inside) for c in channels], axis=2)


def _edges(frame: np.ndarray, box: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """First and last edge (2,) in pixels of the crop of a box; it may lie beyond the frame."""
    side = np.array(frame.shape[1::-1])
    middle = (box[:2] + box[2:]) / 2
    half = margin * np.maximum(box[2:] - box[:2], SMALLEST) / 2
    return (middle - half) * side, (middle + half) * side


def look_closer(
    frames: np.ndarray,
    boxes: np.ndarray,
    look: Callable[[np.ndarray], np.ndarray],
    size: int,
) -> np.ndarray:
    """Boxes (N, 4) found again, each in a window around the box that was found before.

    Args:
        frames, boxes: uint8 RGB (N, H, W, 3), and boxes as shares of a frame.
        look: from windows float32 RGB (N, size, size, 3) in 0..255 to boxes (N, 4) as shares of
            a window.
        size: edge of the windows in pixels.
    """
    for _ in range(CLOSER_LOOKS):
        pairs = list(zip(frames, boxes))
        found = look(np.stack([window(frame, box, size) for frame, box in pairs]))
        boxes = np.stack([from_window(f, box, seen) for (f, box), seen in zip(pairs, found)])
    return boxes


def from_window(frame: np.ndarray, box: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """A box (4,) that is `seen` in the window around `box`, as shares of the frame."""
    low, high = (edge / frame.shape[1::-1] for edge in _edges(frame, box, WINDOW))
    return np.clip(np.tile(low, 2) + seen * np.tile(high - low, 2), 0, 1)


def in_window(frame: np.ndarray, box: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """A box (4,) that is `seen` in the frame, as shares of the window around `box`."""
    low, high = (edge / frame.shape[1::-1] for edge in _edges(frame, box, WINDOW))
    return np.clip((seen - np.tile(low, 2)) / np.tile(high - low, 2), 0, 1)


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


def save(locator: Locator, path: files.PathLike) -> None:
    """Write weights and spec as one safetensors file, whole or not at all."""
    pretrained.write(locator.state_dict(), path, {"locator": json.dumps(locator.spec)})


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
