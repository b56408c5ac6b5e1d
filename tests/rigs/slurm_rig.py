"""A real Slurm on this one machine, for tests: controller, nodes with counted GPUs that do not exist, all on loopback.

    python tests/slurm_rig.py start DIR      # prints what a shell must export; several can run side by side
    python tests/slurm_rig.py stop DIR

Debian's packages slurm-wlm and munge. As root each node has a host name of its own, and the jobs see an /etc/hosts in
which those names are this machine; as another user, or without the right to, all nodes have the machine's name.
There is no accounting: nothing in the package needs it.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

NODES = ("n1", "n2")
GPUS, CPUS = 2, 4  # of each node; neither need be there
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch")

CONFIG = """
ClusterName=rig
SlurmctldHost={controller}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PropagateResourceLimits=NONE
GresTypes=gpu
FirstJobId={first_job}
ReturnToService=2
# Quick, a second where clusters wait for minutes; cred_expire, no less than 5 s, is how long a requeued job waits.
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SlurmdTimeout=10
BatchStartTimeout=10
KillWait=8
# A job of "urgent" takes the place of one of "main", which is warned first.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
PartitionName=main Default=YES Nodes=ALL PriorityTier=1 GraceTime=20
PartitionName=urgent Nodes=ALL PriorityTier=2 PreemptMode=OFF
"""


class Failed(RuntimeError):
    """The cluster cannot be started here."""


class Rig:
    """A cluster whose files are all in `folder`, which everybody must be able to enter: munge insists.

    Attributes:
        env: What the environment of its users needs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.config = self.folder / "slurm.conf"
        self.env = {"SLURM_CONF": str(self.config)}

    def start(self) -> None:
        """Start it, and wait until both nodes are idle.

        Raises:
            Failed: With the last words of the logs; nothing is left running.
        """
        for name in ("state", "spool", "dev"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o600)
        names = " ".join(("controller", *NODES))
        (self.folder / "hosts").write_text(Path("/etc/hosts").read_text() + f"127.0.0.1 {names}\n")
        self.named = subprocess.run(self._as("controller", "true"), capture_output=True).returncode == 0
        self._write_config()
        try:
            socket_path, key = self.folder / "munge.socket", self.folder / "munge.key"
            self._daemon(
                *("controller", "munged", "--num-threads=1", f"--key-file={key}", f"--socket={socket_path}"),
                *(f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log"),
                f"--seed-file={self.folder}/munged.seed",
            )
            self._wait_for(socket_path.exists)
            self._daemon("controller", "slurmctld")
            for node in NODES:
                self.start_node(node)
            self._wait_for(lambda: self.run("sinfo", "-hN", "-pmain", "-o%t").split() == ["idle"] * len(NODES))
        except Failed:
            self.stop()
            raise

    def start_node(self, node: str) -> None:
        """Start the daemon of a node, for the first time or again."""
        self._daemon(node, "slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """kill -9 the daemon of a node; its jobs live on, as they do where a network breaks."""
        os.kill(int((self.folder / f"slurmd-{node}.pid").read_text()), signal.SIGKILL)

    def run(self, *command: str) -> str:
        """What a command of Slurm prints, whether it succeeds or not."""
        found = subprocess.run(command, env=os.environ | self.env, capture_output=True, text=True, timeout=60)
        return found.stdout + found.stderr

    def stop(self) -> None:
        """End all jobs, then all daemons, and remove all files."""
        if (self.folder / "slurmctld.pid").exists():
            self.run("scancel", f"--user={getpass.getuser()}")
            for _ in range(100):  # a step that lives on would hold the folder
                if not self.run("squeue", "-h").strip():
                    break
                time.sleep(0.1)
        for path in sorted(self.folder.glob("*.pid"), reverse=True):
            self._end(path)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, path: Path) -> None:
        """SIGTERM, and after five seconds SIGKILL, to the daemon of a pid file, if it is one of ours."""
        for number in (*[signal.SIGTERM] * 50, signal.SIGKILL):
            try:
                pid = int(path.read_text())
                if str(self.folder) not in Path(f"/proc/{pid}/environ").read_text():
                    return
                os.kill(pid, number)
            except (OSError, ValueError):  # it has ended, and removed its pid file
                return
            time.sleep(0.1)

    def _write_config(self) -> None:
        port = _free_ports(1 + len(NODES))
        host = socket.gethostname()
        text = CONFIG.format(
            controller="controller" if self.named else host,
            port=port[0],
            user=getpass.getuser(),
            folder=self.folder,
            first_job=int(time.time()) % 10**6 + 1000,  # not those of an earlier cluster
        )
        for node, its_port in zip(NODES, port[1:], strict=True):
            text += f"NodeName={node} NodeHostname={node if self.named else host} NodeAddr=127.0.0.1 "
            text += f"Port={its_port} CPUs={CPUS} Gres=gpu:{GPUS}\n"
        if not self.named:  # for torch.distributed, which asks the name of the first node
            text += f"TaskProlog={self.folder}/prolog\n"
            (self.folder / "prolog").write_text("#!/bin/sh\necho export MASTER_ADDR=127.0.0.1\n")
            (self.folder / "prolog").chmod(0o755)
        self.config.write_text(text)
        for i in range(GPUS):  # what is counted must be there
            (self.folder / "dev" / f"gpu{i}").symlink_to("/dev/null")
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/dev/gpu[0-{GPUS - 1}]\n")
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")

    def _as(self, node: str, *command: str) -> list[str]:
        """The command with a host name of its own."""
        script = 'mount --bind "$0" /etc/hosts && hostname "$1" && shift && exec "$@"'
        namespaces = ["unshare", "--uts", "--mount", "--propagation", "slave"]
        return [*namespaces, "sh", "-c", script, str(self.folder / "hosts"), node, *command]

    def _daemon(self, node: str, *command: str) -> None:
        """Start a daemon, which holds neither a terminal nor a pipe of ours."""
        with (self.folder / "daemons.log").open("ab") as log:
            environment = os.environ | self.env | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
            found = subprocess.run(
                self._as(node, *command) if self.named else command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if found.returncode:
            raise Failed(f"{command[0]} does not start: {self._last_words()}")

    def _wait_for(self, ready) -> None:
        for _ in range(300):
            if ready():
                return
            time.sleep(0.1)
        raise Failed(f"the cluster does not come up: {self._last_words()}")

    def _last_words(self) -> str:
        lines = [line for path in self.folder.glob("*.log") for line in path.read_text().splitlines()[-1:]]
        return "; ".join(lines)


def missing() -> str:
    """The programs that are not installed, in words; the empty string where all are."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return ", ".join(name for name in PROGRAMS if not shutil.which(name, path=path))


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    verb, place = sys.argv[1], Rig(Path(sys.argv[2]))
    if verb == "start":
        place.start()
        print(f"export SLURM_CONF={place.config}")
    else:
        place.stop()
