"""Analysis on a Ray cluster: worker processes on other machines, the one catalog here.

An actor on each machine supervises a worker there just as the service does here, and passes on what it says. Files are
read where the actors run, under the same paths: from a share that is mounted alike everywhere. A bad file harms its
worker only; when a whole machine goes, its files are given to the others.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from config.errors import ModelError, ReverieError, ServiceError, StageBroken
from config.version import current_version
from daemon.protocol import Assignment, Broken, Done, Refused, Setup
from daemon.supervisor import Death, Result, Supervisor
from indexer import notes
from indexer.pictures import Pictures
from indexer.records import Kind, RuntimeReport, Stage
from indexer.stages import cuts_out

logger = logging.getLogger(__name__)

ACTOR_CPUS = 4
"""What an actor asks for where there is no GPU; of a smaller machine it asks for all."""

EXCHANGE_SECONDS = 0.5
"""How long an actor waits for its worker's first answer before it comes back for more work."""

CLOSE_SECONDS = 5.0
"""How long actors are given to end their workers and remove their files."""

MOST_LOSSES = 3
"""So many actors lost in a row, without a result in between, are no accident."""

TOKEN = Path.home() / ".ray" / "auth_token"
"""Where `ray start` leaves the cluster's token; the other machines of the cluster have a copy of it."""

NO_RAY = ("Ray is not installed.", "Install it: pip install 'reverie-media[cluster]'")


class NoCluster(ServiceError):
    """The Ray cluster cannot be used."""


class Exchange(msgspec.Struct, frozen=True):
    """What an actor answers with."""

    results: list[Done | Refused]
    pictures: dict[str, bytes]
    """As `Pictures.take` gives them."""
    death: Death | None
    reports: dict[str, RuntimeReport]
    shares: dict[int, float]
    """How far each long file is, 0 to 1, by media id."""
    trouble: Broken | None
    """Why its worker cannot work."""


class Analyst:
    """What runs in an actor: a worker process on that machine, the pictures it makes, and its notes on long files."""

    def __init__(self, setup: bytes, version: str, *, threads: int, stall_seconds: float, idle_seconds: float) -> None:
        """`version` is the driver's: two versions would analyse differently."""
        if version != current_version():
            raise RuntimeError(f"this machine has version {current_version()} of Reverie, not {version}")
        self._folder = Path(tempfile.mkdtemp(prefix="reverie-"))
        self._pictures, self._notes = self._folder / "thumbnails", self._folder / "notes"
        self._contents: dict[int, str] = {}  # media id -> content hash, of the files in flight
        self._supervisor = Supervisor(
            msgspec.structs.replace(
                msgspec.msgpack.decode(setup, type=Setup),
                thumbnails=os.fsencode(self._pictures),
                notes=os.fsencode(self._notes),
                decode_threads=threads,
                network_threads=threads,
            ),
            stall_seconds=stall_seconds,
            idle_seconds=idle_seconds,
            clock=time.monotonic,
        )

    def exchange(self, orders: Sequence[bytes], seconds: float) -> bytes:
        """Hand these assignments to the worker, wait up to `seconds` for answers, and return an `Exchange`."""
        results: Sequence[Result] = []
        death = trouble = None
        try:
            for order in orders:
                assignment = msgspec.msgpack.decode(order, type=Assignment)
                self._contents[assignment.media_id] = assignment.content_hash
                self._supervisor.send(assignment)
            outcome = self._supervisor.receive(seconds)
            if isinstance(outcome, Death):
                death = outcome
            else:
                results = outcome
        except ReverieError as error:
            trouble = Broken.by(error)
        done = {self._contents[result.analysis.media_id] for result in results if isinstance(result, Done)}
        for content_hash in done:
            notes.forget(self._notes, content_hash)
        for media_id in self._contents.keys() - self._supervisor.in_flight:
            del self._contents[media_id]
        pictures = Pictures(self._pictures).take(done)
        return msgspec.msgpack.encode(
            Exchange(
                list(results), pictures, death, dict(self._supervisor.reports), dict(self._supervisor.shares), trouble
            )
        )

    def close(self) -> None:
        """End the worker."""
        self._supervisor.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclasses.dataclass(slots=True)
