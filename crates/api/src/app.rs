//! The program: its data folder, what it runs on, what is alive, how it looks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use lorikeet_data::Store;
use lorikeet_hub::HubCache;
use lorikeet_jobs::{InProcess, Jobs, Scope, devices};
use lorikeet_models::AdapterForm;
use lorikeet_registry::{Page, Registry, RunFilter, RunStatus};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::counting::Counts;
use crate::failure::{invalid, io};
use crate::library::Library;
use crate::loaded::Loaded;
use crate::places;
use crate::summary::{Summaries, summary};
use crate::switch::ServeSwitch;
use crate::wire::{
    Activity, ApiError, AppInfo, DeviceInfo, ErrorCode, Nothing, PathInfo, PathKind, PathRequest, Preferences,
};

/// The program over one data folder. Clones share it; it may be used from several threads, and several processes may have
/// the same folder open.
#[derive(Clone)]
pub struct App {
    pub(crate) library: Arc<Library>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) loaded: Arc<Loaded>,
    pub(crate) summaries: Arc<Summaries>,
    /// Where other programs keep models; `None` where this system has no such place.
    pub(crate) hub_cache: Option<HubCache>,
    switch: Arc<RwLock<Option<Arc<dyn ServeSwitch>>>>,
}

impl App {
    /// Opens the data folder `home` (else `LORIKEET_HOME`, else the platform's), making it if it is not there. No run is
    /// executed before [`App::start_worker`].
    ///
    /// # Errors
    /// `read_only` where the folder cannot be written, `disk_full`, or `unreadable_file` where its registry is damaged.
    pub fn open(home: Option<PathBuf>) -> Result<App, ApiError> {
        let home = places::data_folder(home)?;
        let hint = |error: ApiError| match error.code {
            ErrorCode::ReadOnly | ErrorCode::UnreadableFile if error.hint.is_none() => {
                error.with_hint(format!("choose a data folder you may write to, with `{}`", places::HOME_VARIABLE))
            }
            _ => error,
        };
        Self::open_at(&home).map_err(hint)
    }

    fn open_at(home: &Path) -> Result<App, ApiError> {
        for folder in ["", "datasets", "models", "runs"] {
            let path = home.join(folder);
            std::fs::create_dir_all(&path).map_err(io("create the folder", &path))?;
        }
        let registry = Arc::new(Registry::open(&home.join("registry.sqlite"))?);
        let store = Store::open(&home.join("datasets"))?;
        let library = Arc::new(Library { home: home.to_owned(), registry: registry.clone(), store });
        let jobs = Arc::new(Jobs::new(registry, library.clone(), Arc::new(InProcess)));
        jobs.recover()?;
        let (counts, loaded, summaries, switch) = (Arc::default(), Arc::default(), Arc::default(), Arc::default());
        let hub_cache = HubCache::of_environment(|name| std::env::var_os(name));
        Ok(App { library, jobs, counts, loaded, summaries, hub_cache, switch })
    }

    /// The same with another folder in which to look for models that other programs fetched.
    pub fn with_hub_cache(self, folder: PathBuf) -> App {
        App { hub_cache: Some(HubCache::at(folder)), ..self }
    }

    /// The data folder.
    pub fn home(&self) -> &Path {
        &self.library.home
    }

    /// Starts a thread that executes the runs `scope` says: the whole queue for a program that stays, one run for a command
    /// that waits for it.
    pub fn start_worker(&self, scope: Scope) {
        self.jobs.start_worker(scope);
    }

    /// Lets the run that works in this process save its state and wait, and ends the workers. Blocks until then.
    pub fn close(&self) {
        self.jobs.close();
    }

    /// Hands over the server of this door, which turns serving on and off.
    pub fn install_switch(&self, switch: Arc<dyn ServeSwitch>) {
        *self.switch.write().unwrap_or_else(PoisonError::into_inner) = Some(switch);
    }

    /// The server of this door, where it has one.
    pub(crate) fn switch(&self) -> Option<Arc<dyn ServeSwitch>> {
        self.switch.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.library.registry
    }
}

/// Body of `app_info`.
pub fn info(app: &App, _: Nothing) -> Result<AppInfo, ApiError> {
    Ok(about(app.home()))
}

/// What the program runs on, for a data folder that may not even open.
pub fn about(home: &Path) -> AppInfo {
    let kinds =
        RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()).with_cpu(CpuRefreshKind::nothing());
    let system = System::new_with_specifics(kinds).ok();
    let memory = system.as_ref().map_or((0, 0), |s| (s.total_memory(), s.available_memory()));
    let (writable, disk_available_bytes) = (is_writable(home), disk_available(home));
    let mut problems = Vec::new();
    if !writable {
        problems.push(format!("The data folder `{}` cannot be written; choose another one.", home.display()));
    }
    if writable && disk_available_bytes.is_some_and(|n| n < LOW_DISK_BYTES) {
        problems.push("Less than 1 GB is free on the disk of the data folder.".to_owned());
    }
    if !crate::starter::is_embedded() {
        problems.push("This build has no starter model.".to_owned());
    }
    AppInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        code_version: crate::CODE_VERSION.to_owned(),
        data_folder: home.display().to_string(),
        data_folder_writable: writable,
        disk_available_bytes: disk_available_bytes.unwrap_or_default(),
        devices: device_list(system.as_ref()),
        n_threads: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        memory_total_bytes: memory.0,
        memory_available_bytes: memory.1,
        problems,
    }
}

