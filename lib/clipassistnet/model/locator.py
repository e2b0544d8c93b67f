"""Where the clip applier is, so that the classifier looks at it alone.

A locator is a frozen ImageNet network with a small head that finds the applier's box. It learns
from boxes (the dataset folder's boxes.csv) and needs none afterwards.

Runs on Python 3.8 with torch, timm, numpy and OpenCV alone.
"""

from __future__ import annotations

import copy
import json

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipassistnet import transforms
from clipassistnet.model import classifier, layers
from clipassistnet.model import weights as pretrained
from clipassistnet.model.weights import LITE0, ModelError

CORNERS = ["x0", "y0", "x1", "y1"]
STRIDE, CHANNELS = 16, 112  # of the trunk's last maps
SHARPNESS = 4  # cells vote on the box by the 4th power of their confidence
SMALLEST = 1 / 32  # side of a crop, as a share of the frame's


class Locator(nn.Module):
    """Frames to maps: is the applier here, and how far from here are the edges of its box?

    Uses only operations that torch2trt converts. `decode` turns its maps into boxes.
    """

    def __init__(self, weights: str = "imagenet", image_size: int = 256, width: int = 64):
        super().__init__()
        built = classifier.build(LITE0, weights)
        network = built.network
        trunk = [network.conv_stem, network.bn1, *list(network.blocks)[:5]]
        self.trunk = nn.Sequential(*trunk).requires_grad_(False).eval()
        self.head = nn.Sequential(
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
        nn.init.constant_(self.head[-1].bias[:1], -3.0)  # most cells show no applier
        self.spec = {"image_size": image_size, "width": width}
        self.spec.update({name: built.spec[name] for name in ("mean", "std")})

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, 5, S / 16, S / 16) of preprocessed frames (N, 3, S, S).

        Logit of "applier here", then the distances to the box's left, upper, right and lower edge
        as shares of the frame.
        """
        return self.head(self.trunk(images))

    def train(self, mode: bool = True) -> Locator:
        """As nn.Module.train, but the frozen trunk keeps its statistics."""
        super().train(mode)
        self.trunk.eval()
        return self

    def plain(self) -> Locator:
        """A copy in eval mode, computing the same, whose strided layers are ordinary ones."""
        return layers.plain(copy.deepcopy(self).eval(), self.spec["image_size"])

    def features(self, frames: np.ndarray, batch_size: int = 32) -> Tensor:
        """The trunk's maps (N, 112, S / 16, S / 16) of frames uint8 (N, H, W, 3) of any size."""
        maps = []
        with torch.inference_mode():
            for start in range(0, len(frames), batch_size):
                part = frames[start : start + batch_size]
                maps.append(self.trunk(self.preprocess(part)).cpu())
        return torch.cat(maps).clone()  # out of inference mode, to be trained on

    def preprocess(self, frames: np.ndarray) -> Tensor:
        """What the network sees of frames uint8 (N, H, W, 3), on its own device."""
        spec = self.spec
        images = transforms.preprocess(frames, spec["image_size"], spec["mean"], spec["std"])
        return images.to(next(self.parameters()).device)

    def find(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4) as shares of the frame, and p(applier in the frame) (N,), of frames."""
        self.eval()
        with torch.inference_mode():
            boxes, presence = decode(self(self.preprocess(frames)).cpu())
        return boxes.numpy(), presence.numpy()


def _cells(maps: Tensor) -> tuple[Tensor, Tensor]:
    """x and y (height, width) of the cells' centres, as shares of the frame."""
    height, width = maps.shape[-2:]
    y = (torch.arange(height) + 0.5) / height
    x = (torch.arange(width) + 0.5) / width
    return x.expand(height, width), y[:, None].expand(height, width)


