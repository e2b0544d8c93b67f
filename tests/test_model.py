"""The classifier: the right weights, what is frozen stays so, checkpoints, the ensemble."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from timm.data import ImageNetInfo
from timm.layers import Conv2dSame
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode, resolve_name
from torchvision.models import resnet50

from clipassistnet import model, transforms
from clipassistnet.model import classifier, layers, pretrained, weights

LITE0 = "tf_efficientnet_lite0"
# What torch2trt converts and a forward pass may use (F.relu6 stands for hardtanh after export).
CONVERTIBLE = {
    "torch.nn.functional.conv2d",
    "torch.nn.functional.batch_norm",
    "torch.nn.functional.relu",
    "torch.nn.functional.hardtanh",
    "torch.nn.functional.max_pool2d",
    "torch.nn.functional.adaptive_avg_pool2d",
    "torch.nn.functional.linear",
    "torch.nn.functional.softmax",
    "torch.flatten",
    "torch.Tensor.flatten",
    "torch.Tensor.add",
    "torch.Tensor.add_",
    "torch.Tensor.mul",
    "torch.Tensor.mean",
    "torch.stack",
}


def images(size: int, n: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def top1(network: torch.nn.Module, picture: str, mean, std) -> str:
    """ImageNet class of one of scikit-learn's sample pictures."""
    frame = load_sample_image(picture)
    with torch.no_grad():
        logits = network.eval()(transforms.preprocess(frame[None], 224, mean, std))
    return ImageNetInfo().index_to_description(int(logits.argmax())).split(",")[0]


def test_lite0_weights_of_the_package_are_imagenets():
    network = timm.create_model(LITE0)
    network.load_state_dict(pretrained.find(LITE0, network)[0])  # strict: every name and shape
    half = (0.5, 0.5, 0.5)
    assert top1(network, "china.jpg", half, half) == "bell cote"
    assert top1(network, "flower.jpg", half, half) == "daisy"


def test_resnet50_from_a_file_with_early_strides(shared):
    """Keras' weights are exact only where torchvision's network strides early, as v1 did."""
    path = shared / "weights" / "resnet50_imagenet_v1.fp16.safetensors"
    built = model.build("resnet50", str(path))
    assert built.spec["early_stride"]
    assert built.spec["weights"] == path.name
    full = resnet50()
    full.load_state_dict(weights.read(str(path))[0], strict=False)
    classifier._stride_early(full)
    mean, std = built.spec["mean"], built.spec["std"]
    assert top1(full, "china.jpg", mean, std) == "bell cote"
    full.fc = built.network.fc
    x = images(64)
    with torch.no_grad():
        assert torch.equal(built.eval()(x), full.eval()(x))


def test_early_strides_survive_a_checkpoint(shared, tmp_path):
    path = shared / "weights" / "resnet50_imagenet_v1.fp16.safetensors"
    built = model.build("resnet50", str(path)).eval()
    model.save(built, tmp_path / "model.safetensors")
    with torch.no_grad():
        assert torch.equal(
            built(images(64)), model.load(tmp_path / "model.safetensors")(images(64))
        )


@pytest.mark.parametrize("size", [64, 75, 96])
def test_quickened_network_computes_what_timms_does(size):
    reference, quick = timm.create_model(LITE0), timm.create_model(LITE0)
    for network in (reference, quick):
        network.load_state_dict(pretrained.find(LITE0, network)[0])
    layers.quicken(quick)
    assert quick.state_dict().keys() == reference.state_dict().keys()
    kinds = {type(layer) for layer in quick.modules()}
    assert {layers.SamePadding, layers.Depthwise} <= kinds
    with torch.no_grad():
        expected = reference.eval()(images(size))
        assert torch.allclose(expected, quick.eval()(images(size)), atol=1e-4)
        assert torch.allclose(expected, layers.plain(quick, size)(images(size)), atol=1e-4)
    assert not {type(layer) for layer in quick.modules()} & {layers.SamePadding, layers.Depthwise}


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("height", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("width", [3, 6])
@pytest.mark.parametrize("stride", [1, 2])
def test_quickened_layers_have_the_same_output_and_gradients(kernel, height, width, stride):
    """Strided ones with TensorFlow's padding, depthwise ones while training, any map."""
    torch.manual_seed(0)
    kind = Conv2dSame if stride == 2 else torch.nn.Conv2d
    padding = {} if stride == 2 else {"padding": kernel // 2}
    layer = kind(4, 4, kernel, stride, groups=4, bias=False, **padding)
    holder = layers.quicken(torch.nn.Sequential(copy.deepcopy(layer)))
    assert type(holder[0]) is (layers.SamePadding if stride == 2 else layers.Depthwise)
    results = []
    for network in (layer, holder):
        x = torch.randn(2, 4, height, width, generator=torch.Generator().manual_seed(1))
        y = network(x.requires_grad_())
        y.square().sum().backward()
        results.append((y, x.grad, next(network.parameters()).grad))
    for expected, quick in zip(*results, strict=True):
        assert torch.allclose(expected, quick, atol=1e-5)


def test_depthwise_on_a_small_map_by_hand():
    """A 3 x 3 kernel of ones on a 2 x 2 map sums the whole map at each place."""
    layer = layers.Depthwise(2, 2, 3, padding=1, groups=2, bias=False)
    torch.nn.init.ones_(layer.weight)
    sums = layer(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 0.0]]]]))
    assert sums.flatten().tolist() == [10.0] * 4 + [1.0] * 4


