"""Runs that die by SIGKILL and are taken up again; each must end in the front of an undisturbed run.

    search_killer.py moments FOLDER KILLS [measured]
    search_killer.py points FOLDER STORAGE...

`moments` kills whole runs at random moments, first anywhere in their time, then in every phase in turn: at its
beginning once, else within. `points` kills measured runs right before, within and right after every change of
what they keep (a STORAGE is `journal` for the run's own one, else a URL). Every run is a child forked when all
imports are done. Where phases are met in turn, what only computes is remembered from the undisturbed run, so
that a kill costs little. A run that ends by itself is compared with the undisturbed one and begun anew.
Prints where the kills fell, as JSON.
"""

import json
import os
import random
import select
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import optuna
from optuna.storages.journal import JournalFileBackend

import explorer.claims
import explorer.evidence
import explorer.report.page
import explorer.search.auto
import explorer.search.shared
import explorer.search.study
from explorer.budget import parse
from explorer.pipeline import Options, run_in
from explorer.result import Result
from explorer.search.storage import Journal

with suppress(ImportError):
    # Imported once, here, not in every forked run.
    import alembic.command  # noqa: F401
    import optuna.storages._grpc.client
    import optuna.storages._rdb.storage
    import psycopg  # noqa: F401
    import sqlalchemy.dialects.postgresql.psycopg
    import sqlalchemy.dialects.sqlite.pysqlite  # noqa: F401

sys.path.insert(0, str(Path(__file__).parents[1]))
from budgets import small

optuna.logging.set_verbosity(optuna.logging.ERROR)
TRIALS = 12
ANYWHERE = 0.1
"""Share of the kills that fall anywhere in a modelled run that computes everything."""

MOST_KILLS, MOST_SHARED = 60, 20
"""Kills on the way through a run's own journal, and through another storage."""

PHASES = {
    "enumerating": (explorer.search.study, "exact_front"),
    "asking": (optuna.Study, "ask"),
    "telling": (optuna.Study, "tell"),
    "trade": (explorer.claims, "trade"),
    "evidence": (explorer.evidence, "gather"),
    "drawing": (explorer.report, "render"),
    "writing": (Result, "save"),
}
"""What a run enters one after the other; the first is `opening`."""
MODELLED = {"storing": (Journal, "add")}
MEASURED = {"storing": (explorer.search.shared, "set_attributes")}
COMPUTING = (
    (explorer.search.study, "exact_front"),
    (explorer.search.auto, "ArchiveSearch"),
    (explorer.claims, "trade"),
    (explorer.claims, "verdict"),
    (explorer.evidence, "gather"),
)


def train(design):
    """An evaluator that disagrees with the model by a known factor, and fails now and then."""
    if design["n_layers"] % 5 == 0:
        raise RuntimeError("out of memory")
    return {"step_seconds": 1.2 * design["step_seconds"]}


