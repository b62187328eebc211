"""Start one program on a leash: it ends when its parent ends, and it never runs as root.

`console.embedded` runs this file as a script, before any server:

    leash.py <parent's process id> <signal> <folders> <program> [<argument> ...]

The signal is what the program gets when its parent is gone, even after SIGKILL. PostgreSQL refuses to run as root
or without a name. With folders given (joined by `:`), such a user becomes somebody else who may write in these
folders, and nothing else is loosened: inside a user namespace where that is possible, else by dropping to an
unprivileged user of the system who keeps the one capability of passing through closed folders.
"""

import contextlib
import ctypes
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 28, 47, 2
SECBIT_NO_SETUID_FIXUP = 4
CLONE_NEWUSER = 0x10000000
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2

libc = ctypes.CDLL(None, use_errno=True)


class CapabilityHeader(ctypes.Structure):
    """`cap_user_header_t` of capset(2)."""

    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class CapabilitySets(ctypes.Structure):
    """`cap_user_data_t` of capset(2), of which version 3 takes two (low and high bits)."""

    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def call(function: Callable[..., int], *arguments: object) -> None:
    """Call a function of libc; raise OSError with its errno when it fails."""
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def somebody() -> tuple[int, int]:
    """Return the uid and gid of an unprivileged user whom the system knows (initdb asks for the name)."""
    users = [user for user in pwd.getpwall() if user.pw_uid != 0]
    if not users:
        raise OSError("/etc/passwd names nobody but root")
    user = min(users, key=lambda user: user.pw_uid)
    return user.pw_uid, user.pw_gid


def enter_namespace() -> None:
    """Show this process to itself as somebody; outside it stays who it is, without root's powers."""
    uid, gid = somebody()
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    call(libc.unshare, CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outside_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outside_gid} 1")


def namespace_reaches(paths: list[Path]) -> bool:
    """Say whether, inside a user namespace, all of these could be used (tried in a child: there is no way back)."""
    child = os.fork()
    if child == 0:
        try:
            enter_namespace()
            os._exit(0 if all(os.access(path, os.R_OK | os.X_OK) for path in paths) else 1)
        except OSError:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def permitted() -> int:
    """Return the capabilities this process may have, as bits."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("CapPrm"))
    return int(line.split()[1], 16)


def drop_privileges() -> None:
    """Become somebody for good, able to pass through closed folders on the way to the own ones."""
    uid, gid = somebody()
    kept = next((bit for bit in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if permitted() >> bit & 1), None)
    call(libc.prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0)
    with contextlib.suppress(PermissionError):
        # Without it access(2), by which initdb finds its fellow programs, knows no capabilities.
        call(libc.prctl, PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    bits = 0 if kept is None else 1 << kept
    header = CapabilityHeader(CAPABILITY_VERSION_3, 0)
    sets = (CapabilitySets * 2)(CapabilitySets(bits, bits, bits), CapabilitySets(0, 0, 0))
    call(libc.capset, ctypes.byref(header), ctypes.byref(sets))
    if kept is not None:
        call(libc.prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept, 0, 0)


def give(folders: list[Path], uid: int, gid: int) -> None:
    """Make the folders and all in them belong to this user, unless they do."""
    for folder in folders:
        if folder.stat().st_uid == uid:
            continue
        for parent, names, files in os.walk(folder, topdown=False):
            for name in names + files:
                os.chown(Path(parent, name), uid, gid, follow_symlinks=False)
        os.chown(folder, uid, gid, follow_symlinks=False)


def nameless(uid: int) -> bool:
    """Say whether the system does not know this user, as in containers that are given any number."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return True
    return False


def become_somebody(folders: list[Path], program: Path) -> None:
    """Stop being root, or nobody known, keeping the use of the folders and of the program."""
    if namespace_reaches([program, *(folder.parent for folder in folders)]):
        give(folders, os.geteuid(), os.getegid())
        enter_namespace()
    else:
        give(folders, *somebody())
        drop_privileges()


def main(parent: str, signal_number: str, folders: str, program: str, *arguments: str) -> None:
    """Replace this process by the program, on its leash."""
    if folders and (os.geteuid() == 0 or nameless(os.geteuid())):
        become_somebody([Path(folder) for folder in folders.split(os.pathsep)], Path(program))
    call(libc.prctl, PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("the parent ended first")
    os.execv(program, [program, *arguments])  # noqa: S606 - a shell is what we do not want here


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"cannot start {sys.argv[4]}: {error}")
