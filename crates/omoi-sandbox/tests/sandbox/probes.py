"""Tries to break out. Prints one line per try: `held|ESCAPED <tab> name <tab> detail`.

Facts about the host come as JSON in the first argument; names after it pick the tries to make, and
without any all are made. A try that finds nothing returns None; one that gets somewhere returns what
it got. Outside a sandbox most of them do real harm: pick by name there.
"""
import ctypes, errno, glob, json, os, pty, signal, socket, struct, subprocess, sys

HOST = json.loads(sys.argv[1])
# Looked at before anything here opens one; the folder's own descriptor is gone by then.
INHERITED = []
for fd in map(int, os.listdir("/proc/self/fd")):
    try:
        INHERITED += [os.readlink(f"/proc/self/fd/{fd}")] if fd > 2 else []
    except OSError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
PROBES = []


def probe(name):
    def add(function):
        PROBES.append((name, function))
        return function
    return add


def opened(path, flags=os.O_RDONLY):
    try:
        fd = os.open(path, flags)
    except OSError:
        return None
    os.close(fd)
    return path


def first(found):
    return next((x for x in found if x), None)


def call(number, *args, allowed=(errno.EPERM,)):
    """None when the system call is refused by the filter, else what happened."""
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in args])
    code = ctypes.get_errno()
    return None if result == -1 and code in allowed else f"answered {result}, errno {code}"


# Files ------------------------------------------------------------------------------------------
@probe("read /etc/shadow")
def _(): return opened("/etc/shadow")

@probe("read the host's /etc/passwd")
def _(): return HOST["user"] if HOST["user"] in open("/etc/passwd").read().replace("root:x:0", "") else None

@probe("see the platform user's home")
def _(): return first(p for p in HOST["homes"] if os.path.exists(p))

@probe("see platform data")
def _(): return first(opened(p) for p in HOST["secrets"])

@probe("see another workspace")
def _(): return opened(HOST["other_workspace"], os.O_RDONLY | os.O_DIRECTORY)

@probe("reach platform data through /proc/1/root and friends")
def _():
    ways = ["/proc/1/root", "/proc/self/root", "/proc/1/cwd", "/proc/self/cwd/../../../.."]
    return first(opened(way + p) for way in ways for p in HOST["secrets"])

@probe("follow a link in the workspace to the host")
def _():
    os.symlink(HOST["secrets"][0], "/sandbox/leak")
    return opened("/sandbox/leak")

@probe("write outside workspace and scratch space")
def _():
    def tried():
        for path in ["/", "/usr", "/usr/bin", "/etc", "/etc/ssl", "/dev", "/run", "/home", "/var", "/proc", HOST["tools"]]:
            try:
                open(os.path.join(path, "planted"), "w").close()
                yield path
            except OSError:
                pass
    return first(tried())

@probe("change the worker, the socket's name or a listed mount")
def _():
    found = [opened(p, os.O_WRONLY) for p in ["/run/omoi", HOST["tools"] + "/tool"]]
    for action in (lambda: os.unlink("/run/omoi.sock"), lambda: os.rename("/run/omoi", "/run/x"), lambda: os.chmod(HOST["tools"] + "/tool", 0o777)):
        try:
            action()
            found.append("changed")
        except OSError:
            pass
    return first(found)

@probe("link a listed file into the workspace")
def _():
    try:
        os.link(HOST["tools"] + "/tool", "/sandbox/tool")
        return "linked"
    except OSError:
        return None

@probe("find sockets of the host")
def _():
    usual = ["/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/run/user", "/run/systemd", "/tmp/.X11-unix"]
    return first(p for p in usual + [HOST["socket"]] if os.path.exists(p))

@probe("see /sys, /boot, /root, /mnt, /srv, /opt")
def _(): return first(p for p in ["/sys", "/boot", "/root", "/mnt", "/srv", "/media"] if os.path.exists(p))

@probe("read private keys of the host's certificates")
def _():
    try:
        return first(os.listdir("/etc/ssl/private"))
    except OSError:
        return None

