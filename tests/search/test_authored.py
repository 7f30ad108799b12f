"""Hand-made things: kept readable, never lost, and mirrored into the catalog."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from config.errors import CatalogError
from search.authored import Authored
from search.catalog import Catalog
from tests.search.library import found, index, stat

HASH = "ab" * 32


def test_tags_labels_and_searches_survive_reopening(tmp_path: Path) -> None:
    authored = Authored(tmp_path)
    assert authored.tags_of(HASH) == ()
    assert authored.add_tags(HASH, ["Oma  Ida", "beach", ""]) == ("beach", "oma ida")
    assert authored.remove_tags(HASH, ["BEACH", "never there"]) == ("oma ida",)
    authored.set_label(HASH, "Ida im Café")
    authored.save_search("boats", "boat after:2019")
    authored.save_search("boats", "boat")
    authored.save_search("a", "cat")
    authored.close()
    again = Authored(tmp_path)
    assert again.tags_of(HASH) == ("oma ida",)
    assert (again.label_of(HASH), again.labels()) == ("Ida im Café", {HASH: "Ida im Café"})
    assert list(again.saved_searches().items()) == [("a", "cat"), ("boats", "boat")]
    assert again.delete_search("boats")
    assert not again.delete_search("boats")
    again.set_label(HASH, None)
    assert again.label_of(HASH) is None


def test_the_file_is_for_people_to_read(tmp_path: Path) -> None:
    Authored(tmp_path).add_tags(HASH, ["süß"])
    text = (tmp_path / "authored.json").read_text(encoding="utf-8")
    assert "süß" in text
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert (tmp_path / "authored.json").stat().st_mode & 0o077 == 0
    assert [file.name for file in tmp_path.iterdir()] == ["authored.json"]


@pytest.mark.parametrize("content", ["{broken", "", "[1, 2]", '{"tags": {"1": {"no": "key"}}}', "\udcff"])
def test_a_damaged_file_is_moved_aside_and_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "authored.json"
    file.write_bytes(content.encode(errors="surrogateescape"))
    authored = Authored(tmp_path)
    with pytest.raises(CatalogError) as raised:
        authored.add_tags(HASH, ["beach"])
    [aside] = tmp_path.iterdir()
    assert aside.read_bytes() == content.encode(errors="surrogateescape")
    assert str(aside) in raised.value.title
    assert authored.add_tags(HASH, ["beach"]) == ("beach",)
    assert aside.exists()


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    authored = Authored(tmp_path)
    authored.add_tags(HASH, ["beach"])
    before = (tmp_path / "authored.json").read_bytes()
    with pytest.raises(CatalogError, match="cannot be written"):
        authored.add_tags(HASH, ["lone \udcff surrogate"])
    assert (tmp_path / "authored.json").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["authored.json"]


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    authored = Authored(tmp_path)
    threads = [threading.Thread(target=authored.add_tags, args=(HASH, [f"tag {number}"])) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Authored(tmp_path).tags_of(HASH)) == 20


def test_a_rebuilt_catalog_gets_the_hand_made_tags_back(tmp_path: Path) -> None:
    authored = Authored(tmp_path)
    for rebuild in ("first", "second"):
        catalog = Catalog(tmp_path / rebuild)
        [one] = index(catalog, stat("/p/a.jpg"))
        if rebuild == "first":
            authored.add_tags(catalog.photos([one])[0].content_hash, ["felix"])
            authored.add_tags(HASH, ["not here"])
        authored.mirror_into(catalog)
        assert found(catalog, "felix") == {one}
        catalog.close()
