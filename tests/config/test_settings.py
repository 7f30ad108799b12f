"""Settings: who wins, where each value comes from, and what a mistake is answered with."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.errors import ConfigError
from config.settings import load

HOME = {"HOME": "/home/ada"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def mistake(file: Path, text: str | bytes, **environ: str) -> ConfigError:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as raised:
        load(environ=HOME | environ, files=[file])
    return raised.value


def test_nothing_set_gives_the_defaults() -> None:
    settings = load(environ=HOME, files=[])
    assert settings.watch.quiet_seconds == 2
    assert settings.folders == ()
    assert set(settings.origins.values()) == {"default"}


def test_a_later_source_wins_and_is_named_as_the_origin(tmp_path: Path) -> None:
    system, user, named = (tmp_path / name for name in ("system.yaml", "user.yaml", "named.yaml"))
    system.write_text("search: {limit: 1}\nwatch:\n  quiet_seconds: 1\n  poll_seconds: 1\n  rescan_minutes: 1\n")
    user.write_text("watch:\n  quiet_seconds: 2\n  poll_seconds: 2\n  rescan_minutes: 2\nlogging: {level: debug}\n")
    named.write_text("watch: {quiet_seconds: 3, poll_seconds: 3}\n")
    settings = load(
        environ=HOME | {"REVERIE_WATCH__QUIET_SECONDS": "4", "REVERIE_SOCKET__MAX_CLIENTS": "4"},
        files=[system, user],
        config=named,
        flags={"watch.quiet_seconds": 5, "search.limit": None},
    )
    assert settings.watch.quiet_seconds == 5
    assert settings.origins["watch.quiet_seconds"] == "the command line"
    assert (settings.socket.max_clients, settings.origins["socket.max_clients"]) == (
        4,
        "variable REVERIE_SOCKET__MAX_CLIENTS",
    )
    assert (settings.watch.poll_seconds, settings.origins["watch.poll_seconds"]) == (3, f"{named}, line 1")
    assert (settings.watch.rescan_minutes, settings.origins["watch.rescan_minutes"]) == (2, f"{user}, line 4")
    assert (settings.search.limit, settings.origins["search.limit"]) == (1, f"{system}, line 1")


def test_a_preset_lies_below_the_file_that_chose_it(file: Path) -> None:
    file.write_text("preset: optimized\nprocessing: {max_workers: 3}\n")
    settings = load(environ=HOME, files=[file])
    assert settings.processing.idle_seconds == 600
    assert settings.origins["processing.idle_seconds"].startswith("preset optimized, line ")
    assert settings.processing.max_workers == 3
    assert load(environ=HOME | {"REVERIE_PRESET": "default"}, files=[file]).processing.idle_seconds == 60


def test_the_system_file_and_then_the_xdg_file_are_read_by_default(tmp_path: Path) -> None:
    (tmp_path / "reverie").mkdir()
    (tmp_path / "reverie" / "config.yaml").write_text("search: {limit: 7}\n")
    assert load(environ=HOME | {"XDG_CONFIG_HOME": str(tmp_path)}).search.limit == 7


def test_an_empty_file_and_empty_sections_are_fine(file: Path) -> None:
    file.write_text("")
    load(environ=HOME, files=[file])
    file.write_text("watch:\nanalysis:\n  ml_models:\n")
    assert load(environ=HOME, files=[file]).watch.quiet_seconds == 2


@pytest.mark.parametrize(
    ("text", "where", "nearest"),
    [
        ("watch:\n  quite_seconds: 3\n", "line 2: there is no setting watch.quite_seconds.", "watch.quiet_seconds?"),
        ("\n\nquiet_seconds: 3\n", "line 3: there is no setting quiet_seconds.", "watch.quiet_seconds?"),
        ("batch_size: 3\n", "line 1: there is no setting batch_size.", "analysis.ml_models.batch_size?"),
        ("foldrs: []\n", "line 1: there is no setting foldrs.", "folders?"),
        ("zzz: 1\n", "line 1: there is no setting zzz.", "`reverie config show` lists the settings."),
        ("1: 1\n", "line 1: there is no setting 1.", "`reverie config show` lists the settings."),
        ("? [a]\n: 1\n", "line 1: there is no setting with such a name.", "`reverie config show`"),
    ],
)
def test_an_unknown_key_is_answered_with_its_line_and_the_nearest_key(
    file: Path, text: str, where: str, nearest: str
) -> None:
    error = mistake(file, text)
    assert error.title == f"{file}, {where}"
    assert nearest in error.remedy


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("watch:\n  quiet_seconds: 0\n", "line 2: watch.quiet_seconds cannot be 0: it must be greater than"),
        ("watch: {quiet_seconds: .nan}\n", "line 1: watch.quiet_seconds cannot be nan"),
        ("watch:\n  quiet_seconds: soon\n", "line 2: watch.quiet_seconds cannot be 'soon': it must be a number."),
        ("processing: {max_workers: 1.5}\n", "line 1: processing.max_workers cannot be 1.5: it must be a whole number"),
        ("processing: {max_workers: yes}\n", "line 1: processing.max_workers cannot be True: it must be a number."),
        ("logging: {level: loud}\n", "line 1: logging.level cannot be 'loud': it must be 'debug', 'info'"),
        ("experimental: {use_multi_gpu: 3}\n", "line 1: experimental.use_multi_gpu cannot be 3: it must be true or"),
        (
            "analysis: {ml_models: {device: gpu}}\n",
            "line 1: analysis.ml_models.device cannot be 'gpu': it must be auto",
        ),
        ("preset: fast\n", "line 1: preset cannot be 'fast': it must be 'default' or 'optimized'."),
        ("folders: /photos\n", "line 1: folders cannot be '/photos': it must be a list"),
        ("folders:\n  - /photos\n  - 3\n", "line 1: folders cannot be 3: it must be a path."),
        ("library: photos\n", "line 1: library cannot be 'photos': it must begin with / or ~/."),
        (f"socket:\n  path: /{'x' * 107}\n", "line 2: socket.path is longer than the 107 bytes a socket can have."),
        ("watch: 3\n", "line 1: watch is a group of settings, one `key: value` on each line."),
        ("- watch\n", "line 1: a settings file has one `key: value` on each line."),
        ("watch: {}\nsearch: {}\nwatch: {}\n", "line 3: watch is already on line 1."),
        ("watch: [\n", "line 2: this is not YAML"),
        ("watch: {ignore: &a [*a]}\n", "line 1: this is not YAML"),
        ("library: !!python/name:os.system\n", "line 1: this is not YAML"),
    ],
)
def test_a_wrong_value_is_answered_with_its_line_and_its_key(file: Path, text: str, what: str) -> None:
    error = mistake(file, text)
    assert error.title.startswith(f"{file}, {what}")
    assert error.remedy


def test_a_binary_file_is_no_settings_file(file: Path) -> None:
    assert mistake(file, b"\xff\xfe\x00").title == f"{file} is not a text in UTF-8."


def test_a_named_file_must_exist(file: Path) -> None:
    with pytest.raises(ConfigError, match="There is no settings file"):
        load(environ=HOME, files=[], config=file)


def test_a_folder_in_the_place_of_a_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(environ=HOME, files=[tmp_path])


def test_variables_hold_lists_and_none_and_are_checked() -> None:
    environ = HOME | {
        "REVERIE_FOLDERS": "/photos:~/Pictures:/odd\udcff",
        "REVERIE_PROCESSING__MAX_WORKERS": "null",
        "REVERIE_LIBRARY": "",
        "REVERIE_WATCH__IGNORE": "*.tmp",
    }
    settings = load(environ=environ, files=[])
    assert settings.folders == (Path("/photos"), Path("/home/ada/Pictures"), Path("/odd\udcff"))
    assert settings.processing.max_workers is None
    assert settings.library is None
    assert settings.watch.ignore == ("*.tmp",)
    with pytest.raises(ConfigError, match=r"REVERIE_WATCH__QUIET is no setting. Did you mean REVERIE_WATCH__QUIET_SEC"):
        load(environ=HOME | {"REVERIE_WATCH__QUIET": "1"}, files=[])
    with pytest.raises(ConfigError, match=r"variable REVERIE_SEARCH__LIMIT: search.limit cannot be '0'"):
        load(environ=HOME | {"REVERIE_SEARCH__LIMIT": "0"}, files=[])


def test_a_flag_that_is_no_setting_is_a_mistake_of_the_program() -> None:
    with pytest.raises(KeyError):
        load(environ=HOME, files=[], flags={"watch.quite": 1})


def test_settings_cannot_be_changed_and_travel_to_another_process() -> None:
    settings = load(environ=HOME, files=[], flags={"library": Path("/srv/lib")})
    with pytest.raises(ValidationError):
        settings.library = Path("/elsewhere")
    again = pickle.loads(pickle.dumps(settings))  # noqa: S301
    assert again.paths == settings.paths


def test_reading_settings_imports_nothing_heavy() -> None:
    heavy = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, config.settings; print({'numpy', 'torch', 'faiss', 'onnxruntime', 'PIL'} & set(sys.modules))",
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert heavy.stdout.strip() == "set()"
