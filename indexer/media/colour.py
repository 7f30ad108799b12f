"""From whatever a decoder gives to plain 8-bit sRGB, made small on the way."""

from __future__ import annotations

import functools
import io
import logging

import numpy as np
from PIL import Image, ImageCms

from indexer.media.border import DECODER_ERRORS
from indexer.media.deep import white_of_grey
from indexer.media.hdr import hdr_to_srgb
from indexer.media.hdr_photo import ColourCoding
from indexer.media.icc import icc_profile, named_colours

logger = logging.getLogger(__name__)

_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
_LARGEST_PROFILE = 4 << 20


def to_srgb(image: Image.Image, shortest: int, coding: ColourCoding | None = None) -> Image.Image:
    """An RGB image in sRGB, over white where the image is transparent. `coding`: what the file says of it in numbers.

    It is reduced by the largest whole factor that keeps the short side at `shortest` pixels or more, as JPEG's own
    shrink-on-load does. The reduction comes before the colour transform, which costs far more per pixel.
    """
    profile = image.info.get("icc_profile") or _named_profile(coding)
    image = _reducible(image)
    factor = max(1, min(image.size) // shortest)
    coded = image
    if factor > 1:
        image = image.reduce(factor)
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    if coding is not None and coding.is_hdr:
        image = _from_hdr(coded.convert("RGB"), factor, coding)
        alpha = alpha.crop((0, 0, *image.size)) if alpha is not None else None
    else:
        image = _apply_profile(image if alpha is None else image.convert("RGB"), profile)
    if alpha is None:
        return image
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image, mask=alpha)
    return canvas


def _reducible(image: Image.Image) -> Image.Image:
    """The same picture in a mode whose pixels can be averaged: L, RGB, RGBA, CMYK or LAB."""
    if image.mode in _DEEP_MODES:
        return _from_deep(image)
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        return image.convert("RGB")
    return image


def _from_hdr(image: Image.Image, factor: int, coding: ColourCoding) -> Image.Image:
    """Averages of `factor` by `factor` pixels, kept to 16 bits: PQ and HLG spread so much light over 8 bits that
    rounding once more would show."""
    pixels = np.asarray(image)
    height, width = (side // factor for side in pixels.shape[:2])
    blocks = pixels[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    sums = blocks.sum(axis=(1, 3), dtype=np.uint32)
    return Image.fromarray(hdr_to_srgb((sums * 257 // factor**2).astype(np.uint16), coding.transfer, coding.primaries))


def _from_deep(image: Image.Image) -> Image.Image:
    """8-bit grey from 16-bit, 32-bit or float grey.

    Integers are taken as 16-bit and floats as 0 to 1, unless the file or the brightest value says otherwise.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    brightest = float(values.max())
    white = 1.0 if image.mode == "F" else white_of_grey(image, int(brightest))
    scaled = values * (255.0 / max(white, brightest))
    return Image.fromarray(scaled.clip(0, 255).round().astype(np.uint8))


def _named_profile(coding: ColourCoding | None) -> bytes | None:
    return None if coding is None else icc_profile(named_colours(coding.primaries, coding.transfer))


def _apply_profile(image: Image.Image, profile: object) -> Image.Image:
    transform = None
    if isinstance(profile, bytes) and 0 < len(profile) <= _LARGEST_PROFILE:
        mode = _mode_of(profile)
        # A grey or palette picture may carry the profile of the RGB picture that it came from.
        if mode == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        if mode == image.mode:
            transform = _transform(profile, image.mode)
    if transform is None and image.mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB")
    if transform is None:
        return image.convert("RGB")
    return ImageCms.applyTransform(image, transform) or image


def _mode_of(profile: bytes) -> str | None:
    # ICC.1, 7.2.6: the colour space of the data is a four-letter signature at byte 16.
    return _MODE_OF_SPACE.get(profile[16:20].decode("latin-1").strip())


# Photos of one camera carry one profile, and building a transform costs more than applying it to a small picture.
@functools.lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """How to get from the profile to sRGB; None when that changes nothing, or when the profile is broken."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB")
        probe = _probe(mode)
        changed = ImageCms.applyTransform(probe, transform)
    except DECODER_ERRORS as error:
        logger.debug("colour profile ignored: %s", error)
        return None
    if changed is None or mode == "LAB":
        return transform
    difference = np.asarray(changed, np.int16) - np.asarray(probe.convert("RGB"), np.int16)
    return transform if np.abs(difference).max() > 1 else None


def _probe(mode: str) -> Image.Image:
    """Every combination of five levels per channel."""
    channels = Image.getmodebands(mode)
    grid = np.stack(np.meshgrid(*[np.arange(0, 256, 51, dtype=np.uint8)] * channels), axis=-1)
    return Image.frombytes(mode, (grid.size // channels, 1), grid.tobytes())


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
