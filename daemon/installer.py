"""`reverie service install | uninstall`: the systemd units, written for this machine.

What will be written and run is worked out first, as plain data (`Plan`); then it is shown or carried out.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from config.errors import ReverieError, ServiceError
from config.paths import user_config
from config.sample import sample
from config.settings import Settings

if TYPE_CHECKING:
    from config.commands import SubParsers

TEMPLATES = Path(__file__).parent.parent / "systemd"

SYSTEM_LIBRARY = Path("/var/lib/reverie")
SYSTEM_SOCKET = Path("/run/reverie/reverie.sock")


@dataclass(frozen=True, slots=True)
class Plan:
    """What an install or uninstall does, all paths absolute."""

    write: dict[Path, str] = field(default_factory=dict)
    """Files of ours, replaced if they are there."""
    begin: dict[Path, str] = field(default_factory=dict)
    """Settings files, left alone if they are there."""
    remove: tuple[Path, ...] = ()
    before: tuple[tuple[str, ...], ...] = ()
    """Commands that come before the files are removed."""
    after: tuple[tuple[str, ...], ...] = ()
    """Commands that come after the files are written or removed."""
    advice: tuple[str, ...] = ()


def add_parser(subparsers: SubParsers) -> None:
    """Add `service` and its two actions."""
    about = "Install Reverie as a systemd service that starts at boot, or remove that service again."
    parser = subparsers.add_parser("service", help="install or remove the systemd service", description=about)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    about = (
        "Write the units, begin a settings file if there is none, and start the service. For the whole machine "
        "this needs root, and runs as a user of its own; with --user it needs no root, and runs as you."
    )
    install = actions.add_parser("install", help="write the units and start the service", description=about)
    install.add_argument(
        "--folder", type=Path, action="append", default=[], dest="folders", metavar="DIR",
        help="a folder to watch, for the new settings file; may be repeated",
    )  # fmt: skip
    install.add_argument("--gpu", action="store_true", help="let the service use an NVIDIA card")
    about = "Stop the service and remove its units. The library, the settings and the user stay."
    uninstall = actions.add_parser("uninstall", help="stop the service and remove its units", description=about)
    for action in (install, uninstall):
        action.add_argument("--user", action="store_true", help="your own service rather than the machine's")
        action.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")


def run(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Do what `reverie service ACTION` asks, and return the exit status.

    Raises:
        ServiceError: it needs root, a file cannot be written, or a command of systemd failed.
    """
    units = user_config(os.environ).parents[1] / "systemd" / "user"
    if args.action == "install":
        program = own_program()
        folders = [Path(os.path.abspath(folder)) for folder in args.folders]
        if args.user:
            plan = user_install(program, folders, settings, units)
        else:
            plan = system_install(program, folders, gpu=args.gpu)
    else:
        plan = user_uninstall(units) if args.user else system_uninstall()
    if args.dry_run:
        show(plan, out)
        return 0
    if not args.user and os.geteuid() != 0:
        again = shlex.join(["sudo", str(own_program()), "service", args.action])
        raise ServiceError("A service of the whole machine needs root.", f"Run `{again}`, or use --user.")
    carry_out(plan, out, systemd_runs=Path("/run/systemd/system").is_dir())
    return 0


def system_install(program: Path, folders: Sequence[Path], *, gpu: bool) -> Plan:
    """The machine's service: a user of its own, everything under /etc, /var and /run."""
    config = {"library": SYSTEM_LIBRARY, "folders": list(folders), "socket.path": SYSTEM_SOCKET}
    units = Path("/etc/systemd/system")
    write = {
        units / "reveried.service": _template("reveried.service", program),
        units / "reverie.socket": _template("reverie.socket", program, socket=SYSTEM_SOCKET),
        Path("/etc/sysusers.d/reverie.conf"): _template("sysusers.d/reverie.conf", program),
        Path("/etc/tmpfiles.d/reverie.conf"): _template("tmpfiles.d/reverie.conf", program),
    }
    if gpu:
        write[units / "reveried.service.d/gpu.conf"] = _template("reveried.service.d/gpu.conf", program)
    advice = ["Let people ask: `usermod --append --groups reverie NAME`, then they log in anew."]
    if (closed := closed_to_others(program)) is not None:
        advice.append(
            f"The service's user cannot reach {closed}, where this program is. Install Reverie in a place open to all: "
            "`python3 -m venv /opt/reverie && /opt/reverie/bin/pip install reverie-media`; then run this from there."
        )
    advice += [
        f"The service's user cannot read {closed}: see `Let the service read the photos` in docs/operations.md."
        for folder in folders
        if (closed := closed_to_others(folder)) is not None
    ]
    return Plan(
        write=write,
        begin={Path("/etc/reverie/config.yaml"): sample(config)},
        after=(
            ("systemd-sysusers", "/etc/sysusers.d/reverie.conf"),
            ("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/reverie.conf"),
            ("systemctl", "daemon-reload"),
            ("systemctl", "enable", "--now", "reverie.socket", "reveried.service"),
        ),
        advice=tuple(advice),
    )