# Protected paths --------------------------------------------------------------------------------
def tampered(path):
    """Every way to get other contents under a name."""
    found = []
    def attempt(what, action):
        try:
            action()
            found.append(what)
        except OSError:
            pass
    if os.path.isdir(path):
        attempt("created inside", lambda: open(path + "/planted", "w").close())
        attempt("removed", lambda: os.rmdir(path))
    else:
        attempt("written", lambda: open(path, "a").write("planted"))
        attempt("unlinked", lambda: os.unlink(path))
    attempt("renamed", lambda: os.rename(path, path + "-moved"))
    os.makedirs("/sandbox/fresh", exist_ok=True)
    attempt("replaced", lambda: os.rename("/sandbox/fresh", path))
    attempt("permissions changed", lambda: os.chmod(path, 0o700))
    return f"{path}: {found}" if found else None

@probe("tamper with a protected folder")
def _(): return tampered("/sandbox/.git/hooks")

@probe("tamper with a protected file")
def _(): return tampered("/sandbox/.git/config")

@probe("tamper with a protected path that was missing")
def _(): return tampered("/sandbox/.omoi_os")

@probe("tamper with a protected path that was a link")
def _(): return tampered("/sandbox/.claude")

@probe("move the folder above a protected path away")
def _(): return tampered("/sandbox/.git") and first([None if not os.path.exists("/sandbox/.git-moved") else "moved"])

@probe("read a masked file")
def _(): return open("/sandbox/masked").read() or None

@probe("read a masked folder")
def _(): return first(os.listdir("/sandbox/masked-dir"))

@probe("change the target of a replaced link through it")
def _(): return None if open("/sandbox/target/kept").read() == "kept" else "changed"

# Kernel files -----------------------------------------------------------------------------------
@probe("open kernel settings for writing (all of /proc/sys)")
def _():
    found = [p for p in glob.iglob("/proc/sys/**", recursive=True) if os.path.isfile(p) and opened(p, os.O_WRONLY)]
    return f"{len(found)}, {found[:3]}" if found else None

@probe("open dangerous files of /proc")
def _():
    found = [opened(p, os.O_WRONLY) for p in ["/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/mtrr"]]
    return first(found + [opened("/proc/kcore"), opened("/proc/kmsg")])

@probe("read the environment bubblewrap was started with")
def _():
    try:
        return open("/proc/1/environ").read() or None
    except PermissionError:
        return None

@probe("read the options bubblewrap was started with")
def _():
    words = open("/proc/1/cmdline").read().split("\0")
    return first(w for w in words if w.startswith("--") and w not in ("--args", "--"))

# Processes --------------------------------------------------------------------------------------
@probe("see processes of the host")
def _():
    def foreign():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                line = open(f"/proc/{pid}/cmdline").read()
            except OSError:
                continue
            if "bwrap" not in line and "probes.py" not in line:
                yield line
    return first(foreign())

@probe("signal processes of the host")
def _():
    def signalled():
        for pid in HOST["pids"]:
            try:
                os.kill(pid, 0)
                yield f"pid {pid}"
            except OSError:
                pass
    return first(signalled())

@probe("kill process 1")
def _():
    # Signals from inside reach process 1 only where it handles them; this one it must survive.
    for number in (signal.SIGKILL, signal.SIGSTOP):
        try:
            os.kill(1, number)
        except PermissionError:
            pass
    return None

@probe("share a namespace with the host")
def _():
    return first(kind for kind, inode in HOST["namespaces"].items() if os.readlink(f"/proc/self/ns/{kind}") == inode)

# Identity ---------------------------------------------------------------------------------------
def status():
    return dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)

@probe("hold a capability")
def _(): return first(k for k in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] if int(status()[k], 16))

@probe("gain privileges on exec")
def _(): return None if status()["NoNewPrivs"] == "1" else "no_new_privs is off"

@probe("be another user")
def _(): return None if (os.getresuid(), os.getresgid(), os.getgroups()) in (((1000,) * 3, (1000,) * 3, []), ((1000,) * 3, (1000,) * 3, [1000]), ((1000,) * 3, (1000,) * 3, [65534])) else f"{os.getresuid()} {os.getresgid()} {os.getgroups()}"

