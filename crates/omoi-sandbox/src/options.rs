//! What can be configured of sandboxes.

use std::path::PathBuf;
use std::time::Duration;

use omoi_domain::config::{Config, ConfigKey, ListItems, ValueKind};
use omoi_domain::copied_file::CopyRow;
use omoi_domain::sandbox::SandboxRung;
use omoi_domain::{choice, config_keys};

use crate::container::ImageSource;
use crate::policy::SandboxLimits;
use crate::property::{Property, SandboxFloor};

const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

config_keys! {
    /// Keys of the sandboxes.
    SANDBOX_KEYS of SANDBOX = "sandbox", "SANDBOX_";

    /// Which sandbox to use.
    SANDBOX_PROVIDER: SandboxProvider = ConfigKey::choice(&SANDBOX, "provider", "auto")
        .closed_to_repository();
    /// Sockets of container engines, the first that answers is used; empty for the usual ones of Podman and Docker.
    SANDBOX_CONTAINER_SOCKETS: Vec<PathBuf> =
        ConfigKey::new(&SANDBOX, "container_sockets", ValueKind::List(ListItems::Paths), "")
            .closed_to_repository();
    /// What containers are made of in place of this machine's own programs: an image that the engine has, by name, or the
    /// absolute path of an archive (tar) of a whole file system. Nothing is downloaded. Other kinds of sandboxes are not
    /// used then.
    SANDBOX_IMAGE: Option<String> = ConfigKey::new(&SANDBOX, "image", ValueKind::Text, "")
        .closed_to_repository();
    /// What a sandbox must hold, or work in it is refused.
    SANDBOX_FLOOR: Vec<String> =
        ConfigKey::new(&SANDBOX, "floor", ValueKind::List(ListItems::Words(Property::NAMES)), "files,identity,processes,network")
            .closed_to_repository();
    /// Further folders every sandbox may read.
    SANDBOX_READ_ONLY: Vec<PathBuf> =
        ConfigKey::new(&SANDBOX, "read_only", ValueKind::List(ListItems::Paths), "")
            .outside_home_for_repository();
    /// Memory of one sandbox.
    SANDBOX_MEMORY: u64 =
        ConfigKey::new(&SANDBOX, "memory_bytes", ValueKind::bytes_range(64 * MIB, 4 * TIB), "4 GiB")
            .lowered_by_repository();
    /// Processes in one sandbox.
    SANDBOX_PROCESSES: u32 =
        ConfigKey::new(&SANDBOX, "processes", ValueKind::int_range(8, 100_000), "512")
            .lowered_by_repository();
    /// Processor cores of one sandbox.
    SANDBOX_CPUS: f64 =
        ConfigKey::new(&SANDBOX, "cpus", ValueKind::Float { min: 0.1, max: 1_024.0 }, "2")
            .lowered_by_repository();
    /// The largest file a sandbox may write.
    SANDBOX_FILE_SIZE: u64 =
        ConfigKey::new(&SANDBOX, "file_bytes", ValueKind::bytes_range(MIB, 4 * TIB), "2 GiB")
            .lowered_by_repository();
    /// Files one process in a sandbox may hold open.
    SANDBOX_OPEN_FILES: u32 =
        ConfigKey::new(&SANDBOX, "open_files", ValueKind::int_range(64, 1_000_000), "4096")
            .lowered_by_repository();
    /// What the temporary folder of a sandbox may hold.
    SANDBOX_TEMP: u64 =
        ConfigKey::new(&SANDBOX, "temp_bytes", ValueKind::bytes_range(MIB, TIB), "1 GiB")
            .lowered_by_repository();
    /// What the workspace of a sandbox may take on disk; the watcher stops it beyond.
    SANDBOX_WORKSPACE: u64 =
        ConfigKey::new(&SANDBOX, "workspace_bytes", ValueKind::bytes_range(MIB, 64 * TIB), "10 GiB")
            .lowered_by_repository();
    /// What prepared checkouts and installed packages may take on disk; the oldest go first.
    SANDBOX_LAYERS: u64 =
        ConfigKey::new(&SANDBOX, "layers_bytes", ValueKind::bytes_range(0, 64 * TIB), "20 GiB")
            .closed_to_repository();
    /// Commands that install the packages of a project, or `none`; empty goes by its lock files. In a file they may
    /// stand by themselves, as `setup: [make deps]`.
    SANDBOX_SETUP: Vec<String> =
        ConfigKey::new(&SANDBOX, "setup", ValueKind::List(ListItems::Entries("commands")), "");
    /// Files of a project's checkout that are not committed and that its sandboxes get all the same: `path` in every
    /// workspace, `secret` for agents at planned tasks alone, masked wherever text is kept.
    SANDBOX_COPY: Vec<CopyRow> =
        ConfigKey::new(&SANDBOX, "copy", ValueKind::List(ListItems::CopyRows), "")
            .closed_to_repository();
    /// How long installing packages may take.
    SANDBOX_SETUP_TIME: Duration =
        ConfigKey::new(&SANDBOX, "setup_seconds", ValueKind::TIME, "900").lowered_by_repository();
}

