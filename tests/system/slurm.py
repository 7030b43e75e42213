"""A Slurm of the tests' own: its daemons and state in a temporary folder, each node a machine."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from benchmarks.chaos.machines import Machines

SETTINGS = """
ClusterName=tests
SlurmctldHost={host}({controller})
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
KillWait=10
JobRequeue=0
SlurmdTimeout=15
GresTypes=gpu
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=UNLIMITED State=UP
"""  # after a requeue a job waits for as long as its old credential lives: cred_expire
NODE = "NodeName={name} NodeHostname={host} NodeAddr={address} CPUs={cpus} Gres={gres}"


class Slurm:
    """Runs while inside: ``munged``, ``slurmctld`` on a machine, ``slurmd`` on each of its nodes.

    nodes: how many, named ``m1``, ``m2``, ... cpus, gpus: that each says it has; its GPUs are files
    that nothing can compute on. Needs root, as machines do.
    """

    def __init__(self, nodes: int = 2, cpus: int = 2, gpus: int = 2) -> None:
        self.machines = Machines(nodes + 1)
        self._cpus, self._gpus = cpus, gpus
        self._open = ExitStack()

    def __enter__(self) -> Slurm:
        with ExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            stack.enter_context(self.machines)
            self._write()
            self._daemons(stack)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    @property
    def nodes(self) -> list[str]:
        return self.machines.names[:-1]

    def call(self, *command: str, **options: Any) -> str:
        """What one of Slurm's commands prints. Raises RuntimeError if it fails."""
        options["env"] = {**os.environ, **options.get("env", {}), **self._environment}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, **options
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return str(done.stdout).strip()

    def submit(self, folder: Path, *command: str, **environment: str) -> str:
        """``sbatch`` with these arguments from a folder; the number of the job."""
        return self.call("sbatch", "--parsable", *command, cwd=folder, env=environment)

    def job(self, number: str) -> dict[str, str]:
        """What Slurm says of a job: JobState, Restarts, ExitCode, ..."""
        words = self.call("scontrol", "--oneliner", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def start(self, node: str) -> None:
        """A node, or one that has died; ``machines.kill`` is how."""
        self.machines.start(node, ["slurmd", "-D", "-N", node], **self._quiet)

    def wait(
        self, number: str, until: Callable[[dict[str, str]], bool], seconds: float
    ) -> dict[str, str]:
        """The job as soon as that holds of it. Raises TimeoutError, with the job."""
        end = time.monotonic() + seconds
        while not until(job := self.job(number)):
            if time.monotonic() > end:
                raise TimeoutError(f"after {seconds:g} s: {job}")
            time.sleep(0.2)
        return job

    @property
    def _environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def _write(self) -> None:
        host, folder = socket.gethostname().split(".")[0], self.folder
        folder.chmod(0o755)  # munged wants all to reach its socket
        (folder / "state").mkdir()
        (folder / "munge.key").touch(mode=0o400)
        (folder / "munge.key").write_bytes(secrets.token_bytes(128))
        devices = [folder / f"gpu{number}" for number in range(self._gpus)]
        for device in devices:
            os.mknod(device, stat.S_IFCHR, os.makedev(1, 3))  # another /dev/null
        nodes = [
            NODE.format(
                name=name,
                host=host,
                address=self.machines.address(name),
                cpus=self._cpus,
                gres=f"gpu:{self._gpus}",
            )
            for name in self.nodes
        ]
        (folder / "gres.conf").write_text("".join(f"Name=gpu File={path}\n" for path in devices))
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # used by none of ours
        settings = SETTINGS.format(
            host=host,
            controller=self.machines.address(self.machines.names[-1]),
            folder=folder,
            nodes="\n".join(nodes),
        )
        (folder / "slurm.conf").write_text(settings)

    def _daemons(self, stack: ExitStack) -> None:
        places = {
            "socket": "munge.socket",
            "key-file": "munge.key",
            "pid-file": "munged.pid",
            "log-file": "munged.log",
            "seed-file": "munge.seed",
        }
        options = [f"--{option}={self.folder / name}" for option, name in places.items()]
        munged = subprocess.Popen(["munged", "--foreground", *options], **self._quiet)
        stack.callback(munged.wait)
        stack.callback(munged.terminate)
        self.machines.start(self.machines.names[-1], ["slurmctld", "-D"], **self._quiet)
        for name in self.nodes:
            self.start(name)
        self._await_nodes(60)

    @property
    def _quiet(self) -> dict[str, Any]:
        """How daemons are started, which end with their machines; each has a log of its own."""
        nowhere = subprocess.DEVNULL
        return {"env": {**os.environ, **self._environment}, "stdout": nowhere, "stderr": nowhere}

    def _await_nodes(self, seconds: float) -> None:
        end, said = time.monotonic() + seconds, ""
        while time.monotonic() < end:
            with suppress(RuntimeError):
                said = self.call("sinfo", "--noheader", "--Node", "--format=%N %T")
                if said.split() == [word for name in self.nodes for word in (name, "idle")]:
                    return
            time.sleep(0.2)
        logs = "\n".join(p.read_text()[-2000:] for p in sorted(self.folder.glob("*.log")))
        raise RuntimeError(f"Slurm's nodes are not ready: {said}\n{logs}")
