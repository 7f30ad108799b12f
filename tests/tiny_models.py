"""Dual encoders of the real architectures with a handful of random weights, saved as the hub's are: configuration,
image processor, tokenizer, safetensors. They know nothing; what they prove is that a real one is loaded, fed, run and
read rightly."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from indexer.models.hub import pull
from indexer.models.listing import ModelEntry, load_list, plan_for
from indexer.models.resources import Resources, RunPolicy
from indexer.models.store import Store
from indexer.records import Plan

KINDS = ("clip", "siglip", "siglip2")
SIDE = 32
"""Pixels of the networks' input."""
DIMENSION = 64

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789'-.,!?éüß"
_NETWORK = {"intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
CLIP_PICTURES = {
    "crop_size": SIDE,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": SIDE,
}
"""As the first CLIP checkpoints were published: an old class name, sizes as plain numbers."""
SIGLIP_PICTURES = {
    "do_convert_rgb": None,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "SiglipImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "processor_class": "SiglipProcessor",
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"height": SIDE, "width": SIDE},
}


@dataclass(frozen=True, slots=True)
class Installed:
    """A tiny model as it is after `reverie models pull --from`."""

    entry: ModelEntry
    resources: Resources
    plan: Plan
    """Of a profile with its embedding, labels and aesthetic score."""

    @property
    def folder(self) -> Path:
        """Its files."""
        return Store(self.resources.models).folder(self.entry)


def save_dual_encoder(kind: str, folder: Path) -> Path:
    """One of `KINDS`, with random weights that tell pictures and texts apart."""
    torch.manual_seed(11)
    folder.mkdir(parents=True, exist_ok=True)
    words = {"clip": _clip_tokenizer, "siglip": _siglip_tokenizer, "siglip2": _siglip2_tokenizer}[kind](folder)
    config = _clip_config(words) if kind == "clip" else _siglip_config(words)
    auto: Any = transformers.AutoModel
    model = auto.from_config(config)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                torch.nn.init.kaiming_normal_(weights)
        model.logit_scale.fill_(math.log(100))
    model.eval().save_pretrained(folder, safe_serialization=True)
    pictures = CLIP_PICTURES if kind == "clip" else SIGLIP_PICTURES
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    return folder


def list_entry(folder: Path, **changes: Any) -> dict[str, Any]:
    """What a list of models says of a saved dual encoder."""
    return {
        "task": "embedding",
        "title": folder.name,
        "about": "A tiny network with random weights.",
        "licence": "none",
        "repository": f"test/{folder.name}",
        "files": [{"path": path.name} for path in sorted(folder.iterdir()) if path.is_file()],
        "dimension": DIMENSION,
        "languages": ["en"],
        **changes,
    }


def install(kind: str, root: Path, **changes: Any) -> Installed:
    """Save a model, list it in a folder of settings, and install it, all under `root`."""
    name = f"tiny-{kind}"
    folder = save_dual_encoder(kind, root / "source" / name)
    stages = [f"{task}:{name}" for task in ("embedding", "labels", "aesthetic")]
    listed = {
        "models": {name: list_entry(folder, **changes)},
        "profiles": {name: {"about": "For tests.", "stages": stages}},
    }
    config = root / "config"
    config.mkdir()
    (config / "models.yaml").write_text(yaml.safe_dump(listed))
    known = load_list([config])
    store = Store(root / "models")
    pull(known.models[name], store, source=root / "source", progress=lambda _: None)
    resources = Resources(
        models=root / "models",
        model_cache=root / "cache",
        config_folders=(config,),
        thumbnails=root / "thumbnails",
        threads=1,
        policy=RunPolicy(device="cpu", batch_size=2),
    )
    return Installed(known.models[name], resources, plan_for(name, known, store, [config]))


def _clip_config(words: dict[str, int]) -> Any:
    return transformers.CLIPConfig(
        text_config={
            **_NETWORK,
            "hidden_size": DIMENSION,
            "vocab_size": len(words),
            "max_position_embeddings": 77,
            "bos_token_id": words["<|startoftext|>"],
            "eos_token_id": words["<|endoftext|>"],
            "pad_token_id": words["<|endoftext|>"],
        },
        vision_config={**_NETWORK, "hidden_size": DIMENSION, "image_size": SIDE, "patch_size": 8},
        projection_dim=DIMENSION,
    )


def _siglip_config(words: dict[str, int]) -> Any:
    """SigLIP 2 at fixed resolution has SigLIP's architecture: only the tokenizer tells them apart."""
    return transformers.SiglipConfig(
        text_config={
            **_NETWORK,
            "hidden_size": DIMENSION,
            "vocab_size": len(words),
            "max_position_embeddings": 64,
            "projection_size": DIMENSION,
            "bos_token_id": None,
            "eos_token_id": 1,
            "pad_token_id": 1,
        },
        vision_config={**_NETWORK, "hidden_size": DIMENSION, "image_size": SIDE, "patch_size": 8},
    )


def _clip_tokenizer(folder: Path) -> dict[str, int]:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges: Any = [("c", "a"), ("ca", "t</w>"), ("d", "o"), ("do", "g</w>")]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    words = {piece: number for number, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    transformers.CLIPTokenizer(vocab=words, merges=merges, model_max_length=77).save_pretrained(folder)
    return words


def _siglip_tokenizer(folder: Path) -> dict[str, int]:
    """SentencePiece's unigrams, as T5 and SigLIP have them."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("▁a", -2.5), ("cat", -4.0)]
    pieces += [(letter, -5.0 - number / 10) for number, letter in enumerate(_LETTERS)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.normalizer = normalizers.Replace(" {2,}", " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "SiglipTokenizer", "pad_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return tokenizer.get_vocab()


def _siglip2_tokenizer(folder: Path) -> dict[str, int]:
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    pieces = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *_LETTERS, "ca", "cat"]
    words = {piece: number for number, piece in enumerate(pieces)}
    merges: Any = [("c", "a"), ("ca", "t")]
    transformers.GemmaTokenizer(vocab=words, merges=merges, add_bos_token=False, add_eos_token=True).save_pretrained(
        folder
    )
    return words
