//! The system-call filter: a deny-list answered with `EPERM`, the same for every sandbox but for the
//! sockets it leaves.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

/// `open_tree_attr`, newer than the C library's headers; one number on every architecture.
const SYS_OPEN_TREE_ATTR: i64 = 467;
/// First number of the x32 calls, which share the 64-bit architecture tag but not its numbers.
const X32_FIRST: u32 = 0x4000_0000;

/// The space of processes and networks that a filtered program lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FilterScope {
    /// Its own spaces: sockets of its own loopback are harmless, and it sees no process but its own.
    OwnSpaces,
    /// Those of the host: no socket but of family UNIX, no memory, semaphores or queues that programs share by
    /// a number or a name, and no limits set for other processes.
    HostSpaces,
}

/// The compiled filter.
pub(crate) fn filter_program(scope: FilterScope) -> Result<BpfProgram, seccompiler::BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let deny = SeccompFilter::new(
        deny_rules(scope)?,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        arch,
    )?;
    let deny: BpfProgram = deny.try_into()?;
    let mut program = filter_prelude().to_vec();
    program.extend(deny);
    Ok(program)
}

/// The filter for own spaces as `bwrap --seccomp` wants it, compiled once per process.
pub(crate) fn filter_bytes() -> Result<&'static [u8], seccompiler::BackendError> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(bytes) = BYTES.get() {
        return Ok(bytes);
    }
    let program = filter_program(FilterScope::OwnSpaces)?;
    let bytes = program.iter().flat_map(instruction_bytes).collect();
    Ok(BYTES.get_or_init(|| bytes))
}

/// What the rule tables of [`seccompiler`] cannot say: `clone3` hides its flags behind a pointer, so
/// it must look absent (`ENOSYS`) for libraries to fall back to `clone`; and x32 numbers would slip
/// past a list of 64-bit ones. Falls through to the deny-list, which kills foreign architectures.
fn filter_prelude() -> [sock_filter; 4] {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_GREATER_EQUAL: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const ERRNO: u32 = 0x0005_0000;
    let op = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    [
        op(LOAD_WORD, 0, 0, 0),
        op(JUMP_EQUAL, 1, 0, libc::SYS_clone3 as u32),
        // Past the refusal when below the x32 range.
        op(JUMP_GREATER_EQUAL, 0, 1, X32_FIRST),
        op(RETURN, 0, 0, ERRNO | libc::ENOSYS as u32),
    ]
}

fn instruction_bytes(op: &sock_filter) -> [u8; 8] {
    let [c0, c1] = op.code.to_ne_bytes();
    let [k0, k1, k2, k3] = op.k.to_ne_bytes();
    [c0, c1, op.jt, op.jf, k0, k1, k2, k3]
}

type SyscallRules = BTreeMap<i64, Vec<SeccompRule>>;

fn deny_rules(scope: FilterScope) -> Result<SyscallRules, seccompiler::BackendError> {
    let mut rules: SyscallRules = ALWAYS.iter().map(|call| (*call, Vec::new())).collect();
    rules.extend(ONLY_X86_64.iter().map(|call| (*call, Vec::new())));

    let user_namespace = libc::CLONE_NEWUSER as u64;
    rules.insert(
        libc::SYS_clone,
        vec![rule_when(&[(
            0,
            SeccompCmpOp::MaskedEq(user_namespace),
            user_namespace,
        )])?],
    );
    rules.insert(
        libc::SYS_ioctl,
        vec![
            rule_when(&[(1, SeccompCmpOp::Eq, libc::TIOCSTI)])?,
            rule_when(&[(1, SeccompCmpOp::Eq, libc::TIOCLINUX)])?,
        ],
    );
    let families: &[libc::c_int] = match scope {
        FilterScope::OwnSpaces => &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6],
        FilterScope::HostSpaces => &[libc::AF_UNIX],
    };
    let foreign_family: Vec<_> = families
        .iter()
        .map(|family| (0, SeccompCmpOp::Ne, *family as u64))
        .collect();
    rules.insert(libc::SYS_socket, vec![rule_when(&foreign_family)?]);
    rules.insert(libc::SYS_socketpair, vec![rule_when(&foreign_family)?]);
    // A character device 0/0 needs no privilege and hides a file of the layer below an overlay.
    rules.insert(libc::SYS_mknodat, device_rules(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_mknod, device_rules(1)?);
    if scope == FilterScope::HostSpaces {
        // Whoever sets another's limits can end it.
        rules.insert(
            libc::SYS_prlimit64,
            vec![rule_when(&[(0, SeccompCmpOp::Ne, 0)])?],
        );
        rules.extend(HOST_MESSAGES.iter().map(|call| (*call, Vec::new())));
    }
    Ok(rules)
}

/// Refuses devices, whose kind is told in the mode, argument `at`.
fn device_rules(at: u8) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let kind = |kind: libc::mode_t| {
        let is_kind = SeccompCmpOp::MaskedEq(u64::from(libc::S_IFMT));
        rule_when(&[(at, is_kind, u64::from(kind))])
    };
    Ok(vec![kind(libc::S_IFCHR)?, kind(libc::S_IFBLK)?])
}

/// A rule that holds when every condition on the low words of the arguments does.
fn rule_when(
    conditions: &[(u8, SeccompCmpOp, u64)],
) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = conditions
        .iter()
        .map(|(arg, op, value)| {
            SeccompCondition::new(*arg, SeccompCmpArgLen::Dword, op.clone(), *value)
        })
        .collect::<Result<_, _>>()?;
    SeccompRule::new(conditions)
}

const ALWAYS: &[i64] = &[
    // Looking into or steering other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    // Large kernel surfaces with a history of holes.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Mounts, old calls and new, and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    SYS_OPEN_TREE_ATTR,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Files by handle escape any mount.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // Machine-wide state.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_acct,
    libc::SYS_personality,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_syslog,
];