class Killer:
    """One budget, its undisturbed front, and the folder whose runs are killed."""

    def __init__(self, where: Path, name: str, measured: bool) -> None:
        self.where, self.folder = where, where / "killed"
        self.storage: str | None = None
        self.name, self.finished = name, 0
        self.budget = parse(small(name, TRIALS), "killed.yaml")
        self.evaluator = train if measured else None
        self.found: Counter[str] = Counter()
        self.entered = timeline(self, where / "undisturbed")
        self.wanted = (where / "undisturbed" / "front.csv").read_bytes()

    def whole(self, folder: Path) -> None:
        """A run in a folder, to its end."""
        run_in(folder, self.budget, Options(evaluator=self.evaluator, storage=self.storage))

    def check(self) -> None:
        """A finished run is the undisturbed one, and nothing else lies about."""
        assert (self.folder / "front.csv").read_bytes() == self.wanted, "another front"
        assert (self.folder / "summary.json").is_file()
        if not self.storage:
            # Processes that share a study may share a folder: there nobody clears up behind another.
            assert names(self.folder) == names(self.where / "undisturbed")

    def end(self) -> None:
        """Let a run come to its end and compare."""
        timeline(self, self.folder)
        self.check()
        self.begin_anew()

    def begin_anew(self) -> None:
        """Leave nothing of the runs so far; in a storage that others keep, begin another study."""
        shutil.rmtree(self.folder)
        self.finished += 1
        self.budget = self.budget.model_copy(update={"name": f"{self.name}-{self.finished}"})

    def remember(self, where: Path) -> None:
        """Compute what only computes once, here."""
        page = (self.where / "undisturbed" / "report.html").read_text("utf-8")
        # Drawing starts threads, which a forked process would wait for in vain: here nothing is drawn.
        explorer.report.render = lambda result: page
        for owner, name in COMPUTING:
            remember(owner, name)
        run_in(where, self.budget, Options(evaluator=self.evaluator))

    @contextmanager
    def child(self, prepare=lambda: None, folder=None, stop=None):
        """A forked run: its process number, and where it tells of the phases it enters. It stays where it
        enters the phase `stop`, and waits to be killed."""
        heard, told = os.pipe()
        number = os.fork()
        if not number:
            os.close(heard)
            code = 1
            try:
                enter("opening", told, stop)
                for label, (owner, name) in {
                    **PHASES, **(MEASURED if self.evaluator else MODELLED)
                }.items():  # fmt: skip
                    before(owner, name, lambda label=label: enter(label, told, stop))
                prepare()
                self.whole(folder or self.folder)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(told)
        try:
            yield number, heard
        except BaseException:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
            raise
        finally:
            os.close(heard)

    def killed(self, number: int, heard: int) -> bool:
        """Kill a child and count where it was; False where it had come to its end."""
        os.kill(number, signal.SIGKILL)
        status = os.waitpid(number, 0)[1]
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, "a resumed run failed"
            self.check()
            self.begin_anew()
            return False
        rest = b""
        while chunk := os.read(heard, 65536):
            rest += chunk
        self.last = ([self.last, *rest.decode().split()])[-1]
        self.found[self.last] += 1
        return True


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def enter(label: str, told: int, stop: str | None = None) -> None:
    os.write(told, f"{label}\n".encode())
    if label == stop:
        signal.pause()


def before(owner, name, do) -> None:
    """Do something before every call of a function."""
    function = getattr(owner, name)

    def both(*arguments, **options):
        do()
        return function(*arguments, **options)

    setattr(owner, name, both)


def remember(owner, name) -> None:
    """Let a function that only computes do so once."""
    function, known = getattr(owner, name), []

    def once(*arguments, **options):
        if not known:
            known.append(function(*arguments, **options))
        return known[0]

    setattr(owner, name, once)


def moments(where: Path, kills: int, measured: bool) -> dict:
    killer = Killer(where, "killed", measured)
    choice = random.Random(0)
    if not measured:
        seconds = sum(s for _, s in killer.entered)
        while sum(killer.found.values()) < ANYWHERE * kills:
            killer.last = ""
            with killer.child() as (number, heard):
                time.sleep(choice.uniform(0, seconds))
                killer.killed(number, heard)
        killer.end()
    killer.remember(where / "remembered")
    entered = timeline(killer, where / "again")
    labels = list(dict.fromkeys(label for label, _ in entered))
    surely = labels[:]
    while (done := sum(killer.found.values())) < kills:
        # Every phase in its turn, one of its occurrences, and a moment within; first, surely, its beginning:
        # some take less time than a kill.
        stop = surely.pop() if surely else None
        label = stop or labels[done % len(labels)]
        turn = 0 if stop else choice.randrange(sum(one == label for one, _ in entered))
        wait = 0 if stop else choice.uniform(0, [s for one, s in entered if one == label][turn])
        killer.last = ""
        with killer.child(stop=stop) as (number, heard):
            for line in lines(heard):
                killer.last = line
                turn -= line == label
                if turn < 0:
                    break
            time.sleep(wait)
            killer.killed(number, heard)
    killer.end()
    return dict(killer.found)


def timeline(killer: Killer, folder: Path) -> list[tuple[str, float]]:
    """The phases of a run in order, each with its seconds."""
    with killer.child(folder=folder) as (number, heard):
        entered = [(line, time.monotonic()) for line in lines(heard)]
        ended = time.monotonic()
        assert os.waitpid(number, 0)[1] == 0, "a run failed"
    times = [t for _, t in entered[1:]] + [ended]
    return [(label, after - t) for (label, t), after in zip(entered, times, strict=True)]


def lines(heard: int):
    """What a child tells, line by line."""
    while True:
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([heard], [], [], 60)[0]:
                raise TimeoutError("a child says nothing")
            byte = os.read(heard, 1)
            if not byte:
                return
            line += byte
        yield line.decode().strip()


