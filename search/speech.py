"""What is said in videos and sounds: where a phrase is spoken, and who answers a text by what is said."""

from __future__ import annotations

import itertools
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from indexer.records import Transcript
from search import scripts
from search.catalog import Catalog, SpokenMatch
from search.filters import Clause
from search.moments import Clue
from search.ranking import Evidence
from search.reasons import said_reason
from search.terms import tokens
from search.wording import Wording

SPEECH = "speech"
"""The kind of clue that something said is."""
TOGETHER_SECONDS = 15.0
"""Words that are said within so long are said together: a thought seldom keeps to one sentence."""
PAUSE_SECONDS = 2.0
"""A phrase is not spoken across a longer pause."""
UTTERANCES = 4
"""How many utterances to look at for each media wanted."""
FEWEST_LETTERS = 3
"""What is left of a word without its ending."""
_ENDINGS = (("ies", "y"), ("ied", "y"), ("ing", ""), ("ed", ""), ("sses", "ss"), ("es", "e"), ("ss", "ss"), ("s", ""))


@dataclass(frozen=True, slots=True)
class Speech:
    """Who answers a text by what is said, and where."""

    ranking: Mapping[int, Evidence]
    clues: Mapping[int, tuple[Clue, ...]]
    """By media id."""


def by_speech(catalog: Catalog, wording: Wording, where: Clause, depth: int) -> Speech:
    """Media in which all that the text lets expect is said, in one utterance or in a few that follow each other."""
    words = wording.spoken
    matches = catalog.spoken_matches(scripts.every(words), UTTERANCES * depth, *where)
    passages = [_Passage(one.media_id, one.start, one.end, one.text, one.score) for one in matches]
    if len(words) > 1:
        some = catalog.spoken_matches(scripts.some(words), UTTERANCES * depth, *where)
        passages += _passages(some, words)
    best: dict[int, Evidence] = {}
    clues: defaultdict[int, list[Clue]] = defaultdict(list)
    strongest = max((one.score for one in passages), default=0.0) or 1.0
    for one in sorted(passages, key=lambda passage: (-passage.score, passage.start)):
        if any(clue.start < one.end and one.start < clue.end for clue in clues[one.media_id]):
            continue
        reason = said_reason(one.text)
        best.setdefault(one.media_id, Evidence(one.score, sure=True, reasons=[reason]))
        weight = min(1.0, max(0.0, one.score / strongest))
        clues[one.media_id].append(Clue(one.start, one.end, weight, reason, SPEECH))
    return Speech(best, {media_id: tuple(found) for media_id, found in clues.items()})


def all_clues(found: Sequence[Speech]) -> dict[int, tuple[Clue, ...]]:
    """By media id, of all alternatives."""
    clues: dict[int, tuple[Clue, ...]] = {}
    for one in found:
        for media_id, spoken in one.clues.items():
            clues[media_id] = clues.get(media_id, ()) + spoken
    return clues


@dataclass(frozen=True, slots=True)
class _Passage:
    media_id: int
    start: float
    end: float
    text: str
    score: float


def _passages(matches: Sequence[SpokenMatch], words: Sequence[str]) -> list[_Passage]:
    """Utterances that follow each other and in which, taken together, all of the words are said."""
    wanted = {stem(word) for word in words}
    by_media: defaultdict[int, list[SpokenMatch]] = defaultdict(list)
    for match in matches:
        by_media[match.media_id].append(match)
    found: list[_Passage] = []
    for media_id, spoken in by_media.items():
        spoken.sort(key=lambda one: one.start)
        said = [words_in(wanted, one.text) for one in spoken]
        first = 0
        for last, one in enumerate(spoken):
            while one.end - spoken[first].start > TOGETHER_SECONDS and first < last:
                first += 1
            if first < last and set().union(*said[first : last + 1]) >= wanted:
                # The shortest one that ends here; a later one must not begin with the same utterances.
                while set().union(*said[first + 1 : last + 1]) >= wanted:
                    first += 1
                parts = spoken[first : last + 1]
                if len(parts) > 1:
                    score = sum(part.score for part in parts) / len(parts)
                    text = " … ".join(part.text.strip() for part in parts)
                    found.append(_Passage(media_id, parts[0].start, one.end, text, score))
                first = last
    return found


def words_in(wanted: set[str], text: str) -> set[str]:
    """Which of these words, without their endings, stand in a text; of scripts without blanks, as part of a run."""
    stems = {stem(word) for word in tokens(text)}
    runs = [one for one in stems if scripts.is_unspaced(one)]
    return {
        word for word in wanted if word in stems or (scripts.is_unspaced(word) and any(word in run for run in runs))
    }


def phrase_clues(transcript: Transcript, phrases: Sequence[str]) -> list[Clue]:
    """Where one of these phrases is spoken, to the word, in order; across utterances too, if there is no pause.

    Case, punctuation, accents and the endings of words do not count.
    """
    spoken = list(_spoken(transcript))
    stems = [one.stem for one in spoken]
    clues: list[Clue] = []
    for wanted in ([stem(word) for word in scripts.letters(phrase)] for phrase in phrases):
        for at in _places(stems, wanted):
            run = spoken[at : at + len(wanted)]
            if all(after.start - before.end <= PAUSE_SECONDS for before, after in itertools.pairwise(run)):
                utterances = dict.fromkeys(one.utterance for one in run)
                text = " ".join(transcript.utterances[number].text.strip() for number in utterances)
                clues.append(Clue(run[0].start, run[-1].end, 1.0, said_reason(text), SPEECH))
    return sorted(clues, key=lambda clue: (clue.start, clue.end))


def _places(stems: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where a run of words begins."""
    first = (at for at, one in enumerate(stems) if one == wanted[0])
    return [at for at in first if stems[at : at + len(wanted)] == wanted]


@dataclass(frozen=True, slots=True)
class _Spoken:
    stem: str
    start: float
    end: float
    utterance: int


def _spoken(transcript: Transcript) -> list[_Spoken]:
    """Every word in order. One heard word may hold several ("twenty-one"): each has its time."""
    spoken: list[_Spoken] = []
    stems: dict[str, str] = {}  # of a long talk's words most are said often
    for number, utterance in enumerate(transcript.utterances):
        timed = [(word.text, word.start, word.end) for word in utterance.words]
        for text, start, end in timed or [(utterance.text, utterance.start, utterance.end)]:
            for part in scripts.letters(text):
                if part not in stems:
                    stems[part] = stem(part)
                spoken.append(_Spoken(stems[part], start, end, number))
    return spoken


def stem(word: str) -> str:
    """A word without accents and common English endings: about what the full text index does with it."""
    if scripts.is_unspaced(word):
        return word
    plain = "".join(part for part in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(part))
    for ending, left in _ENDINGS:
        if plain.endswith(ending) and len(plain) - len(ending) >= FEWEST_LETTERS:
            plain = plain.removesuffix(ending) + left
            break
    if len(plain) > FEWEST_LETTERS and plain[-1] == plain[-2] and plain[-1] not in "lsz":
        plain = plain[:-1]
    return plain.removesuffix("e") if len(plain) > FEWEST_LETTERS else plain