/// Free space below which a person should know.
const LOW_DISK_BYTES: u64 = 1 << 30;

/// The data folder that [`App::open`] would use.
///
/// # Errors
/// Where this system tells no folder for data.
pub fn data_folder(home: Option<PathBuf>) -> Result<PathBuf, ApiError> {
    places::data_folder(home)
}

fn device_list(system: Option<&System>) -> Vec<DeviceInfo> {
    let processor = system.and_then(|s| s.cpus().first()).map(|cpu| cpu.brand().trim().to_owned());
    let name = |id: &str| match id {
        "cpu" => processor.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "Processor".to_owned()),
        "cuda" => "NVIDIA graphics card".to_owned(),
        _ => "Apple graphics unit".to_owned(),
    };
    let listed = devices().into_iter();
    listed
        .map(|(place, why)| DeviceInfo {
            id: place.name().to_owned(),
            name: name(place.name()),
            available: why.is_none(),
            why,
        })
        .collect()
}

fn is_writable(folder: &Path) -> bool {
    folder.is_dir() && tempfile::tempfile_in(folder).is_ok()
}

/// Free space on the disk that holds `path`, for this user.
#[cfg(unix)]
pub(crate) fn disk_available(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|path| path.exists())?;
    let about = rustix::fs::statvfs(there).ok()?;
    Some(about.f_bavail * about.f_frsize)
}

/// Free space on the disk that holds `path`.
#[cfg(not(unix))]
pub(crate) fn disk_available(path: &Path) -> Option<u64> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let disks = sysinfo::Disks::new_with_refreshed_list().ok()?;
    let holding = disks.iter().filter(|disk| path.starts_with(disk.mount_point()));
    holding.max_by_key(|disk| disk.mount_point().as_os_str().len()).map(|disk| disk.available_space())
}

/// Body of `app_activity`.
pub fn activity(app: &App, _: Nothing) -> Result<Activity, ApiError> {
    let runs = app.registry().runs();
    let working = runs.list(&RunFilter::in_status(&[RunStatus::Running]), Page::first(1))?.rows.pop();
    let waiting = || runs.list(&RunFilter::in_status(&[RunStatus::Paused]), Page::first(1));
    let running = match working {
        Some(row) => Some(row),
        None => waiting()?.rows.pop(),
    };
    Ok(Activity {
        running: running.map(|row| summary(app, &row)).transpose()?,
        n_queued: runs.count(&RunFilter::in_status(&[RunStatus::Queued]))?,
        n_runs: runs.count(&RunFilter::default())?,
        n_datasets: app.registry().datasets().list(Page::first(1000))?.rows.len() as u64,
        serving: app.switch().is_some_and(|switch| switch.status().running),
    })
}

const PREFERENCES: &str = "preferences";

/// Body of `app_preferences`.
pub fn preferences(app: &App, _: Nothing) -> Result<Preferences, ApiError> {
    let stored = app.registry().settings().get(PREFERENCES)?;
    // Preferences of a newer version that this one cannot read are no reason to fail.
    Ok(stored.and_then(|value| serde_json::from_value(value).ok()).unwrap_or(Preferences { theme: Default::default() }))
}

/// Body of `app_set_preferences`.
pub fn set_preferences(app: &App, wanted: Preferences) -> Result<Preferences, ApiError> {
    let value = serde_json::to_value(wanted).map_err(|e| invalid(e.to_string()))?;
    app.registry().settings().set(PREFERENCES, &value)?;
    Ok(wanted)
}

/// Body of `path_inspect`.
pub fn path_inspect(_: &App, request: PathRequest) -> Result<PathInfo, ApiError> {
    let path = places::expand(&request.path)?;
    let about = std::fs::metadata(&path).ok();
    let n_bytes = about.as_ref().filter(|about| about.is_file()).map(|about| about.len());
    let kind = match about {
        None => PathKind::Missing,
        Some(about) if about.is_dir() => folder_kind(&path),
        Some(_) => file_kind(&path),
    };
    Ok(PathInfo { name: places::last_part(&path), path: path.display().to_string(), kind, n_bytes })
}

fn folder_kind(path: &Path) -> PathKind {
    let has = |name: &str| path.join(name).is_file();
    if AdapterForm::of(path).is_some() {
        PathKind::Adapter
    } else if has("config.json") && (has("model.safetensors") || has("model.safetensors.index.json"))
        || matches!(lorikeet_models::gguf::locate(path), Ok(Some(_)))
    {
        PathKind::Model
    } else {
        PathKind::Other
    }
}

fn file_kind(path: &Path) -> PathKind {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        _ if AdapterForm::of(path).is_some() => PathKind::Adapter,
        "jsonl" | "ndjson" | "json" | "csv" | "tsv" | "tab" | "txt" | "text" | "md" => PathKind::Data,
        "safetensors" | "gguf" => PathKind::Model,
        _ => PathKind::Other,
    }
}
