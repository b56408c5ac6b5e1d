"""The folder of the runs: do other processes and machines see its files at once, and are locks taken over?"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from lit_resnet.doctor.finding import Finding, Site, advice, ok, unknown, wrong
from lit_resnet.errors import printable
from lit_resnet.files import clock, write_whole
from lit_resnet.launch.pool import CONTEXT
from lit_resnet.runfolder.lock import LEASE_SECONDS, InUse, Lock

FILES = 50
SLOW = 20  # files/s; a run writes a few at each evaluation
CLOCK_SECONDS = 5.0  # apart
ROOM = 10 << 30  # bytes: two checkpoints of some hundred runs
SEEN_SECONDS = 10.0
OF_A_NETWORK = ("nfs", "lustre", "beegfs", "gpfs", "ceph", "cifs", "smb", "afs", "fuse", "9p", "panfs", "wekafs")
TOKEN = "seen"  # the file with the token of the machine that sent the doctor


def look(site: Site) -> list[Finding]:
    """Findings about files, locks, clock and room, all in a new folder that is removed again."""
    where, kind = site.folder, file_system(site.folder)
    try:
        with tempfile.TemporaryDirectory(dir=where, prefix=".lit-resnet-doctor-") as folder:
            return [
                files(Path(folder), kind),
                locks(Path(folder)),
                clocks(Path(folder)),
                room(where),
                *sent(site),
            ]
    except OSError as error:
        return [
            wrong(
                f"{printable(str(where))}: {error.strerror}",
                "give another folder by --root, and to every other command, too",
            )
        ]


def files(folder: Path, kind: str) -> Finding:
    """Whether files are replaced whole, how many a second, and whether another process sees them."""
    start = time.perf_counter()
    for number in range(FILES):
        write_whole(folder / "file", str(number))
    speed = FILES / (time.perf_counter() - start)
    read = subprocess.run(["cat", str(folder / "file")], capture_output=True, text=True)
    text = f"{printable(str(folder.parent))} ({kind}): {speed:,.0f} files/s written whole"
    if read.stdout != str(FILES - 1):
        return wrong(
            f"{text}; another process does not see the newest one", "give a folder of another file system by --root"
        )
    if speed < SLOW:
        return advice(
            f"{text}: slow",
            "give a folder of a faster file system by --root, or fewer evaluations",
            files_per_second=speed,
        )
    return ok(f"{text}, seen by another process", files_per_second=speed)


def locks(folder: Path) -> Finding:
    """Whether a lock keeps others out while its holder lives, and is taken over when he was killed."""
    answer, sender = CONTEXT.Pipe(duplex=False)
    holder = CONTEXT.Process(target=_hold, args=(folder, sender))
    holder.start()
    lock = Lock(folder / ".lock")
    try:
        if not answer.poll(SEEN_SECONDS):
            return wrong("no lock can be taken within 10 s", "give a folder of another file system by --root")
        answer.recv()
        with lock.held(timeout=0.3):
            kept_out = False
    except InUse:
        kept_out = True
    finally:
        holder.kill()  # as `kill -9` does; also where this check is stopped
        holder.join()
    if not kept_out:
        return wrong(
            "two processes hold one lock at the same time",
            "give a folder of another file system by --root: runs would mix",
        )
    start = time.monotonic()
    with lock.held(timeout=1.5 * LEASE_SECONDS):
        took = time.monotonic() - start
    return ok(f"a lock keeps others out; that of a killed process is taken over in {took:.1f} s")


def _hold(folder: Path, sender) -> None:
    with Lock(folder / ".lock").held(timeout=SEEN_SECONDS):
        sender.send(True)
        time.sleep(600)


def clocks(folder: Path) -> Finding:
    """Whether this machine and the one that dates the files agree on the time."""
    off = clock(folder) - time.time()
    if abs(off) > CLOCK_SECONDS:
        return advice(
            f"the files' clock is {abs(off):,.0f} s {'ahead of' if off > 0 else 'behind'} this machine's",
            "runs do not depend on it, but times in reports do: let the machines keep their time by NTP",
        )
    return ok(f"the files' clock and this machine's are within {max(0.1, abs(off)):.1f} s")


def room(folder: Path) -> Finding:
    """Free bytes and files."""
    free, stats = shutil.disk_usage(folder).free, os.statvfs(folder)
    text = f"{free / 2**30:,.0f} GiB are free"
    if free < ROOM:
        return advice(
            text,
            "a run keeps up to three checkpoints of 8 bytes a weight; make room, or give another folder by --root",
            free=free,
        )
    if stats.f_files and stats.f_favail < 10_000:
        return advice(f"{text}, but only {stats.f_favail:,} more files", "a run has about 20: make room", free=free)
    return ok(f"{text}; a quota may allow less", free=free)


def sent(site: Site) -> list[Finding]:
    """Whether the file is here that the machine wrote which sent the doctor to this one; nothing where none did."""
    if not site.token:
        kind = file_system(site.folder)
        if shared(kind):
            return [unknown("whether other machines see these files: --on slurm asks one")]
        return [unknown(f"whether other machines see these files: {kind} is most often of this machine alone")]
    end = time.monotonic() + SEEN_SECONDS
    while time.monotonic() < end:
        try:
            if (site.root / TOKEN).read_text(encoding="utf-8") == site.token:
                return [ok("a file that the machine wrote which submitted this job is seen here")]
        except OSError:
            pass
        time.sleep(0.1)
    return [
        wrong(
            "a file that the machine wrote which submitted this job is not seen here",
            "give a folder that all machines share by --root",
        )
    ]


def shared(kind: str) -> bool:
    """Whether a file system is one that machines share."""
    return any(kind.startswith(name) for name in OF_A_NETWORK)


def file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The kind of file system of a folder, such as nfs4 or ext4; `unknown` where the system does not say."""
    best, kind = "", "unknown"
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return kind
    real = os.path.realpath(folder)
    for line in lines:
        _, place, of_place, *_ = line.split()
        place = place.encode().decode("unicode_escape")  # a space is \040
        if os.path.commonpath([real, place]) == place and len(place) >= len(best):
            best, kind = place, of_place
    return kind
