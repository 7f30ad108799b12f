"""How much English the builtin speech model understands and believes, and how much it invents in other languages.

    python -m benchmarks.speech_belief

The clips come in two halves that share no recording, and no language but English. The limits of
`indexer.models.belief` may be chosen on the first half. The goals are measured on the second, which nobody looks at
to choose them.

Needs espeak-ng (synthetic voices), pocketsphinx-testdata (readings and commands) and tuxpaint-stamps-default (words and
phrases in English and eleven other languages), the last two spoken by people.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
from tests.voices import Samples, noise

REAL = Path("/usr/share/pocketsphinx/test/data")
STAMPS = Path("/usr/share/tuxpaint/stamps")
STAMPS_TOGETHER, STAMP_CLIPS, STAMP_ENGLISH = 5, 3, 13
STAMP_LANGUAGES = (("be", "bg", "ca", "da", "el"), ("es", "fr", "lt", "nl", "ro", "ru"))
"""Of the first half and of the second."""
OTHERS = (
    {
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
    },
    {
        "cs": "Babička upekla dort. Podívej, pes běhá po zahradě a kočka spí na okně.",
        "da": "Mormor har bagt en kage. Se, hunden løber rundt i haven, og katten sover i vinduet.",
        "nb": "Bestemor har bakt en kake. Se, hunden løper rundt i hagen, og katten sover i vinduet.",
        "ro": "Bunica a făcut un tort. Uite, câinele aleargă prin grădină și pisica doarme la fereastră.",
        "el": "Η γιαγιά έφτιαξε ένα γλυκό. Κοίτα, ο σκύλος τρέχει στον κήπο και η γάτα κοιμάται.",  # noqa: RUF001
        "uk": "Бабуся спекла торт. Дивись, собака бігає по саду, а кішка спить на вікні.",  # noqa: RUF001
        "id": "Nenek membuat kue. Lihat, anjing itu berlari di kebun dan kucing tidur di jendela.",
        "vi": "Bà đã làm một chiếc bánh. Nhìn kìa, con chó đang chạy trong vườn và con mèo đang ngủ.",
        "ca": "L'àvia ha fet un pastís. Mira, el gos corre pel jardí i el gat dorm a la finestra.",
        "hr": "Baka je ispekla tortu. Gledaj, pas trči po vrtu, a mačka spava na prozoru.",
        "et": "Vanaema küpsetas koogi. Vaata, koer jookseb aias ja kass magab aknal.",
        "lv": "Vecmāmiņa izcepa kūku. Skaties, suns skrien pa dārzu, un kaķis guļ uz loga.",
        "is": "Amma bakaði köku. Sjáðu, hundurinn hleypur um garðinn og kötturinn sefur í glugganum.",
        "eu": "Amonak tarta bat egin du. Begira, txakurra lorategian dabil eta katua leihoan lo dago.",
        "fa": "مادربزرگ کیک پخته است. نگاه کن، سگ در باغ می‌دود و گربه خواب است.",
    },
)
ENGLISH = (
    (
        "Happy birthday to you!",
        "Good morning, today we celebrate the birthday of our daughter. The children are playing on the beach.",
    ),
    (
        "Grandma has made a cake. Look, the dog is running in the garden and the cat sleeps in the window.",
        "Thank you all for coming tonight. Who wants another piece of cake?",
    ),
)
"""What people say at home; of each half."""
ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-029")
BENEATH = 0.3
"""How loud the noise beneath a voice is, as a share of the voice."""
HALVES = ("chosen on", "untouched")


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A sound, the half that it is in, and its kind."""

    half: int
    kind: str
    sound: Samples


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


def stamps(suffix: str, clips: int) -> Iterator[Samples]:
    """Descriptions of stamps, some together in each clip, taken from all of the collection."""
    files = sorted(STAMPS.rglob(f"*_desc{suffix}.ogg"))
    step = max(1, len(files) // STAMPS_TOGETHER)
    for number in range(clips):
        yield np.concatenate([decoded(file.read_bytes()) for file in files[number::step][:STAMPS_TOGETHER]])


def others() -> Iterator[Clip]:
    """Other languages."""
    for half, languages in enumerate(STAMP_LANGUAGES):
        for language in languages:
            for sound in stamps(f"_{language}", STAMP_CLIPS):
                yield Clip(half, "other languages, real", sound)
    for half, texts in enumerate(OTHERS):
        for number, (language, text) in enumerate(texts.items()):
            yield Clip(half, "other languages, synthetic", spoken(f"{language}{'+f2' * (number % 2)}", text))


def english() -> Iterator[Clip]:
    """English by people, alone and in noise; and by synthetic voices."""
    for number, file in enumerate(sorted([*REAL.glob("librivox/*.wav"), *REAL.glob("cards/*.wav")])):
        voice = decoded(file.read_bytes())
        yield Clip(number % 2, "English, real", voice)
        beneath = noise(len(voice) / RATE, slope=1, loudness=BENEATH * float(voice.std()))
        yield Clip(number % 2, "English, real, in noise", voice + beneath[: len(voice)])
    for number, sound in enumerate(stamps("", STAMP_ENGLISH)):
        yield Clip(number % 2, "English, real", sound)
    for half, texts in enumerate(ENGLISH):
        for accent in ACCENTS:
            for text in texts:
                yield Clip(half, "English, synthetic", spoken(accent, text))


def measured(stage: SoundStage) -> dict[str, dict[str, dict[str, Any]]]:
    """For each half and each kind of clip: how many there are, in how many something is believed, and the words."""
    figures: dict[str, dict[str, dict[str, Any]]] = {half: {} for half in HALVES}
    for clip in (*english(), *others()):
        heard = stage.listen(clip.sound, speech_in(voice_in(clip.sound), len(clip.sound)))
        said = heard.transcript.utterances if heard.transcript else ()
        row = figures[HALVES[clip.half]].setdefault(
            clip.kind, {"clips": 0, "seconds": 0.0, "believed": 0, "words": 0, "texts": []}
        )
        row["clips"] += 1
        row["seconds"] = round(row["seconds"] + len(clip.sound) / RATE, 1)
        row["believed"] += bool(said)
        row["words"] += sum(len(one.words) for one in said)
        if clip.kind.startswith("other"):
            row["texts"] += [one.text for one in said]
        print(f"{HALVES[clip.half]}, {clip.kind}: {' '.join(one.text for one in said)}", file=sys.stderr)
    return figures


def share(rows: dict[str, dict[str, Any]], kind: str) -> float:
    """Of the clips whose kind begins so, in how many something is believed."""
    chosen = [row for name, row in rows.items() if name.startswith(kind)]
    return float(sum(row["believed"] for row in chosen) / sum(row["clips"] for row in chosen))


def main() -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        resources = Resources(
            models=Path(folder, "models"),
            model_cache=Path(folder, "cache"),
            config_folders=(),
            thumbnails=Path(folder, "thumbnails"),
            threads=2,
        )
        figures = measured(load_stage("speech:whisper-tiny-en", resources))  # type: ignore[arg-type]
    untouched = figures[HALVES[1]]
    goals = [
        report.goal(
            "English of which something is believed, untouched clips", share(untouched, "English"), at_least=0.95
        ),
        report.goal(
            "other languages for which something is invented, untouched clips", share(untouched, "other"), at_most=0.1
        ),
    ]
    results = {"goals": goals, "seconds": round(time.monotonic() - started), "results": figures}
    report.write("speech_belief", results, ["faster-whisper", "ctranslate2"])


if __name__ == "__main__":
    main()
