"""Tries to break out. Prints one line per try: `property <tab> held|watched|ESCAPED <tab> name <tab> detail`.

Facts about the host and the sandbox come as JSON in the first argument; names after it pick the tries
to make, and without any all are made. A try that finds nothing returns None; one that gets somewhere
returns what it got. It names the property it attacks, or several where one of them is enough to hold.
Outside a sandbox most of them do real harm: pick by name there.
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
# Paths as the sandbox shows them, and whether its files, processes and network are its own.
WORK, HOME, TMP = HOST["work"], HOST["home"], HOST["temp"]
OWN_SPACES = HOST["own_spaces"]
TOOL, WORKER, SOCKET = HOST["tools"] + "/tool", HOST["worker"], HOST["gateway"]


def probe(name, attacks):
    def add(function):
        PROBES.append((name, attacks, function))
        return function
    return add


def present(path):
    """Whether a path is there; where files are the host's, whether it can be opened."""
    if OWN_SPACES:
        return path if os.path.exists(path) else None
    return opened(path)


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
@probe("read /etc/shadow", ["files", "landlock"])
def _(): return opened("/etc/shadow")

@probe("read the host's /etc/passwd", ["files", "landlock"])
def _():
    try:
        return HOST["user"] if HOST["user"] in open("/etc/passwd").read() else None
    except PermissionError:
        return None

@probe("see the platform user's home", ["files", "landlock"])
def _(): return first(present(p) for p in HOST["homes"])

@probe("see platform data", ["files", "landlock"])
def _(): return first(opened(p) for p in HOST["secrets"])

@probe("see another workspace", ["files", "landlock"])
def _(): return opened(HOST["other_workspace"], os.O_RDONLY | os.O_DIRECTORY)

@probe("reach platform data through /proc/1/root and friends", ["files", "landlock"])
def _():
    ways = ["/proc/1/root", "/proc/self/root", "/proc/1/cwd", "/proc/self/cwd/../../../.."]
    return first(opened(way + p) for way in ways for p in HOST["secrets"])

@probe("follow a link in the workspace to the host", ["files", "landlock"])
def _():
    os.symlink(HOST["secrets"][0], WORK + "/leak")
    return opened(WORK + "/leak")

@probe("write outside workspace and scratch space", ["files", "landlock"])
def _():
    def tried():
        for path in ["/", "/usr", "/usr/bin", "/etc", "/etc/ssl", "/dev", "/run", "/home", "/var", "/proc", HOST["tools"]] + ([] if OWN_SPACES else ["/tmp", "/var/tmp", "/dev/shm"]):
            try:
                open(os.path.join(path, "planted"), "w").close()
                yield path
            except OSError:
                pass
    return first(tried())

@probe("change the worker, the socket's name or a listed mount", ["files", "landlock"])
def _():
    found = [opened(p, os.O_WRONLY) for p in [WORKER, TOOL]]
    for action in (lambda: os.unlink(SOCKET), lambda: os.rename(WORKER, WORKER + "-x"), lambda: os.unlink(TOOL)):
        try:
            action()
            found.append("changed")
        except OSError:
            pass
    return first(found)

@probe("change permissions and times of a listed file", "files")
def _():
    found = []
    for action in (lambda: os.chmod(TOOL, 0o777), lambda: os.utime(TOOL, (1, 1)), lambda: os.setxattr(TOOL, "user.x", b"x")):
        try:
            action()
            found.append("changed")
        except OSError:
            pass
    return first(found)

@probe("swap a folder for a link while it is walked", ["files", "landlock"])
def _():
    import threading
    race, done = WORK + "/race", []
    os.makedirs(race + "-dir", exist_ok=True)
    os.symlink(os.path.dirname(HOST["secrets"][0]), race + "-link")
    os.symlink(race + "-dir", race)
    def swap():
        for n in range(2_000):
            os.symlink(race + ("-dir" if n % 2 else "-link"), race + "-new")
            os.rename(race + "-new", race)
        done.append(True)
    thread = threading.Thread(target=swap)
    thread.start()
    found = None
    while not done and not found:
        found = opened(race + "/" + os.path.basename(HOST["secrets"][0]))
    thread.join()
    return found

@probe("link a listed file into the workspace", ["files", "landlock"])
def _():
    try:
        os.link(TOOL, WORK + "/tool")
        return "linked"
    except OSError:
        return None