def points(where: Path, storages: list[str]) -> dict:
    killer = Killer(where, "points", measured=True)
    killer.remember(where / "remembered")
    fell = {}
    for storage in storages:
        killer.storage, killer.found = None if storage == "journal" else storage, Counter()
        patient, survived = 0, False
        # A run dies at its first point, the next one at its second, and so on: some in the same trial as the
        # one before, some later. What came to its end before its turn has shown all.
        while not survived:
            patient += 1
            survived = not died(killer, patient)
            if not survived and patient > (MOST_SHARED if killer.storage else MOST_KILLS):
                killer.end()
                break
        # The last files of a run, each of which is put in its place in one step.
        turn, survived = 0, bool(killer.storage)
        while not survived:
            turn += 1
            survived = not died(killer, turn, storing=False)
        fell[storage.partition(":")[0]] = dict(killer.found)
    return fell


def died(killer: Killer, turn: int, storing: bool = True) -> bool:
    """Whether a run died at its `turn`-th point; else it came to its end."""
    heard, told = os.pipe()

    def prepare() -> None:
        left = turn

        def point(label: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                enter(label, told)
                os.kill(os.getpid(), signal.SIGKILL)

        watch_files(point)
        if storing and (killer.storage or "").startswith("grpc:"):
            watch_proxy(point)
        elif storing and killer.storage:
            watch_database(point)
        elif storing:
            watch_journal(point)

    with killer.child(prepare) as (number, _):
        status = os.waitpid(number, 0)[1]
    os.close(told)
    label = os.read(heard, 1000).decode().strip()
    os.close(heard)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, "a resumed run failed"
        killer.check()
        killer.begin_anew()
        return False
    assert os.WTERMSIG(status) == signal.SIGKILL
    killer.found[label] += 1
    return True


def watch_files(point) -> None:
    """A point before and after every file that is put in its place."""
    replace = os.replace

    def watched(source, target) -> None:
        point(f"before {Path(target).name}")
        replace(source, target)
        point(f"after {Path(target).name}")

    os.replace = watched


def watch_journal(point) -> None:
    """A point before and after every append, and within, when half of it is written."""
    append = JournalFileBackend.append_logs

    def watched(self, logs) -> None:
        point("before an append")
        whole = "\n".join(json.dumps(log, separators=(",", ":")) for log in logs)

        def torn() -> None:
            with open(self._file_path, "ab") as file:
                file.write(whole[: len(whole) // 2].encode())

        before_death(point, "within an append", torn)
        append(self, logs)
        point("after an append")

    JournalFileBackend.append_logs = watched


def before_death(point, label, do) -> None:
    """A point at which something is half done; for the living, nothing is."""
    kill = os.kill

    def last(number, how) -> None:
        do()
        kill(number, how)

    os.kill = last
    try:
        point(label)
    finally:
        os.kill = kill


def watch_database(point) -> None:
    """A point before and after every commit."""
    from sqlalchemy.engine.default import DefaultDialect

    commit = DefaultDialect.do_commit

    def watched(self, connection) -> None:
        point("before a commit")
        commit(self, connection)
        point("after a commit")

    DefaultDialect.do_commit = watched


def watch_proxy(point) -> None:
    """A point before and after every change that is sent; of a trial's hundred figures, at a few of them."""
    from optuna.storages import GrpcStorageProxy

    sent = Counter()
    for name in (
        "create_new_study", "set_study_user_attr", "set_study_system_attr", "create_new_trial", "set_trial_param",
        "set_trial_state_values", "set_trial_user_attr", "set_trial_system_attr",
    ):  # fmt: skip
        send = getattr(GrpcStorageProxy, name)

        def watched(self, *arguments, name=name, send=send, **options):
            sent[name] += 1
            if name == "set_trial_user_attr" and sent[name] % 40:
                return send(self, *arguments, **options)
            point(f"before {name}")
            answer = send(self, *arguments, **options)
            point(f"after {name}")
            return answer

        setattr(GrpcStorageProxy, name, watched)


if __name__ == "__main__":
    what, folder, rest = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    fell = moments(folder, int(rest[0]), len(rest) > 1) if what == "moments" else points(folder, rest)
    print(json.dumps({"cpu_seconds": round(sum(os.times()[:4]), 1), "fell": fell}))
