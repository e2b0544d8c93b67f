"""Train on simulated frames alone, test on real patients.

Only the network's last stages are trained. The output of the stages before them is computed once,
for a few augmented versions of every frame, and all seeds share it.
"""

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipassistnet import model
from clipassistnet.evaluation.discrimination import auroc
from clipassistnet.evaluation.resampling import bootstrap
from clipassistnet.transforms import augment, preprocess
from realism import BACKBONE, DEVELOPMENT, SIZE
from realism.probes import A_PATIENT, thinned
from realism.samples import Samples

FROZEN = 5  # of the network's seven stages
VERSIONS, EPOCHS, SEEDS, BATCH, RATE, DECAY = 2, 3, 3, 32, 5e-4, 0.02


def _augmentation():
    """Stronger than the study's, above all in colour, so that the tint is no cue."""
    import albumentations as A

    return A.Compose(
        [
            A.HorizontalFlip(p=0.5),
            A.Affine(
                rotate=(-30, 30),
                scale=(0.8, 1.35),
                keep_ratio=True,
                p=1.0,
                translate_percent=(-0.12, 0.12),
                border_mode=cv2.BORDER_REFLECT_101,
            ),
            A.ColorJitter(
                brightness=(0.65, 1.35),
                contrast=(0.7, 1.4),
                saturation=(0.5, 1.5),
                hue=(-0.04, 0.04),
                p=0.9,
            ),
            A.ToGray(p=0.15),
            A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 1.2), p=0.4),
            A.GaussNoise(std_range=(0.005, 0.04), p=0.5),
        ]
    )


def _front(network: nn.Module, spec: dict, pictures: np.ndarray) -> Tensor:
    """Output (N, C, h, w) float16 of the frozen stages for pictures (N, S, S, 3) uint8 RGB."""
    stages = nn.Sequential(network.conv_stem, network.bn1, *network.blocks[:FROZEN])
    found = []
    with torch.inference_mode():
        for start in range(0, len(pictures), 64):
            batch = pictures[start : start + 64]
            found.append(stages(preprocess(batch, SIZE, spec["mean"], spec["std"])).half())
    return torch.cat(found).clone()  # autograd refuses tensors of inference mode, not their clones


def _tail(network: nn.Module) -> nn.Sequential:
    """The stages that are trained, up to the two logits."""
    head = (network.conv_head, network.bn2, network.global_pool, network.classifier)
    return nn.Sequential(*network.blocks[FROZEN:], *head)


def _train(versions: list[Tensor], target: Tensor, seed: int) -> nn.Sequential:
    """A tail trained on the versions in turn, an epoch each, its batch normalisation frozen."""
    torch.manual_seed(seed)
    tail = _tail(model.build(BACKBONE, "imagenet").network).eval()
    optimizer = torch.optim.AdamW(tail.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * (len(target) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.15)
    for epoch in range(EPOCHS):
        inputs = versions[epoch % len(versions)]
        for chosen in torch.randperm(len(target)).split(BATCH):
            if len(chosen) < BATCH:
                break
            logits = tail(inputs[chosen].float())
            loss = F.cross_entropy(logits, target[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return tail


def _adapt(tail: nn.Sequential, inputs: Tensor) -> None:
    """Estimate the statistics of batch normalisation anew, from unlabelled inputs."""
    layers = [layer for layer in tail.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over batches
        layer.train()
    with torch.inference_mode():
        for batch in inputs.split(128):
            tail(batch.float())
    tail.eval()


def _score(tail: nn.Sequential, inputs: Tensor) -> np.ndarray:
    """p(invisible) (N,): the mean of a frame and its mirror image, the inputs' second half."""
    with torch.inference_mode():
        logits = [tail(batch.float()) for batch in inputs.split(128)]
    return F.softmax(torch.cat(logits), 1)[:, 1].reshape(2, -1).mean(0).numpy()


def learn(simulated: Samples, real: Samples) -> pd.DataFrame:
    """Train on simulated frames alone, once for each seed; score the real ones.

    Returns:
        The real frames' table for each `seed`, with p(invisible) as `score`, and as `adapted`
        with batch normalisation estimated on the real frames, without labels.
    """
    chosen = thinned(simulated.table["patient"].to_numpy(), A_PATIENT)
    target = torch.tensor(simulated.table["target"].to_numpy()[chosen])
    classifier, transform = model.build(BACKBONE, "imagenet").eval(), _augmentation()
    network, spec = classifier.network, classifier.spec
    versions = []
    for version in range(VERSIONS):
        seen = [augment(transform, simulated.pictures[k], (version, k)) for k in chosen]
        versions.append(_front(network, spec, np.stack(seen)))
    mirrored = np.concatenate([real.pictures, real.pictures[:, :, ::-1]])
    inputs, scored = _front(network, spec, mirrored), []
    for seed in range(SEEDS):
        tail = _train(versions, target, seed)
        score = _score(tail, inputs)
        _adapt(tail, inputs)
        scored.append(real.table.assign(seed=seed, score=score, adapted=_score(tail, inputs)))
    return pd.concat(scored, ignore_index=True)


def groups(scored: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of all patients, of those for development, of the judges."""
    guides = set(scored.loc[scored["video"].isin(DEVELOPMENT), "patient"])
    development = scored["patient"].isin(guides)
    return {"all": scored, "development": scored[development], "judges": scored[~development]}


def judged(scored: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """AUROC with its interval over patients, for each of the groups."""
    return {name: bootstrap(rows, auroc, by="patient")[:3] for name, rows in groups(scored).items()}


def over_seeds(scored: pd.DataFrame, column: str) -> dict[str, tuple[float, float, float]]:
    """Mean, lowest and highest AUROC of the seeds, for each of the groups."""
    found = {}
    for name, rows in groups(scored).items():
        values = [auroc(part["target"], part[column]) for _, part in rows.groupby("seed")]
        found[name] = (float(np.mean(values)), min(values), max(values))
    return found
