"""Picasa's notes on the photos of a folder: the captions, keywords and faces in `.picasa.ini`."""

from __future__ import annotations

import configparser
import re
from typing import Final

from indexer.media.metadata.facts import Facts, clean_text, clean_words

NAMES: Final = frozenset({".picasa.ini", "picasa.ini"})
"""Lower case."""
_FACE: Final = re.compile(r"rect64\([0-9a-f]*\),([0-9a-f]+)", re.IGNORECASE)
_CONTACTS: Final = ("Contacts2", "Contacts")
"""Contact number to "name;email;...", in newer versions of Picasa and in older ones."""


def picasa_facts(data: bytes, name: str) -> Facts:
    """What is noted about the media file `name`. A face whose person the folder does not name is passed over."""
    ini = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=(), allow_no_value=True)
    ini.optionxform = str  # type: ignore[assignment,method-assign]  # names of contacts keep their case
    try:
        ini.read_string(data.decode("utf-8", "replace").lstrip("\ufeff"))
    except configparser.Error:
        return Facts()
    section = next((one for one in ini.sections() if one.casefold() == name.casefold()), None)
    if section is None:
        return Facts()
    said = {key.casefold(): value or "" for key, value in ini.items(section)}
    contacts = {
        number.casefold(): (value or "").partition(";")[0]
        for kind in _CONTACTS
        if ini.has_section(kind)
        for number, value in ini.items(kind)
    }
    return Facts(
        description=clean_text(said.get("caption")),
        keywords=clean_words(said.get("keywords", "").split(",")),
        people=clean_words([contacts.get(one.casefold(), "") for one in _FACE.findall(said.get("faces", ""))]),
    )
