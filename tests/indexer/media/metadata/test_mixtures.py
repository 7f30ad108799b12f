"""Random mixtures of sources that contradict each other, against a reference rule written in ten lines."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from tzfpy import get_tz

from indexer.media.metadata.sidecars import facts_beside
from tests.indexer.media.metadata.blocks import (
    LIMITS,
    ascii_entry,
    described,
    exif_block,
    iptc_block,
    jpeg,
    rationals,
    xmp_packet,
)

SOURCES = ("sidecar", "exif", "xmp", "iptc")
"""In the order in which they are trusted."""
MEANINGS = {"taken": SOURCES, "digitised": SOURCES, "located": ("exif",), "changed": ("exif",), "named": ("name",)}
"""What a date can mean, the best first, and which sources can say it, in the order in which they are trusted."""

Dates = dict[tuple[str, str], str]
"""(meaning, source) to "YYYY-MM-DD" or "YYYY-MM-DDTHH:MM:SS"."""


@dataclass(frozen=True)
class Mixture:
    dates: Dates
    ratings: dict[str, int]
    places: dict[str, tuple[int, int]]


def reference_date(dates: Dates, zone: ZoneInfo | None) -> str | None:
    """The rule: the best meaning, then the most trusted source; a day takes the clock of a taking on that day.

    A satellite's clock says UTC; the photo was taken by the clock of its place, or else of this computer.
    """
    ranked = [dates[meaning, source] for meaning, sources in MEANINGS.items() for source in sources
              if (meaning, source) in dates]  # fmt: skip
    if not ranked:
        return None
    clocks = [dates[meaning, source] for meaning in ("taken", "digitised") for source in SOURCES
              if (meaning, source) in dates]  # fmt: skip
    if ("located", "exif") in dates and ranked[0] == dates["located", "exif"] and not clocks and "T" in ranked[0]:
        return datetime.fromisoformat(ranked[0]).replace(tzinfo=UTC).astimezone(zone).isoformat()[:19]
    finer = [clock for clock in clocks if len(clock) > len(ranked[0]) and clock.startswith(ranked[0])]
    return finer[0] if finer else ranked[0]


def written(mixture: Mixture, folder: Path) -> tuple[Path, bytes, list[str]]:
    """A photo with all of it: its path, its bytes, its sidecars."""
    dates, name = mixture.dates, "a.jpg"
    if ("named", "name") in dates:
        name = f"IMG_{dates['named', 'name'].replace('-', '').replace(':', '').replace('T', '_')}.jpg"
    path = folder / name
    sidecar = packet(mixture, "sidecar")
    sidecars = []
    if sidecar is not None:
        Path(f"{path}.xmp").write_bytes(sidecar)
        sidecars.append(f"{path}.xmp")
    data = jpeg(exif=exif(mixture), xmp=packet(mixture, "xmp") or b"", iptc=iptc(mixture))
    return path, data, sidecars


def packet(mixture: Mixture, source: str) -> bytes | None:
    properties = {"exif_DateTimeOriginal": "taken", "xmp_CreateDate": "digitised"}
    said = {
        name: mixture.dates[meaning, source]
        for name, meaning in properties.items()
        if (meaning, source) in mixture.dates
    }
    if source in mixture.ratings:
        said["xmp_Rating"] = str(mixture.ratings[source])
    if source in mixture.places:
        latitude, longitude = mixture.places[source]
        said |= {"exif_GPSLatitude": f"{latitude},30,0N", "exif_GPSLongitude": f"{longitude}.5E"}
    return xmp_packet(**said) if said else None


def exif(mixture: Mixture) -> bytes:
    def stamp(meaning: str) -> str | None:
        date = mixture.dates.get((meaning, "exif"))
        return date and date.replace("-", ":").replace("T", " ")

    photo = [
        ascii_entry(tag, date)
        for tag, meaning in ((0x9003, "taken"), (0x9004, "digitised"))
        if (date := stamp(meaning))
    ]
    image = [ascii_entry(0x010F, "Acme")]
    if date := stamp("changed"):
        image.append(ascii_entry(0x0132, date))
    if "exif" in mixture.ratings:
        image.append((0x4746, 3, 1, mixture.ratings["exif"].to_bytes(2, "little")))
    gps = []
    if date := stamp("located"):
        gps.append(ascii_entry(0x1D, date[:10]))
        if len(date) > 10:
            gps.append(rationals(7, *((int(part), 1) for part in date[11:].split(":"))))
    if "exif" in mixture.places:
        latitude, longitude = mixture.places["exif"]
        gps += [(1, 2, 2, b"N\x00"), rationals(2, (latitude, 1), (30, 1), (0, 0))]
        gps += [(3, 2, 2, b"E\x00"), rationals(4, (longitude, 1), (30, 1), (0, 1))]
    return exif_block(image, photo, gps)


def iptc(mixture: Mixture) -> bytes:
    sets = []
    for meaning, day_set, time_set in (("taken", 55, 60), ("digitised", 62, 63)):
        if (date := mixture.dates.get((meaning, "iptc"))) is not None:
            sets.append((day_set, date[:10].replace("-", "").encode()))
            if len(date) > 10:
                sets.append((time_set, date[11:].replace(":", "").encode()))
    return iptc_block(*sets) if sets else b""


days = st.sampled_from(["1985-07-04", "2019-03-02", "2023-02-11"])
clocks = st.sampled_from(["", "T08:09:10", "T20:14:00"])
when = st.builds(lambda day, clock: day + clock, days, clocks)
claims = [(meaning, source) for meaning, sources in MEANINGS.items() for source in sources]
mixtures = st.builds(
    Mixture,
    dates=st.dictionaries(st.sampled_from(claims), when).filter(
        # Digits alone in a name are a date only since there are digital cameras.
        lambda dates: dates.get(("named", "name"), "2019") > "1990"
    ),
    ratings=st.dictionaries(st.sampled_from(["sidecar", "xmp", "exif"]), st.integers(1, 5)),
    places=st.dictionaries(
        st.sampled_from(["sidecar", "exif", "xmp"]), st.tuples(st.integers(1, 80), st.integers(1, 170))
    ),
)


@settings(max_examples=150, deadline=None)
@given(mixtures)
def test_the_rule_holds_for_every_mixture(mixture: Mixture) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, data, sidecars = written(mixture, Path(folder))
        info = described(data, facts_beside(str(path), sidecars, LIMITS))
    place = next((mixture.places[one] for one in ("sidecar", "exif", "xmp") if one in mixture.places), None)
    expected = reference_date(mixture.dates, ZoneInfo(get_tz(place[1] + 0.5, place[0] + 0.5)) if place else None)
    assert info.taken_at == (expected and expected.ljust(19, "T").replace("TTTTTTTTT", "T00:00:00"))
    assert info.taken_precision == (expected and ("second" if len(expected) > 10 else "day"))
    # Windows keeps its rating in EXIF, where it repeats what it wrote to XMP: the packet goes first.
    assert info.rating == next(
        (mixture.ratings[one] for one in ("sidecar", "xmp", "exif") if one in mixture.ratings), None
    )
    assert (info.latitude, info.longitude) == ((place[0] + 0.5, place[1] + 0.5) if place else (None, None))


def test_partial_dates_keep_what_is_known() -> None:
    for text, known, precision in (
        ("1993:08:00 00:00:00", "1993-08-01T00:00:00", "month"),
        ("1993:00:17 00:00:00", "1993-01-01T00:00:00", "year"),
        ("1993:08:17 25:61:00", "1993-08-17T00:00:00", "day"),
        ("1993:08:  ", "1993-08-01T00:00:00", "month"),
    ):
        info = described(jpeg(exif=exif_block(photo=[ascii_entry(0x9003, text)])))
        assert (info.taken_at, info.taken_precision) == (known, precision)
    for text, known, precision in (
        ("1961", "1961-01-01T00:00:00", "year"),
        ("1961-07", "1961-07-01T00:00:00", "month"),
        ("1961-07-04T10:30", "1961-07-04T10:30:00", "minute"),
    ):
        info = described(jpeg(xmp=xmp_packet(photoshop_DateCreated=text)))
        assert (info.taken_at, info.taken_precision) == (known, precision)
    info = described(jpeg(iptc=iptc_block((55, b"19610000"))))
    assert (info.taken_at, info.taken_precision) == ("1961-01-01T00:00:00", "year")
