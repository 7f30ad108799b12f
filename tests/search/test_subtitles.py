"""Transcripts as files that players and people read."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from indexer.records import Transcript, Utterance, Word
from search.subtitles import LINE, LONGEST, cues, subtitles


def said(text: str, start: float = 0.0, *, each: float = 0.4) -> Utterance:
    """An utterance whose words follow each other."""
    words = tuple(
        Word(word, start + number * each, start + (number + 1) * each, 0.9) for number, word in enumerate(text.split())
    )
    return Utterance(text, start, words[-1].end, 0.8, words)


def transcript(*utterances: Utterance) -> Transcript:
    return Transcript("en", 1.0, utterances)


def test_srt() -> None:
    written = subtitles(transcript(said("Happy birthday, Anna!", 62.5), said("Blow them out!", 3723.0004)), "srt")
    assert written == (
        "1\n00:01:02,500 --> 00:01:03,700\nHappy birthday, Anna!\n\n2\n01:02:03,000 --> 01:02:04,200\nBlow them out!\n"
    )


def test_vtt_escapes_what_would_mean_something() -> None:
    written = subtitles(transcript(said("from <b> to --> & over", 1.0)), "vtt")
    assert written == "WEBVTT\n\n00:00:01.000 --> 00:00:03.400\nfrom &lt;b&gt; to --&gt; &amp; over\n"
    assert "from <b> to --> & over" in subtitles(transcript(said("from <b> to --> & over")), "srt")


def test_txt_is_a_line_for_each_utterance() -> None:
    assert subtitles(transcript(said("One."), said("Two\nlines.")), "txt") == "One.\nTwo lines.\n"


def test_json_holds_everything() -> None:
    found = json.loads(subtitles(transcript(said("Grüß dich!", 1.23456)), "json"))
    assert found["language"] == "en"
    assert found["utterances"][0]["text"] == "Grüß dich!"
    assert found["utterances"][0]["words"][1] == {"start": 1.635, "end": 2.035, "text": "dich!", "confidence": 0.9}
    assert "Grüß" in subtitles(transcript(said("Grüß")), "json")


def test_of_silence_there_is_nothing() -> None:
    empty = Transcript(None, 0.0, ())
    assert subtitles(empty, "srt") == subtitles(empty, "txt") == ""
    assert subtitles(empty, "vtt") == "WEBVTT\n"
    assert json.loads(subtitles(empty, "json")) == {"language": None, "language_confidence": 0.0, "utterances": []}
    assert cues(transcript(Utterance("  ", 1, 2, 0.5, ()), Utterance(" ", 1, 2, 0.5, (Word(" ", 1, 2, 0.5),)))) == []


LONG = (
    "The children are playing on the beach while we are baking bread in the kitchen, and nobody knows where the dog "
    "has gone with the red ball that grandmother brought from the market last Saturday morning."
)


@pytest.mark.parametrize("each", [0.1, 0.4, 2.0])
def test_long_sentences_are_broken_without_losing_a_word(each: float) -> None:
    found = cues(transcript(said(LONG, each=each), said(LONG, 100.0, each=each)))
    assert " ".join(line for cue in found for line in cue.lines) == f"{LONG} {LONG}"
    assert all(len(cue.lines) <= 2 and max(map(len, cue.lines)) <= LINE for cue in found)
    assert all(cue.end - cue.start <= LONGEST + 0.001 for cue in found)
    assert all(cue.start < cue.end for cue in found)
    assert all(left.end <= right.start for left, right in itertools.pairwise(found))
    first = found[1].lines[0].split()[0]
    assert found[1].start == pytest.approx(LONG.split().index(first) * each, abs=0.001)


def test_two_lines_are_about_as_long() -> None:
    [cue] = cues(transcript(said("The children are playing on the beach near the sea", each=0.1)))
    assert cue.lines == ("The children are playing", "on the beach near the sea")


def test_a_word_longer_than_a_line_is_broken() -> None:
    word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    [cue] = cues(transcript(said(word)))
    assert "".join(cue.lines) == word
    assert max(map(len, cue.lines)) <= LINE


def test_words_that_overlap_are_shown_one_after_the_other_and_long_enough_to_read() -> None:
    found = cues(
        transcript(
            Utterance("Yes.", 1.0, 1.1, 0.9, (Word("Yes.", 1.0, 1.1, 0.9),)),
            Utterance("No.", 1.05, 1.3, 0.9, (Word("No.", 1.05, 1.3, 0.9),)),
        )
    )
    assert [cue.lines for cue in found] == [("Yes.",), ("No.",)]
    assert found[0].end <= found[1].start < found[1].end
    assert found[1].end - found[1].start >= 0.8


def test_times_never_round_to_sixty_seconds() -> None:
    written = subtitles(transcript(Utterance("Hm.", 59.9996, 3599.9999, 0.9, ())), "srt")
    assert re.findall(r"[\d:,]{12}", written) == ["00:01:00,000", "01:00:00,000"]
