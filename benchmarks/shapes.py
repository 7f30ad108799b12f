"""Networks of the shapes of the listed models, with random weights: each costs what the real one does.

The configurations are those that the models' repositories publish; weights are as transformers makes them for a fresh
model. The other side of a dual encoder stays tiny: no photo meets it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from tests.tiny_models import save_dual_encoder
from tests.tiny_tasks import byte_tokenizer, save_action_model, save_detector, save_sounds_model

transformers: Any = importlib.import_module("transformers")
"""Its configurations take more than their types say."""

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_PICTURES = {"do_resize": True, "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255, "do_pad": False}


def save(name: str, folder: Path) -> Path:
    """A network of the shape of the model that is listed under this name, as a repository of the hub has it."""
    torch.manual_seed(5)
    SHAPES[name](folder)
    return folder


def save_tiny(name: str, folder: Path) -> Path:
    """A network of the same architecture with a handful of weights, for the four that a standard profile has."""
    if name == "clip-vit-b-32":
        save_dual_encoder("clip", folder)
        config = transformers.CLIPConfig.from_pretrained(folder)
        config.vision_config.projection_dim = config.text_config.projection_dim = config.projection_dim = 512
        transformers.CLIPModel(config).save_pretrained(folder)
        return folder
    if name == "dfine-s":
        return save_detector("d-fine", folder)
    return save_action_model("x-clip", folder) if name == "xclip-b-32" else save_sounds_model(folder)


def _clip(folder: Path, *, width: int, layers: int, heads: int, patch: int, dimension: int) -> None:
    save_dual_encoder("clip", folder)
    config = transformers.CLIPConfig.from_pretrained(folder)
    _tower(config.vision_config, width, layers, heads, patch)
    config.vision_config.projection_dim = config.text_config.projection_dim = config.projection_dim = dimension
    transformers.CLIPModel(config).save_pretrained(folder)
    pictures = json.loads((folder / "preprocessor_config.json").read_text())
    _write(folder, pictures | {"size": 224, "crop_size": 224})


def _siglip2(folder: Path) -> None:
    save_dual_encoder("siglip2", folder)
    config = transformers.SiglipConfig.from_pretrained(folder)
    _tower(config.vision_config, 768, 12, 12, 16)
    config.text_config.projection_size = 768
    transformers.SiglipModel(config).save_pretrained(folder)
    pictures = json.loads((folder / "preprocessor_config.json").read_text())
    _write(folder, pictures | {"size": {"height": 224, "width": 224}})


def _tower(vision: Any, width: int, layers: int, heads: int, patch: int) -> None:
    vision.hidden_size, vision.intermediate_size = width, 4 * width
    vision.num_hidden_layers, vision.num_attention_heads = layers, heads
    vision.image_size, vision.patch_size = 224, patch


def _d_fine_small(folder: Path) -> None:
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 16, 16],
        stage_in_channels=[16, 64, 256, 512],
        stage_mid_channels=[16, 32, 64, 128],
        stage_out_channels=[64, 256, 512, 1024],
        stage_num_blocks=[1, 1, 2, 1],
        stage_numb_of_layers=[3, 3, 3, 3],
        use_learnable_affine_block=True,
        hidden_sizes=[64, 256, 512, 1024],
        depths=[1, 1, 2, 1],
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.DFineConfig(
        backbone_config=backbone,
        encoder_in_channels=[256, 512, 1024],
        hidden_expansion=0.5,
        depth_mult=0.34,
        decoder_layers=3,
        decoder_n_points=[3, 6, 3],
        num_labels=80,
    )
    _detector(transformers.DFineForObjectDetection(config), folder)


def _d_fine_large(folder: Path) -> None:
    _detector(transformers.DFineForObjectDetection(transformers.DFineConfig(num_labels=80)), folder)


def _rt_detr_v2(folder: Path) -> None:
    backbone = transformers.RTDetrResNetConfig(
        hidden_sizes=[64, 128, 256, 512],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.RTDetrV2Config(
        backbone_config=backbone,
        encoder_in_channels=[128, 256, 512],
        hidden_expansion=0.5,
        decoder_layers=3,
        num_labels=80,
    )
    _detector(transformers.RTDetrV2ForObjectDetection(config), folder)


def _detector(model: Any, folder: Path) -> None:
    size = {"height": 640, "width": 640}
    for weights in model.parameters():
        if weights.dim() > 1:  # in a fresh one the signal fades below what float16 can hold
            torch.nn.init.kaiming_normal_(weights)
    _store(model, folder, {"image_processor_type": "RTDetrImageProcessor", "size": size, "do_normalize": False})


def _detr(folder: Path) -> None:
    config = transformers.DetrConfig(
        backbone_config=transformers.ResNetConfig(out_features=["stage4"]),
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        num_labels=91,
    )
    size = {"shortest_edge": 800, "longest_edge": 1333}
    pictures = {"image_processor_type": "DetrImageProcessor", "size": size, "do_normalize": True, "do_pad": True}
    _store(transformers.DetrForObjectDetection(config), folder, pictures)


def _segformer(folder: Path) -> None:
    model = transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(num_labels=150))
    size = {"height": 512, "width": 512}
    _store(model, folder, {"image_processor_type": "SegformerImageProcessor", "size": size, "do_normalize": True})


def _videomae(folder: Path) -> None:
    model = transformers.VideoMAEForVideoClassification(transformers.VideoMAEConfig(num_labels=400))
    _store(model, folder, _clips())


def _x_clip(folder: Path) -> None:
    tokenizer = byte_tokenizer()
    ends = {"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    config = transformers.XCLIPConfig(text_config={"vocab_size": len(tokenizer), **ends})
    _store(transformers.XCLIPModel(config), folder, _clips())
    tokenizer.save_pretrained(folder)


def _clips() -> dict[str, Any]:
    return {
        "image_processor_type": "VideoMAEImageProcessor",
        "size": {"shortest_edge": 224},
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "do_normalize": True,
    }


def _ast(folder: Path) -> None:
    model = transformers.ASTForAudioClassification(transformers.ASTConfig(num_labels=527))
    _store(model, folder, {})
    _write(
        folder,
        {
            "feature_extractor_type": "ASTFeatureExtractor",
            "feature_size": 1,
            "sampling_rate": 16_000,
            "max_length": 1024,
            "num_mel_bins": 128,
            "do_normalize": True,
            "mean": -4.2677393,
            "std": 4.5689974,
        },
    )


def _store(model: Any, folder: Path, pictures: dict[str, Any]) -> None:
    model.eval().save_pretrained(folder)
    _write(folder, {**_PICTURES, **_IMAGENET, **pictures})


def _write(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


SHAPES: Mapping[str, Callable[[Path], None]] = {
    "clip-vit-b-32": lambda folder: _clip(folder, width=768, layers=12, heads=12, patch=32, dimension=512),
    "clip-vit-l-14": lambda folder: _clip(folder, width=1024, layers=24, heads=16, patch=14, dimension=768),
    "siglip2-b-16-224": _siglip2,
    "dfine-s": _d_fine_small,
    "dfine-l": _d_fine_large,
    "rtdetr-v2-r18": _rt_detr_v2,
    "detr-r50": _detr,
    "segformer-b0": _segformer,
    "videomae-b-k400": _videomae,
    "xclip-b-32": _x_clip,
    "ast-audioset": _ast,
}
"""By the name in the list of models."""