def test_quickening_keeps_parameters_and_draws_nothing():
    network = timm.create_model(LITE0)
    before, drawn = dict(network.named_parameters()), torch.random.get_rng_state()
    layers.quicken(network)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    after = dict(network.named_parameters())
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)


@pytest.mark.parametrize(("backbone", "last"), [(LITE0, "blocks.6"), ("resnet50", "layer4")])
def test_trainable_stages_freeze_the_rest(backbone, last):
    built = model.build(backbone, "none", trainable_stages=1)
    trained = {n for n, p in built.network.named_parameters() if p.requires_grad}
    head = ("conv_head", "bn2", "classifier", "fc")
    assert trained
    assert all(name.startswith((last, *head)) for name in trained)
    frozen = next(m for n, m in built.network.named_modules() if n == "bn1")
    before = frozen.running_mean.clone()
    built.train()
    with torch.no_grad():
        built(images(64))
    assert torch.equal(frozen.running_mean, before)
    assert not any(m.training for m in built.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_everything_trains_with_no_stages_named():
    built = model.build(LITE0, "none").train()
    assert all(p.requires_grad for p in built.parameters())
    assert all(m.training for m in built.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_only_trainable_stages_hold_a_graph():
    built = model.build(LITE0, "none", trainable_stages=1).train()
    features = {}
    for name in ("blocks.5", "blocks.6"):
        module = built.network.get_submodule(name)
        module.register_forward_hook(lambda m, i, out, name=name: features.update({name: out}))
    built(images(64))
    assert not features["blocks.5"].requires_grad
    assert features["blocks.6"].requires_grad


def test_save_and_load(tmp_path):
    built = model.build(LITE0, "imagenet")
    built.spec["image_size"] = 64
    built.train()(images(64))  # moves the running statistics
    model.save(built, tmp_path / "m.safetensors", fold=2, auroc=0.875)
    loaded = model.load(tmp_path / "m.safetensors")
    assert loaded.spec == built.spec
    assert loaded.metadata == {"fold": 2, "auroc": 0.875}
    assert "Apache-2.0" in loaded.spec["weights_licence"]
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(images(64)), built.eval()(images(64)))
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


class Explodes:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_bad_checkpoints_and_weights_name_themselves(tmp_path):
    missing, text = tmp_path / "missing.safetensors", tmp_path / "text.safetensors"
    text.write_text("no tensors here")
    with pytest.raises(model.ModelError, match=r"missing\.safetensors: no such"):
        model.load(missing)
    with pytest.raises(model.ModelError, match=r"text\.safetensors: not a file of tensors"):
        model.load(text)
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other)
    with pytest.raises(model.ModelError, match=r"other\.safetensors: not a checkpoint"):
        model.load(other)
    with pytest.raises(model.ModelError, match=r"not weights of resnet50: 265 missing.*\['a'\]"):
        model.build("resnet50", str(other))
    pickled = tmp_path / "code.pth"
    torch.save({"a": Explodes()}, pickled)
    with pytest.raises(model.ModelError, match=r"code\.pth: not a file of tensors") as refused:
        model.build("resnet50", str(pickled))
    assert "False" not in str(refused.value)  # torch's advice: weights_only=False
    half = tmp_path / "half.safetensors"
    whole = tmp_path / "whole.safetensors"
    model.save(model.build(LITE0, "none"), whole)
    half.write_bytes(whole.read_bytes()[:100_000])
    with pytest.raises(model.ModelError, match=r"half\.safetensors"):
        model.load(half)


def test_unknown_backbone_and_too_many_stages():
    with pytest.raises(model.ModelError, match="'resnet51': expected resnet50 or a timm model"):
        model.build("resnet51", "none")
    with pytest.raises(
        model.ModelError, match=r"'efficientnet_lite': .* such as tf_efficientnet_lite0"
    ):
        model.build("efficientnet_lite", "none")
    with pytest.raises(model.ModelError, match="resnet50 has 4 stages"):
        model.build("resnet50", "none", trainable_stages=5)


