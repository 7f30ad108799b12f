"""Models of the real architectures with a handful of random weights, saved as the hub's are: config, processor,
safetensors. They know nothing; what they prove is that a real one is loaded, fed, run and read rightly."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import torch
from tokenizers.pre_tokenizers import ByteLevel

from indexer.models.hub import pull
from indexer.models.listing import ModelEntry, ModelFile
from indexer.models.resources import Resources, RunPolicy
from indexer.models.store import Store

transformers: Any = importlib.import_module("transformers")
"""Its configurations take more than their types say."""

LABELS = {0: "person", 1: "Traffic Light", 2: "N/A", 3: "dog"}
ACTIONS = {0: "swimming", 1: "playing guitar", 2: "dancing"}
CITYSCAPE = {0: "person", 1: "road", 2: "tree", 3: "building"}
SIDE = 64
"""Pixels of the detectors' input."""
SOUNDS = {0: "Dog", 1: "Rain on surface", 2: "Bell", 3: "Cheering"}
FRAMES = 4
FRAME_SIDE = 16

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_SQUASHED = {
    "image_processor_type": "RTDetrImageProcessor",
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": False,
    "do_pad": False,
    **_IMAGENET,
}
_BY_EDGE = {
    "do_resize": True,
    "size": {"shortest_edge": SIDE, "longest_edge": 2 * SIDE},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "do_pad": True,
    **_IMAGENET,
}
_CLIPS = {
    "image_processor_type": "VideoMAEImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": FRAME_SIDE},
    "resample": 2,
    "do_center_crop": True,
    "crop_size": {"height": FRAME_SIDE, "width": FRAME_SIDE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    **_IMAGENET,
}


def save_detector(architecture: str, folder: Path) -> Path:
    """One of "d-fine", "rt-detr-v2", "detr", "yolos"; four classes, of which one is COCO's "N/A"."""
    torch.manual_seed(7)
    model, processor = {"d-fine": _d_fine, "rt-detr-v2": _rt_detr_v2, "detr": _detr, "yolos": _yolos}[architecture]()
    return _save(model, processor, folder)


def save_segmenter(folder: Path) -> Path:
    """SegFormer with four classes, on pictures of 64 pixels a side."""
    torch.manual_seed(7)
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 8, 8, 8],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        mlp_ratios=[2, 2, 2, 2],
        decoder_hidden_size=8,
        **_classes(CITYSCAPE),
    )
    processor = {**_SQUASHED, "image_processor_type": "SegformerImageProcessor", "do_normalize": True}
    return _save(transformers.SegformerForSemanticSegmentation(config), processor, folder)


def save_action_model(architecture: str, folder: Path) -> Path:
    """One of "videomae", "timesformer" (three classes each) and "x-clip" (any labels)."""
    torch.manual_seed(7)
    tiny = {
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": FRAME_SIDE,
        "patch_size": 8,
        "num_frames": FRAMES,
    }
    if architecture == "x-clip":
        config = transformers.XCLIPConfig(
            text_config={
                "vocab_size": 2 * 256 + 2,
                "hidden_size": 16,
                "intermediate_size": 32,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "bos_token_id": 512,
                "eos_token_id": 513,
                "pad_token_id": 513,
            },
            vision_config={
                **tiny,
                "hidden_size": 16,
                "intermediate_size": 32,
                "mit_hidden_size": 16,
                "mit_intermediate_size": 32,
                "mit_num_attention_heads": 2,
            },
            projection_dim=16,
            prompt_num_attention_heads=2,
        )
        _save(transformers.XCLIPModel(config), _CLIPS, folder)
        byte_tokenizer().save_pretrained(folder)
        return folder
    if architecture == "videomae":
        classifier: Any = transformers.VideoMAEForVideoClassification(
            transformers.VideoMAEConfig(hidden_size=16, intermediate_size=32, **tiny, **_classes(ACTIONS))
        )
    else:
        classifier = transformers.TimesformerForVideoClassification(
            transformers.TimesformerConfig(hidden_size=16, intermediate_size=32, **tiny, **_classes(ACTIONS))
        )
    return _save(classifier, _CLIPS, folder)