@probe("become root")
def _():
    def became():
        for name, action in [("setuid", lambda: os.setuid(0)), ("setresuid", lambda: os.setresuid(0, 0, 0)), ("setgid", lambda: os.setgid(0)), ("setgroups", lambda: os.setgroups([0])), ("chroot", lambda: os.chroot("/sandbox")), ("sethostname", lambda: socket.sethostname("x")), ("chown", lambda: os.chown("/sandbox/own", 0, 0))]:
            try:
                action()
                yield name
            except OSError:
                pass
    open("/sandbox/own", "w").close()
    return first(became())

@probe("run a set-uid program with effect")
def _():
    import shutil
    shutil.copy("/usr/bin/id", "/sandbox/id")
    os.chmod("/sandbox/id", 0o6755)
    own = subprocess.run(["/sandbox/id", "-u"], capture_output=True, text=True).stdout.strip()
    su = subprocess.run(["/usr/bin/su", "-c", "id -u"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return first([own if own != "1000" else None, "su worked" if su.returncode == 0 else None])

@probe("make a device")
def _():
    try:
        os.mknod("/sandbox/mem", 0o020666, os.makedev(1, 1))
        return "made"
    except OSError:
        return None

# System calls -----------------------------------------------------------------------------------
CALLS = {
    "ptrace": (101, 0, 0), "process_vm_readv": (310, 1), "process_vm_writev": (311, 1),
    "io_uring_setup": (425, 8, 0), "io_uring_enter": (426,), "io_uring_register": (427,), "bpf": (321, 0), "perf_event_open": (298,),
    "userfaultfd": (323, 0), "keyctl": (250, 0, -3), "add_key": (248,), "request_key": (249,),
    "mount": (165,), "umount2": (166,), "pivot_root": (155,), "fsopen": (430,), "fsconfig": (431,), "fsmount": (432,),
    "fspick": (433,), "open_tree": (428, -100), "move_mount": (429,), "mount_setattr": (442,), "open_tree_attr": (467,),
    "unshare user": (272, 0x10000000), "unshare mount": (272, 0x20000), "unshare net": (272, 0x40000000), "setns": (308, 0, 0),
    "clone with user namespace": (56, 0x10000000 | 17, 0), "open_by_handle_at": (304,), "name_to_handle_at": (303,),
    "kexec_load": (246,), "kexec_file_load": (320,), "init_module": (175,), "finit_module": (313,), "delete_module": (176,),
    "swapon": (167,), "swapoff": (168,), "reboot": (169, 0), "quotactl": (179,), "quotactl_fd": (443,), "acct": (163, 0),
    "iopl": (172, 3), "ioperm": (173, 0, 1, 1), "modify_ldt": (154, 0), "personality": (135, 0xFFFFFFFF),
    "settimeofday": (164, 0, 0), "clock_settime": (227, 0, 0), "clock_adjtime": (305, 0, 0), "adjtimex": (159, 0), "syslog": (103, 3),
}
if os.uname().machine == "x86_64":
    for name, (number, *args) in CALLS.items():
        PROBES.append((f"call {name}", lambda number=number, args=args: call(number, *args)))
    PROBES.append(("call clone3", lambda: call(435, 0, 0, allowed=(errno.ENOSYS,))))
    PROBES.append(("call by x32 numbers", lambda: call(0x40000000 + 39, allowed=(errno.ENOSYS,))))

@probe("unshare -U (the program)")
def _():
    return None if subprocess.run(["/usr/bin/unshare", "-Ur", "true"], capture_output=True).returncode else "worked"

@probe("push input into a terminal (TIOCSTI)")
def _():
    import fcntl
    _, terminal = pty.openpty()
    try:
        fcntl.ioctl(terminal, 0x5412, b"x")
        return "pushed"
    except PermissionError:
        return None

@probe("have a controlling terminal")
def _(): return opened("/dev/tty", os.O_RDWR)

# Devices ----------------------------------------------------------------------------------------
@probe("find a dangerous device")
def _():
    allowed = {"core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}
    return first(sorted(set(os.listdir("/dev")) - allowed))

# Network ----------------------------------------------------------------------------------------
def connected(family, kind, address):
    try:
        with socket.socket(family, kind) as s:
            s.settimeout(2)
            s.connect(address)
            if kind == socket.SOCK_DGRAM:
                s.send(b"x")
        return f"{address}"
    except OSError:
        return None

@probe("see a network interface")
def _():
    names = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
    return first(name for name in names if name != "lo")

@probe("connect to the host's loopback")
def _(): return connected(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", HOST["port"]))

@probe("connect out by TCP, UDP, IPv6, to metadata")
def _():
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    tries = [(socket.AF_INET, tcp, ("1.1.1.1", 443)), (socket.AF_INET, udp, ("8.8.8.8", 53)), (socket.AF_INET, tcp, ("169.254.169.254", 80)), (socket.AF_INET, tcp, (HOST["address"], HOST["port"])), (socket.AF_INET6, tcp, ("2606:4700::1111", 443)), (socket.AF_INET6, tcp, ("::1", HOST["port"]))]
    return first(connected(*t) for t in tries)

@probe("resolve a name")
def _():
    try:
        return str(socket.getaddrinfo("example.com", 80))
    except OSError:
        return None

@probe("connect to an abstract socket of the host")
def _(): return connected(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + HOST["abstract"])

for family, number in {"NETLINK": 16, "PACKET": 17, "ALG": 38, "VSOCK": 40, "BLUETOOTH": 31, "XDP": 44, "KEY": 15, "CAN": 29, "RDS": 21, "TIPC": 30}.items():
    PROBES.append((f"open a socket of family {family}", lambda number=number: call(41, number, 3, 0)))

@probe("open a raw socket")
def _():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()
        return "opened"
    except OSError:
        return None

# What is handed in ------------------------------------------------------------------------------
@probe("inherit a descriptor")
def _():
    return first(INHERITED)

@probe("inherit an environment")
def _():
    extra = set(os.environ) - {"HOME", "PATH", "LANG", "PWD", "ASKED", "LC_CTYPE"}
    return f"{extra}" if extra or os.environ["ASKED"] != "for" else None

# Controls: what must work -----------------------------------------------------------------------
@probe("CONTROL: the workspace, /tmp and the home can be written")
def _():
    for path in ["/sandbox", "/tmp", "/home/agent", "/dev/shm", "/var/tmp"]:
        open(path + "/written", "w").write("x")

@probe("CONTROL: the gateway socket answers")
def _():
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect("/run/omoi.sock")
        return None if s.recv(5) == b"hello" else "silent"

@probe("CONTROL: loopback inside works")
def _():
    server = socket.create_server(("127.0.0.1", 0))
    return None if connected(socket.AF_INET, socket.SOCK_STREAM, server.getsockname()) else "dead"

@probe("CONTROL: listed mounts, worker and generated files can be read")
def _():
    import stat
    assert open(HOST["tools"] + "/tool").read() == "tool" and open("/run/omoi").read() == "worker"
    assert open("/run/omoi.d/context").read() == "context"
    assert stat.S_IMODE(os.stat("/run/omoi.d/context").st_mode) == 0o600
    assert open("/sandbox/.git/config").read() == "config" and os.path.exists("/sandbox/.git/hooks/kept")
    os.rename("/sandbox/.git/index", "/sandbox/.git/index2")

@probe("CONTROL: threads, pipes, children, terminals work")
def _():
    import threading
    thread = threading.Thread(target=lambda: None)
    thread.start(); thread.join()
    pty.openpty()
    return None if subprocess.run(["/bin/echo", "x"], capture_output=True).stdout == b"x\n" else "no"


for name, function in PROBES:
    if sys.argv[2:] and name not in sys.argv[2:]:
        continue
    try:
        got = function()
    except Exception as error:
        got = f"the probe itself failed: {error!r}"
    print("held" if got is None else "ESCAPED", name, "" if got is None else got, sep="\t", flush=True)
