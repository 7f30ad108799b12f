"""Small copies that cameras write beside their recordings, by name."""

import pytest

from indexer.media.proxies import original_of


@pytest.mark.parametrize(
    ("proxy", "original"),
    [
        ("LRV_20230701_120000_01_001.insv", "VID_20230701_120000_00_001.insv"),
        ("LRV_20230701_120000_11_001.insv", "VID_20230701_120000_10_001.insv"),
        ("LRV_20240101_080000_01_012.lrv", "VID_20240101_080000_00_012.mp4"),
        ("LRV_20240101_080000_11_012.mp4", "VID_20240101_080000_00_012.mp4"),
        ("GL010123.LRV", "GX010123.MP4"),
        ("GL010123.LRV", "GH010123.MP4"),
        ("GOPR0123.LRV", "GOPR0123.MP4"),
        ("GS010123.LRV", "GS010123.360"),
        ("DJI_0001.LRF", "DJI_0001.MP4"),
        ("CAM_20250101120000_0001_D.LRF", "CAM_20250101120000_0001_D.OSV"),
    ],
)
def test_a_copy_stays_out_while_its_recording_lies_beside_it(proxy: str, original: str) -> None:
    beside = {f"/card/{proxy}", f"/card/{original}"}
    assert original_of(f"/card/{proxy}", beside.__contains__) == f"/card/{original}"
    assert original_of(f"/card/{proxy}", {f"/card/{proxy}", f"/other/{original}"}.__contains__) is None


@pytest.mark.parametrize(
    "name",
    [
        "VID_20230701_120000_00_001.insv",
        "VID_20230701_120000_10_001.insv",
        "IMG_20230514_112100_00_055.insp",
        "GX010123.MP4",
        "GL010124.LRV",
        "LRV_20230701_120001_01_001.insv",
    ],
)
def test_recordings_and_both_lenses_of_one_stay_in(name: str) -> None:
    beside = {name, "VID_20230701_120000_00_001.insv", "VID_20230701_120000_10_001.insv", "GX010123.MP4"}
    assert original_of(name, beside.__contains__) is None