@probe("find sockets of the host", "network")
def _():
    usual = ["/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/notify"]
    for path in usual + [HOST["socket"]]:
        if OWN_SPACES and os.path.exists(path):
            return path
        if connected(socket.AF_UNIX, socket.SOCK_STREAM, path):
            return path

@probe("see /boot, /root, /mnt, /srv, /media", ["files", "landlock"])
def _(): return first(present(p) for p in ["/boot", "/root", "/mnt", "/srv", "/media"])

@probe("read the host through a mount nobody asked for", ["files", "landlock"])
def _(): return opened("/mount-too-many/etc/passwd")

@probe("read private keys of the host's certificates", ["files", "landlock"])
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
    os.makedirs(WORK + "/fresh", exist_ok=True)
    attempt("replaced", lambda: os.rename(WORK + "/fresh", path))
    attempt("permissions changed", lambda: os.chmod(path, 0o700))
    return f"{path}: {found}" if found else None

@probe("tamper with a protected folder", "protected_paths")
def _(): return tampered(WORK + "/.git/hooks")

@probe("tamper with a protected file", "protected_paths")
def _(): return tampered(WORK + "/.git/config")

@probe("tamper with a protected path that was missing", "protected_paths")
def _(): return tampered(WORK + "/.omoi_os")

@probe("tamper with a protected path that was a link", "protected_paths")
def _(): return tampered(WORK + "/.claude")

@probe("move the folder above a protected path away", "protected_paths")
def _(): return tampered(WORK + "/.git") and first([None if not os.path.exists(WORK + "/.git-moved") else "moved"])

@probe("read a masked file", "protected_paths")
def _(): return os.path.exists(WORK + "/masked") and open(WORK + "/masked").read() or None

@probe("read a masked folder", "protected_paths")
def _(): return first(os.listdir(WORK + "/masked-dir"))

@probe("change the target of a replaced link through it", "protected_paths")
def _():
    try:
        open(WORK + "/.claude/kept", "a").write("changed")
    except OSError:
        pass
    return None if open(WORK + "/target/kept").read() == "kept" else "changed"

# Kernel files -----------------------------------------------------------------------------------
@probe("open kernel settings for writing (all of /proc/sys)", ["files", "landlock"])
def _():
    found = [p for p in glob.iglob("/proc/sys/**", recursive=True) if os.path.isfile(p) and opened(p, os.O_WRONLY)]
    return f"{len(found)}, {found[:3]}" if found else None

@probe("open dangerous files of /proc", ["files", "landlock"])
def _():
    found = [opened(p, os.O_WRONLY) for p in ["/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/mtrr"]]
    return first(found + [opened("/proc/kcore"), opened("/proc/kmsg")])

@probe("read the environment of process 1", ["processes", "landlock"])
def _():
    if os.getpid() == 1:
        return None
    try:
        return open("/proc/1/environ").read() or None
    except PermissionError:
        return None

@probe("read the options bubblewrap was started with", "processes")
def _():
    words = open("/proc/1/cmdline").read().split("\0")
    return first(w for w in words if w.startswith("--") and w not in ("--args", "--"))

# Processes --------------------------------------------------------------------------------------
@probe("see processes of the host", "processes")
def _():
    def foreign():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                line = open(f"/proc/{pid}/cmdline").read()
            except OSError:
                continue
            if line and "bwrap" not in line and "probes.py" not in line and int(pid) != os.getpid():
                yield line
    return first(foreign())

@probe("signal processes of the host", ["processes", "landlock"])
def _():
    def signalled():
        for pid in HOST["pids"]:
            try:
                os.kill(pid, 0)
                yield f"pid {pid}"
            except OSError:
                pass
    return first(signalled())

@probe("kill process 1", "processes")
def _():
    # Signals from inside reach process 1 only where it handles them; this one it must survive.
    for number in (signal.SIGKILL, signal.SIGSTOP):
        try:
            os.kill(1, number)
        except PermissionError:
            pass
    return None

@probe("share a namespace with the host", "processes")
def _():
    return first(kind for kind, inode in HOST["namespaces"].items() if os.readlink(f"/proc/self/ns/{kind}") == inode)

# Identity ---------------------------------------------------------------------------------------
def status():
    return dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)