@pytest.mark.parametrize("backbone", ["caformer_s18", "convformer_s18"])
def test_a_backbone_without_a_linear_head_is_refused(backbone):
    with pytest.raises(model.ModelError, match=f"'{backbone}': its head is MlpHead, expected one"):
        model.build(backbone, "none")


def test_no_network_and_no_weights(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def fail(url, *arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(
        model.ModelError, match=r"no route to host.*give a weight file as `weights`.*save it as"
    ):
        model.build("resnet50", "imagenet")


def members(n: int, size: int = 64, backbone: str = LITE0) -> list[model.FrameClassifier]:
    torch.manual_seed(0)
    built = [model.build(backbone, "imagenet" if backbone == LITE0 else "none") for _ in range(n)]
    for member in built:
        member.spec["image_size"] = size
        member.eval()
    return built


def test_ensemble_is_the_weighted_mean_of_confidences():
    models, x = members(3), images(64, 4)
    with torch.no_grad():
        singly = np.stack([m(x).softmax(1)[:, 1].numpy() for m in models])
        together = model.EnsembleModule(models)(x).numpy()
        weighted = model.EnsembleModule(models, weights=[3, 1, 0])(x).numpy()
    assert together.shape == (4,)
    assert together == pytest.approx(singly.mean(axis=0), abs=1e-6)
    assert weighted == pytest.approx(0.75 * singly[0] + 0.25 * singly[1], abs=1e-6)
    assert np.ptp(singly, axis=0).min() > 1e-3


@pytest.mark.parametrize(("backbone", "size"), [(LITE0, 96), (LITE0, 75), ("resnet50", 64)])
def test_ensemble_uses_only_what_torch2trt_converts(backbone, size):
    ensemble = model.EnsembleModule(members(2, size, backbone))
    used = set()

    class Recorder(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            used.add(resolve_name(function) or function.__name__)
            return function(*args, **(kwargs or {}))

    x = images(size)
    with torch.no_grad(), Recorder():
        ensemble(x)
    inspected = {"_assert", "torch.Tensor.dim", "torch.Tensor.size"}
    assert {n for n in used if not n.endswith("__get__")} - inspected <= CONVERTIBLE


def test_ensemble_leaves_its_members_alone():
    models = members(1)
    kinds = [type(layer) for layer in models[0].modules()]
    model.EnsembleModule(models)
    assert [type(layer) for layer in models[0].modules()] == kinds


def test_ensemble_refuses_what_does_not_belong_together():
    small, large = members(1)[0], members(1, 96)[0]
    with pytest.raises(model.ModelError, match="one known image size"):
        model.EnsembleModule([small, large])
    with pytest.raises(model.ModelError, match="weights"):
        model.EnsembleModule([small], weights=[0.5, 0.5])
    with pytest.raises(model.ModelError, match="weights"):
        model.EnsembleModule([small], weights=[0.0])


def test_networks_say_what_they_predict(tmp_path):
    tip, clipper = members(2, backbone="test_resnet")
    clipper.spec["predicts"] = model.CLIP_APPLIER_PRESENT
    together = model.EnsembleModule([clipper], predicts=model.CLIP_APPLIER_PRESENT)
    assert together.spec["predicts"] == model.CLIP_APPLIER_PRESENT
    with pytest.raises(model.ModelError, match=r"member 0 .*: its score is p\(clip applier in the"):
        model.EnsembleModule([clipper])
    with pytest.raises(
        model.ModelError, match=r"member 1 .*: its score is p\(tip invisible\), exp"
    ):
        model.EnsembleModule([clipper, tip], predicts=model.CLIP_APPLIER_PRESENT)
    del tip.spec["predicts"]  # a checkpoint of the time when there was one question only
    model.save(tip, tmp_path / "old.safetensors")
    assert model.load(tmp_path / "old.safetensors").spec["predicts"] == model.TIP_INVISIBLE


def test_softmax_confidences_sum_over_both_classes():
    """p(invisible) is class 1: a head that always says class 1 gives 1."""
    member = members(1)[0]
    torch.nn.init.zeros_(member.network.classifier.weight)
    member.network.classifier.bias.data = torch.tensor([-20.0, 20.0])
    with torch.no_grad():
        assert model.EnsembleModule([member])(images(64)).tolist() == pytest.approx([1, 1])
        assert F.softmax(member(images(64)), dim=1)[:, 1].tolist() == pytest.approx([1, 1])


def test_importing_the_live_side_loads_no_study_package():
    """A Jetson has torch, torchvision, timm, numpy and OpenCV alone."""
    code = (
        "import sys, clipassistnet.model, clipassistnet.transforms; "
        "print({'albumentations', 'pandas', 'pytorch_lightning', 'sklearn', 'timm', 'captum'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
