"""XMP that was written badly, by several programs, or for another file."""

from pathlib import Path

import pytest

from indexer.media.metadata.sidecars import facts_beside
from indexer.media.metadata.xmp import xmp_facts
from tests.indexer.media.metadata.blocks import LIMITS, ascii_entry, described, exif_block, jpeg, listed, xmp_packet

GOOD = xmp_packet(listed("dc:subject", "saltmarsh", "otter"), xmp_Rating="4")


@pytest.mark.parametrize(
    "packet",
    [
        GOOD.replace(b"otter", b"Tom & Jerry"),
        GOOD.replace(b"otter", b"ott\xe9r"),
        GOOD.replace(b"otter", b"ot\x0bter"),
        GOOD + b" \n</rdf:RDF></x:xmpmeta><?xpacket end='w'?>",
        GOOD + b"<rdf:li>more</rdf:li>",
        b'<?xpacket begin=""?>\n<?xml version="1.0" encoding="UTF-8"?>' + GOOD,
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD[: GOOD.index(b"</rdf:Bag>")],
        bytes(20) + GOOD + bytes(2000),
    ],
)
def test_what_can_be_read_of_a_broken_packet_is_kept(packet: bytes) -> None:
    facts = xmp_facts(packet)
    assert (facts.keywords[0], facts.rating) == ("saltmarsh", 4)


def test_keywords_by_each_level_of_their_tree() -> None:
    body = listed("digiKam:TagsList", "Places/Norway/Bergen", "honeymoon", kind="Seq") + listed(
        "MicrosoftPhoto:LastKeywordXMP", "Food/Cake"
    )
    assert xmp_facts(xmp_packet(body)).keywords == ("Places", "Norway", "Bergen", "honeymoon", "Food", "Cake")


def region(space: str, name: str, kind: str = "") -> str:
    typed = f"<{space}:Type>{kind}</{space}:Type>" if kind else ""
    return f'<rdf:li rdf:parseType="Resource"><{space}:Name>{name}</{space}:Name>{typed}</rdf:li>'


def regions(space: str, *items: str) -> str:
    return (
        f'<{space}:Regions rdf:parseType="Resource"><{space}:RegionList><rdf:Bag>{"".join(items)}</rdf:Bag>'
        f"</{space}:RegionList></{space}:Regions>"
    )


IPTC_REGION = (
    '<Iptc4xmpExt:ImageRegion><rdf:Bag><rdf:li rdf:parseType="Resource">{}</rdf:li></rdf:Bag></Iptc4xmpExt:ImageRegion>'
)
HUMAN = '<Iptc4xmpExt:rCtype><rdf:Bag><rdf:li rdf:parseType="Resource"><Iptc4xmpExt:Name>{}</Iptc4xmpExt:Name></rdf:li>'
HUMAN += "</rdf:Bag></Iptc4xmpExt:rCtype>"


@pytest.mark.parametrize(
    ("body", "people", "keywords"),
    [
        (regions("acdsee-rs", region("acdsee-rs", "Greta", "Face")), ("Greta",), ()),
        (regions("mwg-rs", region("mwg-rs", "Uwe")), ("Uwe",), ()),
        (regions("mwg-rs", region("mwg-rs", "Bello", "Pet"), region("mwg-rs", "Eva", "Face")), ("Eva",), ("Bello",)),
        (regions("mwg-rs", region("mwg-rs", "12345", "BarCode"), region("mwg-rs", "x", "Focus")), (), ()),
        (IPTC_REGION.format(listed("Iptc4xmpExt:PersonInImage", "Ida")), ("Ida",), ()),
        (IPTC_REGION.format(listed("Iptc4xmpExt:Name", "Ida", kind="Alt") + HUMAN.format("human")), ("Ida",), ()),
        (IPTC_REGION.format(listed("Iptc4xmpExt:Name", "Logo", kind="Alt") + HUMAN.format("product")), (), ()),
        (
            '<Iptc4xmpExt:PersonInImageWDetails><rdf:Bag><rdf:li rdf:parseType="Resource">'
            + listed("Iptc4xmpExt:PersonName", "Olga", kind="Alt")
            + "</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImageWDetails>",
            ("Olga",),
            (),
        ),
    ],
)
def test_people_and_pets(body: str, people: tuple[str, ...], keywords: tuple[str, ...]) -> None:
    facts = xmp_facts(xmp_packet(body))
    assert (facts.people, facts.keywords) == (people, keywords)