@probe("hold a capability", "identity")
def _(): return first(k for k in ["CapInh", "CapPrm", "CapEff", "CapAmb"] + ["CapBnd"] * OWN_SPACES if int(status()[k], 16))

@probe("gain privileges on exec", "identity")
def _(): return None if status()["NoNewPrivs"] == "1" else "no_new_privs is off"

@probe("be root in any way", "identity")
def _():
    users, groups = os.getresuid(), os.getresgid()
    alike = len(set(users)) == 1 and len(set(groups)) == 1
    return None if alike and 0 not in users + groups + tuple(os.getgroups()) else f"{users} {groups} {os.getgroups()}"

@probe("become root", "identity")
def _():
    def became():
        for name, action in [("setuid", lambda: os.setuid(0)), ("setresuid", lambda: os.setresuid(0, 0, 0)), ("setgid", lambda: os.setgid(0)), ("setgroups", lambda: os.setgroups([0])), ("chroot", lambda: os.chroot(WORK)), ("sethostname", lambda: socket.sethostname("x")), ("chown", lambda: os.chown(WORK + "/own", 0, 0))]:
            try:
                action()
                yield name
            except OSError:
                pass
    open(WORK + "/own", "w").close()
    return first(became())

@probe("run a set-uid program with effect", "identity")
def _():
    import shutil
    shutil.copy("/usr/bin/id", WORK + "/id")
    os.chmod(WORK + "/id", 0o6755)
    own = subprocess.run([WORK + "/id", "-u"], capture_output=True, text=True).stdout.strip()
    # One of the layer's, which is root's there.
    layered = subprocess.run([WORK + "/own-id", "-u"], capture_output=True, text=True).stdout.strip() or str(os.getuid())
    su = subprocess.run(["/usr/bin/su", "-c", "id -u"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return first([uid for uid in (own, layered) if uid != str(os.getuid())] + ["su worked" if su.returncode == 0 else None])

@probe("make a device", "identity")
def _():
    try:
        os.mknod(WORK + "/mem", 0o020666, os.makedev(1, 1))
        return "made"
    except OSError:
        return None

# Layers of an overlay ---------------------------------------------------------------------------
@probe("plant a whiteout, which hides a file of the layer below", "kernel")
def _():
    try:
        os.mknod(WORK + "/whiteout", 0o020000, 0)
        return "made"
    except OSError:
        return None

@probe("mark a folder opaque for an overlay of root's", "identity")
def _():
    try:
        os.setxattr(WORK, "trusted.overlay.opaque", b"y")
        return "marked"
    except OSError:
        return None

@probe("forge what an overlay keeps in attributes", "identity")
def _():
    def forged():
        for name in ("whiteout", "redirect", "metacopy", "origin", "impure"):
            try:
                os.setxattr(WORK + "/forged", "trusted.overlay." + name, b"y")
                yield name
            except OSError:
                pass
    open(WORK + "/forged", "w").close()
    return first(forged())

@probe("change the layer below by way of the workspace", ["files", "landlock"])
def _():
    import mmap
    for action in (
        lambda: open(WORK + "/layered", "a").write("changed"),
        lambda: os.chmod(WORK + "/layered", 0o777),
        lambda: os.link(WORK + "/layered", WORK + "/layered-too"),
        lambda: open(WORK + "/layered-too", "w").write("changed"),
        lambda: open(WORK + "/linked-too", "a").write("changed"),
        lambda: mmap.mmap(os.open(WORK + "/linked", os.O_RDWR), 6).write(b"LINKED"),
        lambda: os.rename(WORK + "/deep", WORK + "/moved"),
        lambda: os.rename(WORK + "/moved", WORK + "/deep"),
        lambda: os.unlink(WORK + "/own-id"),
    ):
        try:
            action()
        except OSError:
            pass
    # Whether it changed, the platform sees.
    return opened(HOST["layers"]["lower"] + "/layered", os.O_WRONLY)

@probe("open the folders that an overlay is made of", ["files", "landlock"])
def _(): return first(opened(p) for p in HOST["layers"]["own"])

@probe("read what changed in another workspace", ["files", "landlock"])
def _(): return first(opened(p) for p in HOST["layers"]["other"])

@probe("leave the workspace by way of ..", ["files", "landlock"])
def _():
    names = [os.path.basename(p) for p in HOST["layers"]["beside"]]
    # A folder that moves up while somebody stands in it.
    os.makedirs(WORK + "/stand/here", exist_ok=True)
    here = os.open(WORK + "/stand/here", os.O_RDONLY | os.O_DIRECTORY)
    os.rename(WORK + "/stand/here", WORK + "/here")
    def ways():
        for name in names:
            yield opened(f"{WORK}/../{name}")
            for up in ("..", "../..", "../../.."):
                try:
                    os.close(os.open(f"{up}/{name}", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here))
                    # Of its own there is one with that name.
                    yield None if os.path.exists(f"{WORK}/{name}") else f"{up}/{name}"
                except OSError:
                    pass
    return first(ways())

# Amounts ----------------------------------------------------------------------------------------
def in_child(program):
    """What a Python program in a process of its own prints, none when it was killed."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    return done.stdout.strip() or None

@probe("write a file beyond the limit", "file_size")
def _(): return in_child("import os, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); fd = os.open(%r, os.O_CREAT | os.O_RDWR)\nos.truncate(fd, %d); print('written')" % (WORK + "/huge", HOST["file_bytes"] + 1))

@probe("open more files than the limit", "file_size")
def _(): return in_child("import os\nfor n in range(%d): os.dup(0)\nprint('opened')" % HOST["open_files"])

@probe("run more processes than the limit", "process_count")
def _():
    program = """
import os, time
pids = []
try:
    for n in range(%d):
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
        pids.append(pid)
    print("forked", flush=True)
finally:
    for pid in pids:
        os.kill(pid, 9)
"""
    return in_child(program % HOST["processes"])

@probe("use more memory than the limit", "memory")
def _(): return in_child("x = bytearray(%d); print(len(x))" % (HOST["memory"] * 2))

@probe("hold more memory than the limit in files of memory", "memory")
def _():
    each = HOST["file_bytes"]
    program = "import os; print(sum(os.write(os.memfd_create('held'), bytes(%d)) for _ in range(%d)))"
    return in_child(program % (each, HOST["memory"] * 2 // each))

@probe("fill scratch space beyond the limit", "temp_size")
def _():
    try:
        with open(TMP + "/full", "wb") as file:
            for _ in range(HOST["temp_bytes"] // (1 << 20) + 1):
                file.write(b"x" * (1 << 20))
        return "filled"
    except OSError:
        return None
    finally:
        os.unlink(TMP + "/full")

@probe("leave a core dump", "file_size")
def _():
    in_child("import os; os.chdir(%r); os.abort()" % WORK)
    return first(glob.glob(WORK + "/core*"))

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
        PROBES.append((f"call {name}", "kernel", lambda number=number, args=args: call(number, *args)))
    PROBES.append(("call clone3", "kernel", lambda: call(435, 0, 0, allowed=(errno.ENOSYS,))))
    PROBES.append(("call by x32 numbers", "kernel", lambda: call(0x40000000 + 39, allowed=(errno.ENOSYS,))))

@probe("unshare -U (the program)", "kernel")
def _():
    return None if subprocess.run(["/usr/bin/unshare", "-Ur", "true"], capture_output=True).returncode else "worked"

@probe("push input into a terminal (TIOCSTI)", "kernel")
def _():
    # What the filter refuses is the request, whatever it is made of.
    return call(16, -1, 0x5412, 0) if os.uname().machine == "x86_64" else call(29, -1, 0x5412, 0)

@probe("have a controlling terminal", "devices")
def _(): return opened("/dev/tty", os.O_RDWR)

# Devices ----------------------------------------------------------------------------------------
@probe("find a dangerous device", "devices")
def _():
    allowed = {"core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}
    if OWN_SPACES:
        return first(sorted(set(os.listdir("/dev")) - allowed))
    return first(opened(p) for p in glob.glob("/dev/[a-z]*") if os.path.basename(p) not in allowed and not os.path.isdir(p))

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

@probe("use a network interface", "network")
def _():
    if OWN_SPACES:
        names = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
        return first(name for name in names if name != "lo")
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
        return "a socket was opened"
    except OSError:
        return None

@probe("connect to the host's loopback", "network")
def _(): return connected(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", HOST["port"]))

@probe("connect out by TCP, UDP, IPv6, to metadata", "network")
def _():
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    tries = [(socket.AF_INET, tcp, ("1.1.1.1", 443)), (socket.AF_INET, udp, ("8.8.8.8", 53)), (socket.AF_INET, tcp, ("169.254.169.254", 80)), (socket.AF_INET, tcp, (HOST["address"], HOST["port"])), (socket.AF_INET6, tcp, ("2606:4700::1111", 443)), (socket.AF_INET6, tcp, ("::1", HOST["port"]))]
    return first(connected(*t) for t in tries)

@probe("resolve a name", "network")
def _():
    try:
        return str(socket.getaddrinfo("example.com", 80))
    except OSError:
        return None

@probe("connect to an abstract socket of the host", ["network", "landlock"])
def _(): return connected(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + HOST["abstract"])

@probe("share memory, semaphores or queues with the host by number", ["processes", "kernel"])
def _():
    libc.shmat.restype = ctypes.c_long
    shm, queue, sem = HOST["messages"]
    found = ["memory" if libc.shmat(shm, None, 0o10000) != -1 else None]
    found.append("queue" if libc.msgctl(queue, 2, ctypes.create_string_buffer(512)) != -1 else None)
    found.append("semaphore" if libc.semctl(sem, 0, 12) != -1 else None)
    return first(found)

for family, number in {"NETLINK": 16, "PACKET": 17, "ALG": 38, "VSOCK": 40, "BLUETOOTH": 31, "XDP": 44, "KEY": 15, "CAN": 29, "RDS": 21, "TIPC": 30}.items():
    PROBES.append((f"open a socket of family {family}", "kernel", lambda number=number: call(41, number, 3, 0)))

@probe("open a raw socket", ["network", "kernel"])
def _():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()
        return "opened"
    except OSError:
        return None

# What is handed in ------------------------------------------------------------------------------
@probe("inherit a descriptor", ["files", "identity"])
def _():
    return first(INHERITED)

@probe("inherit an environment", ["files", "identity"])
def _():
    extra = set(os.environ) - {"HOME", "PATH", "LANG", "PWD", "ASKED", "LC_CTYPE"} - ({"TMPDIR"} if not OWN_SPACES else set())
    return f"{extra}" if extra or os.environ["ASKED"] != "for" else None

# Controls: what must work -----------------------------------------------------------------------
@probe("CONTROL: the workspace, /tmp and the home can be written", "control")
def _():
    for path in [WORK, TMP, HOME] + (["/dev/shm", "/var/tmp"] if OWN_SPACES else []):
        open(path + "/written", "w").write("x")

@probe("CONTROL: the gateway socket answers", "control")
def _():
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(SOCKET)
        return None if s.recv(5) == b"hello" else "silent"

@probe("CONTROL: loopback inside works where it is its own", "control")
def _():
    if not OWN_SPACES:
        return None
    server = socket.create_server(("127.0.0.1", 0))
    return None if connected(socket.AF_INET, socket.SOCK_STREAM, server.getsockname()) else "dead"

@probe("CONTROL: listed mounts, worker and generated files can be read", "control")
def _():
    import stat
    assert open(TOOL).read() == "tool" and open(WORKER).read() == "worker"
    assert open(HOST["context"]).read() == "context"
    assert stat.S_IMODE(os.stat(HOST["context"]).st_mode) == 0o600
    assert open(WORK + "/.git/config").read() == "config" and os.path.exists(WORK + "/.git/hooks/kept")
    os.rename(WORK + "/.git/index", WORK + "/.git/index2")

@probe("CONTROL: threads, pipes and children work, and terminals where they are its own", "control")
def _():
    import threading
    thread = threading.Thread(target=lambda: None)
    thread.start(); thread.join()
    OWN_SPACES and pty.openpty()
    return None if subprocess.run(["/bin/echo", "x"], capture_output=True).stdout == b"x\n" else "no"


# What must work is looked at before anything is broken.
for name, attacks, function in sorted(PROBES, key=lambda p: p[1] != "control"):
    if sys.argv[2:] and name not in sys.argv[2:]:
        continue
    attacks = attacks if isinstance(attacks, str) else " or ".join(attacks)
    if attacks in HOST["watched"]:
        # Going beyond would end the sandbox, and the other tries with it.
        print(attacks, "watched", name, "", sep="\t", flush=True)
        continue
    try:
        got = function()
    except Exception as error:
        got = f"the probe itself failed: {error!r}"
    print(attacks, "held" if got is None else "ESCAPED", name, "" if got is None else got, sep="\t", flush=True)
