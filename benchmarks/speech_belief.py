"""How much English the builtin speech model understands and believes, and how much it invents in other languages.

    python -m benchmarks.speech_belief

Needs espeak-ng (synthetic voices) and pocketsphinx-testdata (readings and commands by people); hears the stamps of
tuxpaint-stamps-default as well, words and phrases in ten languages spoken by people, where that is installed.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from indexer.media.container import VideoLimits
from indexer.media.downmix import RATE
from indexer.media.sound import open_audio, read_sound
from indexer.models.loading import load_stage
from indexer.models.resources import Resources
from indexer.models.voice import speech_in, voice_in
from indexer.stage import SoundStage
from tests.voices import Samples, chords, noise

REAL = Path("/usr/share/pocketsphinx/test/data")
STAMPS = Path("/usr/share/tuxpaint/stamps")
STAMP_LANGUAGES = ("be", "bg", "ca", "da", "el", "es", "fr", "lt", "ro", "ru")
STAMPS_TOGETHER, STAMP_CLIPS = 5, 4
OTHERS = {
    "de": "Guten Morgen, heute feiern wir den Geburtstag unserer Tochter. Die Kinder spielen am Strand.",
    "fr-fr": "Bonjour, aujourd'hui nous fêtons l'anniversaire de notre fille. Les enfants jouent sur la plage.",
    "it": "Buongiorno, oggi festeggiamo il compleanno di nostra figlia. I bambini giocano sulla spiaggia.",
    "es": "Buenos días, hoy celebramos el cumpleaños de nuestra hija. Los niños juegan en la playa.",
    "pt": "Bom dia, hoje festejamos o aniversário da nossa filha. As crianças brincam na praia.",
    "nl": "Goedemorgen, vandaag vieren we de verjaardag van onze dochter. De kinderen spelen op het strand.",
    "sv": "God morgon, idag firar vi vår dotters födelsedag. Barnen leker på stranden.",
    "pl": "Dzień dobry, dzisiaj obchodzimy urodziny naszej córki. Dzieci bawią się na plaży.",
    "ru": "Доброе утро, сегодня мы празднуем день рождения дочери. Дети играют на пляже.",
    "tr": "Günaydın, bugün kızımızın doğum gününü kutluyoruz. Çocuklar plajda oynuyor.",  # noqa: RUF001
    "hu": "Jó reggelt, ma a lányunk születésnapját ünnepeljük. A gyerekek a strandon játszanak.",
    "fi": "Hyvää huomenta, tänään juhlimme tyttäremme syntymäpäivää. Lapset leikkivät rannalla.",
    "hi": "सुप्रभात, आज हम अपनी बेटी का जन्मदिन मना रहे हैं। बच्चे समुद्र तट पर खेल रहे हैं।",
    "cmn": "早上好，今天我们庆祝女儿的生日。孩子们在海滩上玩耍。",  # noqa: RUF001
    "sw": "Habari za asubuhi, leo tunasherehekea siku ya kuzaliwa ya binti yetu. Watoto wanacheza ufukweni.",
}
ENGLISH = (
    "Happy birthday to you!",
    "Good morning, today we celebrate the birthday of our daughter. The children are playing on the beach.",
    "Oh my god, look at that dog!",
    "Thank you all for coming tonight. Who wants another piece of cake?",
)
ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-029")
BENEATH = 0.3
"""How loud noise or music beneath a voice is, as a share of the voice."""


def spoken(voice: str, text: str) -> Samples:
    """A text by a synthetic voice."""
    command = ["espeak-ng", "-v", voice, "-s", "140", "--stdout", text]
    return decoded(subprocess.run(command, capture_output=True, check=True).stdout)


def decoded(data: bytes) -> Samples:
    """The sound of a file, as the index hears it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with open_audio(file.name, VideoLimits()) as audio:
            return np.concatenate([np.zeros(0, np.float32), *(one.samples for one in read_sound(audio.source))])


def others() -> Iterator[tuple[str, Samples]]:
    """Other languages: synthetic and, where there are any, real voices."""
    for language, text in OTHERS.items():
        for variant in ("", "+f2"):
            yield "other languages, synthetic", spoken(language + variant, text)
    for language in STAMP_LANGUAGES if STAMPS.is_dir() else ():
        files = sorted(STAMPS.rglob(f"*_desc_{language}.ogg"))
        for number in range(STAMP_CLIPS):
            chosen = files[number :: max(1, len(files) // STAMPS_TOGETHER)][:STAMPS_TOGETHER]
            yield "other languages, real", np.concatenate([decoded(file.read_bytes()) for file in chosen])


def english() -> Iterator[tuple[str, Samples]]:
    """English: real voices, alone and with something beneath; and synthetic ones."""
    for file in sorted([*REAL.glob("librivox/*.wav"), *REAL.glob("cards/*.wav")]):
        voice = decoded(file.read_bytes())
        seconds, loudness = len(voice) / RATE, BENEATH * float(voice.std())
        yield "English, real", voice
        yield "English, real, in noise", voice + noise(seconds, slope=1, loudness=loudness)[: len(voice)]
        music = chords(seconds)[: len(voice)]
        yield "English, real, over music", voice[: len(music)] + music * (loudness / float(music.std()))
    for accent in ACCENTS:
        for text in ENGLISH:
            yield "English, synthetic", spoken(accent, text)


def measured(stage: SoundStage) -> dict[str, dict[str, Any]]:
    """For each kind of clip: how many there are, in how many something is believed, and the words."""
    figures: dict[str, dict[str, Any]] = {}
    for kind, sound in (*english(), *others()):
        heard = stage.listen(sound, speech_in(voice_in(sound), len(sound)))
        said = heard.transcript.utterances if heard.transcript else ()
        row = figures.setdefault(kind, {"clips": 0, "seconds": 0.0, "believed": 0, "words": 0, "texts": []})
        row["clips"] += 1
        row["seconds"] = round(row["seconds"] + len(sound) / RATE, 1)
        row["believed"] += bool(said)
        row["words"] += sum(len(one.words) for one in said)
        if kind.startswith("other"):
            row["texts"] += [one.text for one in said]
    return figures


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        resources = Resources(
            models=Path(folder, "models"),
            model_cache=Path(folder, "cache"),
            config_folders=(),
            thumbnails=Path(folder, "thumbnails"),
            threads=2,
        )
        figures = measured(load_stage("speech:whisper-tiny-en", resources))  # type: ignore[arg-type]
    real = figures["English, real"]
    foreign = [row for kind, row in figures.items() if kind.startswith("other")]
    goals = [
        report.goal("clips of real English that are understood", real["believed"] / real["clips"], at_least=0.95),
        report.goal(
            "clips in other languages for which something is invented",
            sum(row["believed"] for row in foreign) / sum(row["clips"] for row in foreign),
            at_most=0.1,
        ),
    ]
    report.write("speech_belief", {"goals": goals, "results": figures}, ["faster-whisper", "ctranslate2"])


if __name__ == "__main__":
    main()