choice! {
    /// Which sandbox to use.
    SandboxProvider {
        /// The best one that works here.
        Auto = "auto",
        /// Namespaces made by bubblewrap.
        Bubblewrap = "bubblewrap",
        /// Containers of an engine that speaks Docker's interface.
        Container = "container",
        /// Landlock and a filter of system calls around a process of the host.
        Landlock = "landlock",
        /// A plain process, which holds nothing back.
        Process = "process",
    }
}

/// Processor cores in thousandths.
pub fn cpu_millicores(cpus: f64) -> u64 {
    (cpus * 1_000.0) as u64
}

/// Which sandboxes work runs in.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// The rung to use; the best one that works where none is named.
    pub wanted: Option<SandboxRung>,
    /// Where container engines listen; the usual places where none is named.
    pub container_sockets: Vec<PathBuf>,
    /// What containers are made of; this host's files where none is named.
    pub image: Option<ImageSource>,
    /// What a sandbox must hold, or work in it is refused.
    pub floor: SandboxFloor,
    /// Amounts of one sandbox.
    pub limits: SandboxLimits,
    /// Further folders every sandbox may read.
    pub read_only: Vec<PathBuf>,
    /// Bytes of prepared checkouts and packages that are kept.
    pub layers_bytes: u64,
    /// Commands that install packages, for every repository.
    pub setup: Vec<String>,
    /// How long installing packages may take.
    pub setup_time: Duration,
    /// Files that are copied into sandboxes.
    pub copy: Vec<CopyRow>,
}

impl SandboxOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        let names = config.get(&SANDBOX_FLOOR);
        let is_named = |property: &Property| names.iter().any(|name| name == property.as_str());
        let floor = Property::ALL.iter().copied().filter(is_named);
        Self {
            wanted: match config.get(&SANDBOX_PROVIDER) {
                SandboxProvider::Auto => None,
                SandboxProvider::Bubblewrap => Some(SandboxRung::Bubblewrap),
                SandboxProvider::Container => Some(SandboxRung::Container),
                SandboxProvider::Landlock => Some(SandboxRung::Landlock),
                SandboxProvider::Process => Some(SandboxRung::Process),
            },
            container_sockets: config.get(&SANDBOX_CONTAINER_SOCKETS),
            image: config
                .get(&SANDBOX_IMAGE)
                .as_deref()
                .map(ImageSource::from_text),
            floor: SandboxFloor(floor.collect()),
            limits: SandboxLimits {
                memory_bytes: config.get(&SANDBOX_MEMORY),
                processes_max: config.get(&SANDBOX_PROCESSES).into(),
                cpu_millicores: cpu_millicores(config.get(&SANDBOX_CPUS)),
                file_bytes_max: config.get(&SANDBOX_FILE_SIZE),
                open_files_max: config.get(&SANDBOX_OPEN_FILES).into(),
                temp_bytes: config.get(&SANDBOX_TEMP),
                workspace_bytes: config.get(&SANDBOX_WORKSPACE),
            },
            read_only: config.get(&SANDBOX_READ_ONLY),
            layers_bytes: config.get(&SANDBOX_LAYERS),
            setup: config.get(&SANDBOX_SETUP),
            setup_time: config.get(&SANDBOX_SETUP_TIME),
            copy: config.get(&SANDBOX_COPY),
        }
    }
}