class _Remote:
    """An actor, and what it has to do."""

    handle: Any
    outbox: list[bytes] = dataclasses.field(default_factory=list)
    in_flight: set[int] = dataclasses.field(default_factory=set)
    long: dict[int, str] = dataclasses.field(default_factory=dict)
    """Content hash by media id, of the videos and sounds in flight."""
    shares: Mapping[int, float] = dataclasses.field(default_factory=dict)
    answer: Any = None
    """The exchange under way, if any."""

    def forget(self, media_ids: Collection[int]) -> None:
        """These files are not its own any more."""
        self.in_flight.difference_update(media_ids)
        for media_id in media_ids:
            self.long.pop(media_id, None)
        self.shares = {media_id: share for media_id, share in self.shares.items() if media_id in self.in_flight}


class RayPool:
    """The workers of a cluster, driven like one `daemon.supervisor.Supervisor`. Not thread-safe.

    Args:
        address: of the cluster's head, "host:port", or "auto" for the one this machine belongs to.
        setup: what every worker is told; its folders of models and settings must be on every machine.
        stall_seconds, idle_seconds: as for `Supervisor`.

    Raises:
        NoCluster: Ray is not installed, nothing answers there, or no machine has room.
    """

    def __init__(self, address: str, setup: Setup, *, stall_seconds: float, idle_seconds: float) -> None:
        if TOKEN.is_file():
            # Clusters ask for a token unless told not to, but a driver that names an address does not show its own.
            os.environ.setdefault("RAY_AUTH_MODE", "token")
        try:
            import ray  # noqa: PLC0415 - an extra that only this needs
        except ImportError as error:
            raise NoCluster(*NO_RAY) from error
        self._ray = ray
        self._pictures = Pictures(Path(os.fsdecode(setup.thumbnails)))
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise NoCluster(
                f"No Ray cluster answers at {address}: {str(error).splitlines()[0]}",
                "Start one (`ray start --head` on one machine, `ray start --address=HOST:PORT` on the others).",
            ) from error
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        smallest = min((int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"]), default=0)
        threads = max(1, min(ACTOR_CPUS, smallest))
        demand = {"num_cpus": 1, "num_gpus": 1} if gpus else {"num_cpus": threads, "num_gpus": 0}
        self._make: Callable[..., Any] = getattr(ray, "remote")(**demand, max_restarts=0)(Analyst).remote  # noqa: B009
        self._arguments = (msgspec.msgpack.encode(setup), current_version())
        self._options = {"threads": threads, "stall_seconds": stall_seconds, "idle_seconds": idle_seconds}
        self._remotes = [self._new() for _ in range(gpus or cpus // threads)]
        if not self._remotes:
            ray.shutdown()
            raise NoCluster("The Ray cluster has no free processor.", "Give it a machine with CPUs or GPUs.")
        self._losses = 0
        self._news: deque[Sequence[Result] | Death] = deque()
        self._reports: dict[str, RuntimeReport] = {}
        logger.info("%d actors on the Ray cluster %s", len(self._remotes), address)

    @property
    def in_flight(self) -> Collection[int]:
        """Media ids of the files that some actor has, or whose fate has not been told yet."""
        untold = {media_id for news in self._news for media_id in _media_ids(news)}
        return untold.union(*(remote.in_flight for remote in self._remotes))

    @property
    def capacity(self) -> int:
        """How many workers share the work."""
        return len(self._remotes)

    @property
    def pids(self) -> list[int]:
        """None: the workers are processes of other machines."""
        return []

    @property
    def pid(self) -> int | None:
        """None, as `pids` says."""
        return None

    @property
    def troubles(self) -> list[ModelError]:
        """None: an actor that cannot work ends the run."""
        return []

    @property
    def reports(self) -> Mapping[str, RuntimeReport]:
        """Stage to how it runs, as the actor that answered last says."""
        return self._reports

    @property
    def shares(self) -> Mapping[int, float]:
        """How far each long file is that some actor goes through, by media id. From any thread."""
        return {media_id: share for remote in list(self._remotes) for media_id, share in remote.shares.items()}

    def cancel(self, media_id: int) -> None:
        """Nothing: the first indexing, which the cluster does, takes each file to its end."""

    def send(self, assignment: Assignment) -> None:
        """Give a file to the actor with the least to do, a video or sound to the one with the fewest of those."""
        if cuts_out(assignment.stages):
            self._pictures.keep_cut_out(assignment.content_hash, None)  # an actor sends a new one, or none
        long = assignment.kind != Kind.PHOTO
        remote = min(self._remotes, key=lambda one: (len(one.long) * long, len(one.in_flight)))
        remote.in_flight.add(assignment.media_id)
        if long:
            remote.long[assignment.media_id] = assignment.content_hash
        remote.outbox.append(msgspec.msgpack.encode(assignment))

    def receive(self, timeout: float) -> Sequence[Result] | Death:
        """What some actor has answered; waits up to `timeout` seconds for it.

        Raises:
            ModelError, CatalogError: a worker cannot work at all.
            NoCluster: actors are lost one after another.
        """
        for remote in self._remotes:
            if remote.answer is None and remote.in_flight:
                orders, remote.outbox = remote.outbox, []
                remote.answer = remote.handle.exchange.remote(orders, EXCHANGE_SECONDS)
        asked = {remote.answer: remote for remote in self._remotes if remote.answer is not None}
        if asked and not self._news:
            ready, _ = self._ray.wait(list(asked), num_returns=1, timeout=timeout)
            for answer in ready:
                self._take(asked[answer])
        return self._news.popleft() if self._news else []

    def rest(self, error: StageBroken) -> None:
        """Raises the error: a stage that nobody can do without ends the run."""
        raise error

    def stop(self) -> None:
        """End every worker and leave the cluster. Work in flight is forgotten here."""
        closing = [remote.handle.close.remote() for remote in self._remotes]
        self._ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS)
        for remote in self._remotes:
            self._ray.kill(remote.handle)
        self._remotes.clear()
        self._ray.shutdown()

    def _new(self) -> _Remote:
        return _Remote(self._make(*self._arguments, **self._options))

    def _take(self, remote: _Remote) -> None:
        """Note an actor's answer, or its end."""
        answer, remote.answer = remote.answer, None
        try:
            exchange = msgspec.msgpack.decode(self._ray.get(answer), type=Exchange)
        except self._ray.exceptions.RayError as error:
            self._lost(remote, error)
            return
        if exchange.trouble:
            remote.outbox.clear()  # its worker has ended, and with it all that this actor had
            remote.forget(set(remote.in_flight))
            raise exchange.trouble.error()
        self._reports |= exchange.reports
        remote.shares = exchange.shares
        self._pictures.put(exchange.pictures)
        if exchange.results:
            self._losses = 0
            for result in exchange.results:
                self._drop_old_keyframes(result, remote)
            remote.forget(_media_ids(exchange.results))
            self._news.append(exchange.results)
        if exchange.death:
            remote.forget(_media_ids(exchange.death))
            self._news.append(exchange.death)

    def _drop_old_keyframes(self, result: Result, remote: _Remote) -> None:
        """Those of moments that the video had before it was looked at anew; the actor did not have them."""
        if not isinstance(result, Done) or Stage.DESCRIBE not in result.analysis.stages:
            return
        content_hash = remote.long.get(result.analysis.media_id)
        if content_hash is not None:
            last = max(segment.ordinal for segment in result.analysis.segments)
            self._pictures.drop_keyframes(content_hash, last)

    def _lost(self, remote: _Remote, error: Exception) -> None:
        """An actor is gone, with its machine or alone. Its files are not to blame: their workers would have died."""
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        logger.warning("an actor of the cluster is lost (%s); %d files go to others", reason, len(remote.in_flight))
        self._losses += 1
        self._news.append(Death("was lost with its actor", (), tuple(remote.in_flight)))
        self._remotes.remove(remote)
        if self._losses >= MOST_LOSSES:
            raise NoCluster(
                f"{self._losses} actors of the Ray cluster were lost in a row: {reason}",
                "Is the same version of Reverie installed on its machines? `ray status` and Ray's logs say more.",
            )
        self._remotes.append(self._new())


def _media_ids(news: Sequence[Result] | Death) -> set[int]:
    if isinstance(news, Death):
        return {*news.begun, *news.waiting}
    return {one.analysis.media_id if isinstance(one, Done) else one.failure.media_id for one in news}