def decode(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (N, 4) x0, y0, x1, y1 as shares of the frame, and presence (N,), of a locator's maps.

    Each cell proposes a box; the box is their mean, weighted by the cells' confidence.
    """
    x, y = _cells(maps)
    left, upper, right, lower = maps[:, 1:].unbind(1)
    proposals = torch.stack([x - left, y - upper, x + right, y + lower], dim=1).flatten(2)
    logits = maps[:, 0].flatten(1)
    votes = F.softmax(SHARPNESS * F.logsigmoid(logits), dim=1)
    boxes = (proposals * votes[:, None]).sum(dim=2).clamp(0, 1)
    return boxes, torch.sigmoid(logits).amax(dim=1)


def encode(boxes: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """What maps should be for boxes (N, 4), NaN where a frame has none.

    Confidence (N, 1, h, w), a bump over the middle of the box, and edge distances (N, 4, h, w).
    """
    x, y = _cells(maps)
    x0, y0, x1, y1 = (edge[:, None, None] for edge in boxes.unbind(1))
    cell = 1 / maps.shape[-1]
    across = (x - (x0 + x1) / 2) / ((x1 - x0) * 0.3).clamp_min(cell)
    down = (y - (y0 + y1) / 2) / ((y1 - y0) * 0.3).clamp_min(cell)
    confidence = torch.exp(-(across**2) - down**2).nan_to_num(0)
    distances = torch.stack([x - x0, y - y0, x1 - x, y1 - y], dim=1).nan_to_num(0)
    return confidence[:, None], distances


def loss(maps: Tensor, boxes: Tensor) -> Tensor:
    """Quality focal loss of the confidence, plus the error of the edges within the boxes."""
    confidence, distances = encode(boxes, maps)
    logits = maps[:, :1]
    entropy = F.binary_cross_entropy_with_logits(logits, confidence, reduction="none")
    focal = (entropy * (logits.sigmoid() - confidence) ** 2).sum() / len(maps)
    inside = confidence * (confidence > 0.25)
    error = ((maps[:, 1:] - distances).abs() * inside).sum() / inside.sum().clamp_min(1)
    return focal + 10 * error


def fit(frames: np.ndarray, boxes: np.ndarray, *, seed: int, epochs: int = 12) -> Locator:
    """Train a locator's head on frames uint8 (N, S, S, 3) and boxes (N, 4), shares of the frame.

    A row of NaN is a frame without an applier. The trunk's maps are computed once.
    ValueError where no frame has a box, or a box is no box.
    """
    boxed = ~np.isnan(boxes).all(axis=1)
    if not boxed.any():
        raise ValueError(f"locator: none of {len(frames)} training frames has a box")
    if not (boxes[boxed][:, 2:] > boxes[boxed][:, :2]).all() or np.isnan(boxes[boxed]).any():
        raise ValueError("locator: boxes with x0 < x1 and y0 < y1 expected")
    torch.manual_seed(seed)
    locator = Locator()
    train_head(locator, locator.features(frames), boxes, seed=seed, epochs=epochs)
    return locator


def train_head(locator: Locator, maps: Tensor, boxes: np.ndarray, *, seed: int, epochs: int):
    """Train the head in place on the trunk's maps (N, 112, h, w), as `fit` does."""
    targets = torch.tensor(boxes, dtype=torch.float32)
    order, batches = np.random.default_rng(seed), -(-len(maps) // 16)
    optimizer = torch.optim.AdamW(locator.head.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * batches)
    locator.train()
    for _ in range(epochs):
        for rows in np.array_split(order.permutation(len(maps)), batches):
            optimizer.zero_grad()
            loss(locator.head(F.dropout2d(maps[rows], 0.1)), targets[rows]).backward()
            optimizer.step()
            schedule.step()
    locator.eval()


def crop(frame: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """What lies in a box (x0, y0, x1, y1 as shares of the frame), resized to (size, size, 3).

    Its aspect is not kept: the applier fills the picture, however it lies.
    """
    side = np.array(frame.shape[1::-1])
    middle, half = (box[:2] + box[2:]) / 2, np.maximum(box[2:] - box[:2], SMALLEST) / 2
    low = np.clip(np.floor((middle - half) * side), 0, side - 1).astype(int)
    high = np.clip(np.ceil((middle + half) * side), low + 1, side).astype(int)
    return transforms.resize(np.ascontiguousarray(frame[low[1] : high[1], low[0] : high[0]]), size)


def save(locator: Locator, path) -> None:
    """Write weights and spec as one safetensors file."""
    from safetensors.torch import save_file

    state = {name: t.detach().cpu().contiguous() for name, t in locator.state_dict().items()}
    save_file(state, path, metadata={"locator": json.dumps(locator.spec)})


def load(path) -> Locator:
    """The locator that `save` wrote, in eval mode. ModelError where the file is something else."""
    state, notes = pretrained.read(str(path))
    if "locator" not in notes:
        raise ModelError(f"{path}: not a locator of clipassistnet.locator.save")
    spec = json.loads(notes["locator"])
    locator = Locator("none", spec["image_size"], spec["width"])
    locator.load_state_dict(state)
    return locator.eval()
