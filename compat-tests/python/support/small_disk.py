"""A small file system of its own, to fill and to break: ext4 on a loop device. Needs root."""

import subprocess
from pathlib import Path

MIB = 1024 * 1024


def run(*command):
    """A command that has to succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


class SmallDisk:
    """A mounted file system of some MiB."""

    def __init__(self, directory, mebibytes=96):
        self.image, self.path = Path(directory) / "disk.img", Path(directory) / "disk"
        self.path.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(mebibytes * MIB)
        run("mkfs.ext4", "-q", "-F", "-m", "0", self.image)
        self.mount()

    def mount(self):
        """Mounts it; after an error it becomes read-only, as is usual."""
        run("mount", "-o", "loop,errors=remount-ro", self.image, self.path)

    def unmount(self):
        """Unmounts it, if it is mounted."""
        subprocess.run(["umount", str(self.path)], capture_output=True)

    def free(self):
        """Free bytes."""
        return int(run("stat", "-f", "-c", "%a", self.path)) * int(run("stat", "-f", "-c", "%S", self.path))

    def leave(self, free):
        """Takes away all space but so many bytes."""
        run("fallocate", "-l", max(self.free() - free, 4096), self.path / "ballast")

    def give_back(self):
        """What was taken away is free again."""
        (self.path / "ballast").unlink()

    def break_down(self):
        """The kernel finds an error, and makes the file system read-only under the broker."""
        device = Path(run("findmnt", "-n", "-o", "SOURCE", self.path)).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")

    def repair(self):
        """What an operator does about it."""
        self.unmount()
        subprocess.run(["fsck.ext4", "-p", "-f", str(self.image)], capture_output=True)
        self.mount()