@pytest.mark.parametrize(
    ("percent", "stars"), [("1", 1), ("25", 2), ("50", 3), ("75", 4), ("99", 5), ("0", None), ("x", None)]
)
def test_microsoft_s_percentages_are_stars(percent: str, stars: int | None) -> None:
    assert xmp_facts(xmp_packet(MicrosoftPhoto_Rating=percent)).rating == stars
    if percent.isdigit():
        entry = (0x4749, 3, 1, int(percent).to_bytes(2, "little"))
        assert described(jpeg(exif=exif_block([entry]))).rating == stars


# -- sidecars


def beside(folder: Path, media: str, **sidecars: bytes) -> tuple[str, list[str]]:
    paths = []
    for name, data in sidecars.items():
        (folder / name).write_bytes(data)
        paths.append(str(folder / name))
    return str(folder / media), paths


def test_of_several_sidecars_the_first_wins_and_the_others_fill_in(tmp_path: Path) -> None:
    other = xmp_packet(listed("dc:subject", "abseiling"), xmp_Rating="2")
    path, sidecars = beside(tmp_path, "1.jpg", **{"1.jpg.xmp": xmp_packet(xmp_Rating="3"), "1.xmp": other})
    info = described(jpeg(), facts_beside(path, [*sidecars, str(tmp_path / "gone.xmp")], LIMITS))
    assert (info.rating, info.keywords) == (3, ("abseiling",))


@pytest.mark.parametrize(("suffix", "rating"), [("CR2", 2), ("jpg", 5), ("JPG", 5)])
def test_a_sidecar_of_another_file_with_this_name_says_nothing(tmp_path: Path, suffix: str, rating: int) -> None:
    only = xmp_packet(xmp_Rating="5", photoshop_SidecarForExtension=suffix)
    path, sidecars = beside(tmp_path, "3.jpg", **{"3.xmp": only})
    assert described(jpeg(xmp=xmp_packet(xmp_Rating="2")), facts_beside(path, sidecars, LIMITS)).rating == rating


def test_a_sidecar_without_a_zone_leaves_that_of_exif(tmp_path: Path) -> None:
    taken = [ascii_entry(0x9003, "2020:06:01 14:00:00"), ascii_entry(0x9011, "+02:00")]
    path, sidecars = beside(
        tmp_path, "4.jpg", **{"4.jpg.xmp": xmp_packet(exif_DateTimeOriginal="2020-06-01T14:00:00.1")}
    )
    info = described(jpeg(exif=exif_block(photo=taken)), facts_beside(path, sidecars, LIMITS))
    assert (info.taken_at, info.utc_offset_minutes) == ("2020-06-01T14:00:00", 120)
    assert (info.taken_source, info.zone_source) == ("XMP exif:DateTimeOriginal", "EXIF DateTimeOriginal")


PICASA = """[Picasa]
name=Winter
[IMG_1.JPG]
star=yes
caption=Erste Abfahrt
keywords=ski, Rosa
faces=rect64(3f845bcb59418507),8e62398ebda8c1a5;rect64(1f845bcb59418507),ffffffffffffffff
[Contacts2]
8e62398ebda8c1a5=Rosa Example;;
"""


def test_picasa_s_notes_on_a_folder(tmp_path: Path) -> None:
    path, sidecars = beside(tmp_path, "img_1.jpg", **{".picasa.ini": PICASA.encode()})
    info = described(jpeg(), facts_beside(path, sidecars, LIMITS))
    assert (info.description, info.keywords, info.people) == ("Erste Abfahrt", ("ski", "Rosa"), ("Rosa Example",))
    other = described(jpeg(), facts_beside(str(tmp_path / "IMG_2.jpg"), sidecars, LIMITS))
    assert (other.description, other.people) == (None, ())


@pytest.mark.parametrize("ini", [b"", b"no section", b"[a\n]\xff=", b"[IMG_1.jpg]\nfaces=rect64(,,;;", bytes(100)])
def test_a_broken_picasa_file_costs_nothing(tmp_path: Path, ini: bytes) -> None:
    path, sidecars = beside(tmp_path, "IMG_1.jpg", **{"Picasa.ini": ini})
    assert described(jpeg(), facts_beside(path, sidecars, LIMITS)).people == ()