/// What programs of one space share by a number or a name, apart from files.
const HOST_MESSAGES: &[i64] = &[
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_shmdt,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_mq_timedsend,
    libc::SYS_mq_timedreceive,
    libc::SYS_mq_notify,
    libc::SYS_mq_getsetattr,
];

#[cfg(target_arch = "x86_64")]
const ONLY_X86_64: &[i64] = &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const ONLY_X86_64: &[i64] = &[];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    /// Runs the filter as the kernel would on call `nr` and returns its verdict.
    fn verdict(scope: FilterScope, nr: u32, args: [u64; 6]) -> u32 {
        let program = filter_program(scope).unwrap();
        let bytes: Vec<u8> = program.iter().flat_map(instruction_bytes).collect();
        let mut data = Vec::new();
        data.extend(nr.to_ne_bytes());
        let arch: u32 = if cfg!(target_arch = "x86_64") {
            0xC000_003E
        } else {
            0xC000_00B7
        };
        data.extend(arch.to_ne_bytes());
        data.extend(0u64.to_ne_bytes());
        data.extend(args.iter().flat_map(|a| a.to_ne_bytes()));
        let (mut at, mut acc) = (0usize, 0u32);
        loop {
            let op = &bytes[at * 8..at * 8 + 8];
            let code = u16::from_ne_bytes([op[0], op[1]]);
            let k = u32::from_ne_bytes([op[4], op[5], op[6], op[7]]);
            at += 1;
            let taken = match code {
                0x20 => {
                    let k = k as usize;
                    acc = u32::from_ne_bytes(data[k..k + 4].try_into().unwrap());
                    continue;
                }
                0x54 => {
                    acc &= k;
                    continue;
                }
                0x05 => {
                    at += k as usize;
                    continue;
                }
                0x06 => return k,
                0x15 => acc == k,
                0x25 => acc > k,
                0x35 => acc >= k,
                other => panic!("unknown instruction {other:#x}"),
            };
            at += usize::from(if taken { op[2] } else { op[3] });
        }
    }

    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = 0x0005_0000 | libc::EPERM as u32;
    const ENOSYS: u32 = 0x0005_0000 | libc::ENOSYS as u32;

    #[test]
    fn refuses_exactly_the_listed_calls() {
        let cases: &[(i64, [u64; 6], u32)] = &[
            (libc::SYS_read, [0; 6], ALLOW),
            (libc::SYS_execve, [0; 6], ALLOW),
            (
                libc::SYS_clone,
                [libc::SIGCHLD as u64, 0, 0, 0, 0, 0],
                ALLOW,
            ),
            (
                libc::SYS_clone,
                [(libc::CLONE_NEWUSER | libc::SIGCHLD) as u64, 0, 0, 0, 0, 0],
                EPERM,
            ),
            (libc::SYS_clone3, [0; 6], ENOSYS),
            (i64::from(X32_FIRST) + 521, [0; 6], ENOSYS),
            (libc::SYS_ptrace, [0; 6], EPERM),
            (libc::SYS_mount, [0; 6], EPERM),
            (SYS_OPEN_TREE_ATTR, [0; 6], EPERM),
            (libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0], EPERM),
            // The kernel looks at the low word only, so must the filter.
            (
                libc::SYS_ioctl,
                [0, libc::TIOCSTI | 1 << 40, 0, 0, 0, 0],
                EPERM,
            ),
            (libc::SYS_ioctl, [0, libc::TCGETS, 0, 0, 0, 0], ALLOW),
            (
                libc::SYS_socket,
                [libc::AF_UNIX as u64, 1, 0, 0, 0, 0],
                ALLOW,
            ),
            (
                libc::SYS_socket,
                [libc::AF_INET6 as u64, 1, 0, 0, 0, 0],
                ALLOW,
            ),
            (
                libc::SYS_socket,
                [libc::AF_NETLINK as u64, 1, 0, 0, 0, 0],
                EPERM,
            ),
            (
                libc::SYS_socket,
                [libc::AF_VSOCK as u64, 1, 0, 0, 0, 0],
                EPERM,
            ),
        ];
        for (nr, args, expected) in cases {
            let found = verdict(FilterScope::OwnSpaces, *nr as u32, *args);
            assert_eq!(found, *expected, "call {nr} {args:x?}");
        }
    }

    #[test]
    fn refuses_more_where_it_shares_spaces_with_the_host() {
        let (file, whiteout) = (libc::S_IFREG as u64, libc::S_IFCHR as u64 | 0o600);
        let inet = [libc::AF_INET as u64, 1, 0, 0, 0, 0];
        let differing = [
            (libc::SYS_mknodat, [0, 0, file, 0, 0, 0], ALLOW, ALLOW),
            (libc::SYS_mknodat, [0, 0, whiteout, 0, 0, 0], EPERM, EPERM),
            (libc::SYS_socket, inet, ALLOW, EPERM),
            (libc::SYS_prlimit64, [0; 6], ALLOW, ALLOW),
            (libc::SYS_prlimit64, [1, 0, 0, 0, 0, 0], ALLOW, EPERM),
        ];
        let messages = HOST_MESSAGES
            .iter()
            .map(|call| (*call, [0; 6], ALLOW, EPERM));
        let differing = differing.into_iter().chain(messages);
        for (nr, args, own, host) in differing {
            let found = |scope| verdict(scope, nr as u32, args);
            assert_eq!(found(FilterScope::OwnSpaces), own, "call {nr} {args:x?}");
            assert_eq!(found(FilterScope::HostSpaces), host, "call {nr} {args:x?}");
        }
    }
}