def save_sounds_model(folder: Path) -> Path:
    """AST with four classes, which hears two seconds at once."""
    torch.manual_seed(7)
    config = transformers.ASTConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        patch_size=8,
        time_stride=8,
        frequency_stride=8,
        max_length=204,
        num_mel_bins=24,
        **_classes(SOUNDS),
    )
    processor = {
        "feature_extractor_type": "ASTFeatureExtractor",
        "feature_size": 1,
        "sampling_rate": 16_000,
        "max_length": 204,
        "num_mel_bins": 24,
        "do_normalize": True,
        "mean": -4.2677393,
        "std": 4.5689974,
    }
    return _save(transformers.ASTForAudioClassification(config), processor, folder)


def install(name: str, task: str, folder: Path, models: Path, **options: Any) -> ModelEntry:
    """Pull a saved model into the folder of all models, as `reverie models pull --from` does, and give its entry."""
    entry = ModelEntry(
        name=name,
        task=task,
        title=name,
        about="",
        licence="none",
        repository=f"test/{folder.name}",
        branch="main",
        revision=None,
        package=None,
        files=tuple(ModelFile(path.name, None, None) for path in sorted(folder.iterdir())),
        dimension=None,
        memory_megabytes=None,
        languages=(),
        options=options,
    )
    pull(entry, Store(models), source=folder, progress=lambda _: None)
    return entry


def resources(root: Path) -> Resources:
    """Everything under one folder; batches of two, so that nothing is measured."""
    return Resources(
        models=root / "models",
        model_cache=root / "cache",
        config_folders=(),
        thumbnails=root / "thumbnails",
        threads=1,
        policy=RunPolicy(device="cpu", batch_size=2),
    )


def _save(model: Any, processor: dict[str, Any], folder: Path) -> Path:
    with torch.no_grad():
        for weights in model.parameters():
            # Fresh weights are so small that the picture hardly matters, and heads are constant: all queries would
            # score the same, and their order would be left to chance.
            if weights.dim() > 1:
                torch.nn.init.kaiming_normal_(weights)
            else:
                weights.add_(torch.randn_like(weights), alpha=0.1)
    model.eval().save_pretrained(folder, safe_serialization=True)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def _classes(labels: dict[int, str]) -> dict[str, Any]:
    return {"id2label": labels, "label2id": {name: number for number, name in labels.items()}}


def _d_fine() -> tuple[Any, dict[str, Any]]:
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 8, 16],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 8, 16, 16],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        stage_light_block=[False, False, False, False],
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.DFineConfig(
        backbone_config=backbone,
        encoder_in_channels=[8, 16, 16],
        decoder_n_points=[1, 1, 1],
        **_real_time(),
        **_classes(LABELS),
    )
    return transformers.DFineForObjectDetection(config), _SQUASHED


def _rt_detr_v2() -> tuple[Any, dict[str, Any]]:
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.RTDetrV2Config(
        backbone_config=backbone,
        encoder_in_channels=[8, 16, 16],
        decoder_n_points=1,
        **_real_time(),
        **_classes(LABELS),
    )
    return transformers.RTDetrV2ForObjectDetection(config), _SQUASHED


def _real_time() -> dict[str, Any]:
    return {
        "encoder_hidden_dim": 16,
        "encoder_ffn_dim": 16,
        "encoder_attention_heads": 2,
        "d_model": 16,
        "decoder_in_channels": [16, 16, 16],
        "decoder_ffn_dim": 16,
        "decoder_layers": 2,
        "decoder_attention_heads": 2,
        "num_queries": 12,
        "num_denoising": 0,
    }


def _detr() -> tuple[Any, dict[str, Any]]:
    backbone = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage4"],
    )
    config = transformers.DetrConfig(
        backbone_config=backbone,
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=12,
        **_classes(LABELS),
    )
    return transformers.DetrForObjectDetection(config), {**_BY_EDGE, "image_processor_type": "DetrImageProcessor"}


def _yolos() -> tuple[Any, dict[str, Any]]:
    config = transformers.YolosConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=[SIDE, SIDE],
        patch_size=8,
        num_detection_tokens=12,
        **_classes(LABELS),
    )
    return transformers.YolosForObjectDetection(config), {**_BY_EDGE, "image_processor_type": "YolosImageProcessor"}


def byte_tokenizer() -> Any:
    """CLIP's tokenizer without a single merge: a token for each byte."""
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=[],
        model_max_length=77,
        pad_token=tokens[-1],
    )