def user_install(program: Path, folders: Sequence[Path], settings: Settings, units: Path) -> Plan:
    """One person's service, for the library and the socket of the settings in force."""
    paths = settings.paths
    socket, library = paths.socket, paths.library
    return Plan(
        write={
            units / "reveried.service": _template("reveried-user.service", program, library=library),
            units / "reverie.socket": _template("reverie-user.socket", program, socket=socket),
        },
        begin={units.parents[1] / "reverie/config.yaml": sample({"folders": list(folders)} if folders else {})},
        after=(
            ("systemctl", "--user", "daemon-reload"),
            ("systemctl", "--user", "enable", "--now", "reverie.socket", "reveried.service"),
        ),
        advice=("To run it also while you are logged out: `loginctl enable-linger`.",),
    )


def system_uninstall() -> Plan:
    """Undo `system_install`, but for what holds data or settings."""
    units = Path("/etc/systemd/system")
    return Plan(
        before=(("systemctl", "disable", "--now", "reverie.socket", "reveried.service"),),
        remove=(
            units / "reveried.service.d/gpu.conf",
            units / "reveried.service",
            units / "reverie.socket",
            Path("/etc/sysusers.d/reverie.conf"),
            Path("/etc/tmpfiles.d/reverie.conf"),
        ),
        after=(("systemctl", "daemon-reload"),),
        advice=(
            "The library (/var/lib/reverie), the settings (/etc/reverie) and the user `reverie` are still there. "
            "To remove them too: `rm -r /var/lib/reverie /var/cache/reverie /etc/reverie && userdel reverie`.",
        ),
    )


def user_uninstall(units: Path) -> Plan:
    """Undo `user_install`, but for what holds data or settings."""
    return Plan(
        before=(("systemctl", "--user", "disable", "--now", "reverie.socket", "reveried.service"),),
        remove=(units / "reveried.service", units / "reverie.socket"),
        after=(("systemctl", "--user", "daemon-reload"),),
        advice=("The library and the settings are still there: `reverie config show` says where.",),
    )


def show(plan: Plan, out: TextIO) -> None:
    """Print everything a plan would do."""
    for command in plan.before:
        out.write(f"would run: {shlex.join(command)}\n")
    for path in plan.remove:
        out.write(f"would remove: {path}\n")
    for path, text in {**plan.write, **plan.begin}.items():
        if path in plan.begin and path.exists():
            out.write(f"would keep as it is: {path}\n")
        else:
            out.write(f"would write: {path}\n" + "".join(f"    {line}\n" for line in text.splitlines()))
    for command in plan.after:
        out.write(f"would run: {shlex.join(command)}\n")
    out.writelines(f"{line}\n" for line in plan.advice)


def carry_out(plan: Plan, out: TextIO, *, systemd_runs: bool, root: Path = Path("/")) -> None:
    """Do what a plan says, below `root`. Where systemd does not run, its commands are shown for later.

    Raises ServiceError when a file cannot be written or a command fails.
    """

    def run_all(commands: tuple[tuple[str, ...], ...]) -> None:
        for command in commands:
            if systemd_runs:
                out.write(f"running: {shlex.join(command)}\n")
                _run(command)
            else:
                out.write(f"still to run: {shlex.join(command)}\n")

    run_all(plan.before)
    try:
        for path in plan.remove:
            target = root / path.relative_to("/")
            if target.exists():
                target.unlink()
                out.write(f"removed: {target}\n")
        for path, text in {**plan.write, **plan.begin}.items():
            target = root / path.relative_to("/")
            if path in plan.begin and target.exists():
                out.write(f"kept as it was: {target}\n")
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", errors="surrogateescape")
            # The service's own user reads them, whatever the umask of root.
            target.chmod(0o644)
            out.write(f"wrote: {target}\n")
    except OSError as error:
        raise ServiceError(
            f"{error.filename}: {error.strerror}.", "Correct its permissions and run this again."
        ) from error
    run_all(plan.after)
    out.writelines(f"{line}\n" for line in plan.advice)


def own_program() -> Path:
    """The `reverie` that is running, for ExecStart: beside this Python, else from the search path."""
    beside = Path(sys.executable).parent / "reverie"
    found = beside if beside.exists() else shutil.which("reverie")
    if found is None:
        raise ServiceError(
            "There is no program `reverie` that systemd could start.", "Install it: `pip install reverie-media`."
        )
    return Path(os.path.abspath(found))


def closed_to_others(path: Path) -> Path | None:
    """The first folder or file on the way to `path` that users other than its owner and group cannot pass or read."""
    for step in [*reversed(path.resolve().parents), path.resolve()]:
        try:
            mode = step.stat().st_mode
        except OSError:
            return step
        needed = stat.S_IXOTH if step != path.resolve() else stat.S_IROTH | stat.S_IXOTH
        if mode & needed != needed:
            return step
    return None


def _template(name: str, program: Path, *, socket: Path | None = None, library: Path | None = None) -> str:
    """A shipped file with its words between @ signs filled in, as systemd.syntax(7) and systemd.unit(5) quote."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    text = text.replace("@REVERIE@", _quoted(str(program)))
    if socket is not None:
        # ListenStream= takes the whole line; only % means something in it.
        text = text.replace("@SOCKET@", str(socket).replace("%", "%%"))
    if library is not None:
        text = text.replace("@LIBRARY@", _quoted(f"REVERIE_LIBRARY={library}"))
    return text


def _quoted(word: str) -> str:
    if any(character < " " for character in word):
        raise ReverieError(f"systemd cannot be given the path {word!r}.", "Choose one without control characters.")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _run(command: tuple[str, ...]) -> None:
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServiceError(
            f"`{shlex.join(command)}` failed.", "Its own message is above; correct that and run this again."
        ) from error
