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
        ("PRO_LRV_20220301_101010_01_003.mp4", "PRO_VID_20220301_101010_00_003.mp4"),
        ("GX010123.THM", "GX010123.MP4"),
        ("GOPR0123.THM", "GOPR0123.MP4"),
        ("MVI_0042.THM", "MVI_0042.AVI"),
        ("mvi_0042.thm", "mvi_0042.mov"),
        ("CRW_0007.THM", "CRW_0007.CRW"),
        ("M4ROOT/SUB/C0001S03.MP4", "M4ROOT/CLIP/C0001.MP4"),
        ("M4ROOT/THMBNL/C0001T01.JPG", "M4ROOT/CLIP/C0001.MP4"),
        ("XDROOT/Sub/C0012S01.MP4", "XDROOT/Clip/C0012.MXF"),
        ("Day 1/Proxy/A001_C002.mp4", "Day 1/A001_C002.mov"),
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
        "MVI_0042.THM",
        "M4ROOT/CLIP/C0001.MP4",
        "M4ROOT/SUB/C0002S03.MP4",
        "SUB/C0001S03.MP4",
        "C0001S03.MP4",
        "Proxy/holiday.mp4",
    ],
)
def test_recordings_and_both_lenses_of_one_stay_in(name: str) -> None:
    beside = {name, "VID_20230701_120000_00_001.insv", "VID_20230701_120000_10_001.insv", "GX010123.MP4"}
    beside |= {"M4ROOT/CLIP/C0001.MP4", "C0001.MP4", "CLIP/C0009.MP4"}
    assert original_of(name, beside.__contains__) is None
