//! What is done to the driver, phase by phase; each runs in a process of its own.

mod buffers;
mod devices;
mod odd;
mod opens;
mod stress;

use super::audit;
use super::bed::Bed;
use super::inf::Inf;
use super::options::Options;
use super::report::{Finding, PhaseResult};
use super::traffic::{self, Codes};
use crate::nt::app::Op;
use crate::nt::status::NtStatus;
use crate::sched::{self, Lock};
use crate::verify::{self, DebugOutput, Exit, LowResources};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A part of the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Phase {
    /// Load, add, start, stop, restart, remove, unload.
    Start,
    /// Programs read, write, control, cancel, close, and are killed.
    Stress,
    /// Random control codes: at first any, then those the driver took and their neighbors, and controls that succeeded with a change.
    Codes,
    /// Requests that file systems serve: information, attributes, security, directories, locks, file system controls.
    Files,
    /// Zero-length and odd buffers; addresses nobody probed.
    Buffers,
    /// Opens of names below the device, with odd options, many at a time.
    Opens,
    /// Requests no program sends: without a file, for paging, before the start, during a stop.
    Odd,
    /// Stop, restart, removal and surprise removal while programs are at work.
    Pnp,
    /// Sleep and wake while programs are at work.
    Power,
    /// Everything at once.
    Chaos,
    /// The stress with every completion of a lower driver made to come later.
    Pending,
    /// The stress with calls failing at random for want of resources.
    Low,
    /// Start-up with each call that can fail failing in turn.
    Sweep,
}

impl Phase {
    /// All phases, in the order they are run.
    pub const ALL: [Self; 13] = [
        Self::Start,
        Self::Stress,
        Self::Codes,
        Self::Files,
        Self::Buffers,
        Self::Opens,
        Self::Odd,
        Self::Pnp,
        Self::Power,
        Self::Chaos,
        Self::Pending,
        Self::Low,
        Self::Sweep,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stress => "stress",
            Self::Codes => "codes",
            Self::Files => "files",
            Self::Buffers => "buffers",
            Self::Opens => "opens",
            Self::Odd => "odd",
            Self::Pnp => "pnp",
            Self::Power => "power",
            Self::Chaos => "chaos",
            Self::Pending => "pending",
            Self::Low => "low",
            Self::Sweep => "sweep",
        }
    }
}

/// What was done, and how often.
#[derive(Default)]
pub(super) struct Counts(Lock<BTreeMap<&'static str, u64>>);

impl Counts {
    /// Adds to a count.
    pub(super) fn add(&self, what: &'static str, how_many: u64) {
        if how_many != 0 {
            *self.0.lock().entry(what).or_default() += how_many;
        }
    }

    fn taken(&self) -> BTreeMap<String, u64> {
        let counts = self.0.lock();
        counts.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()
    }
}

type Mix = fn(&mut fastrand::Rng, &[u32]) -> Op;

/// What the threads of a phase share.
pub(super) struct Session {
    pub(super) bed: Lock<Option<Bed>>,
    pub(super) counts: Arc<Counts>,
    pub(super) codes: Arc<Codes>,
    /// Which requests programs send.
    pub(super) mix: Mix,
    /// They also send what has succeeded again, with a change.
    pub(super) replays: bool,
    pub(super) seed: u64,
    /// Requests may be sent at DISPATCH_LEVEL.
    pub(super) dispatch: bool,
    /// Requests may be sent as other drivers send them.
    pub(super) kernel: bool,
    /// What the device did not come back from.
    failed: Lock<Option<String>>,
    /// When the phase should be over.
    deadline: sched::Time100ns,
    /// Programs should close their handles and wait.
    pub(super) hold: AtomicBool,
    /// Programs do nothing at all: Windows freezes them before the system sleeps.
    frozen: AtomicBool,
    notes: Lock<Vec<String>>,
}

impl Session {
    /// True once the phase's time is up.
    pub(super) fn is_over(&self) -> bool {
        sched::now() >= self.deadline
    }

    /// Half of the phase's time is up.
    pub(super) fn is_half_over(&self) -> bool {
        // The deadline counts from about the start of the machine.
        sched::now() * 2 >= self.deadline
    }

    /// A path to the driver; none while there is no device.
    pub(super) fn path(&self, rng: &mut fastrand::Rng) -> Option<String> {
        let bed = self.bed.lock();
        let paths = bed.as_ref()?.paths();
        drop(bed);
        (!paths.is_empty()).then(|| paths[rng.usize(0..paths.len())].clone())
    }

    /// Uses the stack. Its lock is not held while drivers are called: the stack is taken out meanwhile.
    pub(super) fn with_bed<R>(&self, f: impl FnOnce(&mut Bed) -> R) -> Option<R> {
        let mut bed = self.bed.lock().take()?;
        let result = f(&mut bed);
        *self.bed.lock() = Some(bed);
        Some(result)
    }

    /// The device did not come back from something it has to come back from.
    pub(super) fn fail(&self, reason: String) {
        self.failed.lock().get_or_insert(reason);
    }

    /// Something worth knowing; once each.
    pub(super) fn note(&self, text: String) {
        let mut notes = self.notes.lock();
        if notes.len() < 16 && !notes.contains(&text) {
            notes.push(text);
        }
    }

    /// A status worth knowing.
    pub(super) fn note_status(&self, what: &str, status: NtStatus) {
        self.note(format!("{what} gave {status}"));
    }

    /// A random source of a thread, from the phase's seed.
    pub(super) fn rng(&self, thread: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ thread)
    }

    /// Freezes the programs, or lets them go on.
    pub(super) fn freeze(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::Release);
    }

    /// For programs: comes back when they are not frozen.
    pub(super) fn while_frozen(&self) {
        while self.frozen.load(Ordering::Acquire) {
            stress::pause();
        }
    }

    /// Whether programs are to keep away from the device for now.
    pub(super) fn is_held(&self) -> bool {
        self.hold.load(Ordering::Acquire)
    }
}

/// The process of a phase: runs it, prints its result on standard output, and gives the exit code.
pub(super) fn run(options: &Options, phase: Phase) -> Exit {
    configure(options, phase);
    let counts = Arc::new(Counts::default());
    let result = PhaseResult {
        phase: phase.name().to_owned(),
        seed: options.seed,
        failed_call: (phase == Phase::Sweep && options.fail_call != 0).then_some(options.fail_call),
        ..PhaseResult::default()
    };
    let (at_end, counted) = (result.clone(), Arc::clone(&counts));
    verify::on_end(move |report| {
        let finding = Finding::of(report);
        let exit = if report.severity == verify::Severity::Unimplemented {
            Exit::Unimplemented
        } else {
            Exit::Violation
        };
        let mut result = at_end;
        result.counts = counted.taken();
        result.finding = Some(finding);
        result.exit = exit as u8;
        print(&mut result);
        exit as i32
    });
    let mut result = result;
    let mut exit = match execute(options, phase, &counts, &mut result) {
        Ok(()) => Exit::Clean,
        Err(Trouble::NotStarted(reason)) => {
            result.not_started = Some(reason);
            Exit::NotStarted
        }
        Err(Trouble::Failed(text)) => {
            result.finding = Some(Finding::of_device(text));
            Exit::Violation
        }
        Err(Trouble::NotUnloaded(reason)) => {
            result.notes.push(reason);
            result.counts = counts.taken();
            print(&mut result);
            return Exit::Clean;
        }
    };
    result.leaks = verify::leak_report().lines().collect();
    if !result.leaks.is_empty() && exit != Exit::Violation {
        exit = Exit::Leaks;
    }
    result.counts = counts.taken();
    result.exit = exit as u8;
    print(&mut result);
    exit
}

/// Why a phase did not come to its end.
enum Trouble {
    /// The driver does not load, or the device does not start.
    NotStarted(String),
    /// The device did not come back, or the driver does not go.
    Failed(String),
    /// The driver cannot be unloaded, so what it leaves behind is unknown.
    NotUnloaded(String),
}

/// Takes everything down.
fn down(bed: Bed) -> Result<(), Trouble> {
    if let Some(reason) = bed.cannot_unload() {
        return match bed.unplug_only() {
            Ok(()) => Err(Trouble::NotUnloaded(reason)),
            Err(reason) => Err(Trouble::Failed(reason)),
        };
    }
    bed.down().map_err(Trouble::Failed)
}

/// Numbers in the images that may be control codes.
fn hints(options: &Options) -> Vec<u32> {
    options
        .over
        .iter()
        .chain([&options.image])
        .filter_map(|path| std::fs::read(path).ok())
        .flat_map(|file| audit::control_codes(&file))
        .collect()
}

fn print(result: &mut PhaseResult) {
    result.failable_calls = Some(verify::failable_calls()).filter(|calls| *calls != 0);
    if let Some(failure) = verify::failures().first()
        && result.failed_call.is_some()
    {
        result.failed_site = std::iter::once(failure.site.to_owned())
            .chain(failure.stack.iter().cloned())
            .collect();
    }
    match serde_json::to_string(result) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("drydock: the result of a phase cannot be written: {error}"),
    }
}

fn configure(options: &Options, phase: Phase) {
    verify::set_debug_output(if options.debug_output {
        DebugOutput::Stderr
    } else {
        DebugOutput::Discard
    });
    let mut settings = verify::settings().clone();
    settings.verifier_on = true;
    settings.track_requests = true;
    settings.kmdf_minor = options.kmdf;
    settings.exit_patience = options.patience;
    settings.force_pending = phase == Phase::Pending;
    settings.low_resources = match phase {
        Phase::Sweep if options.fail_call == 0 => LowResources::Count,
        Phase::Sweep => LowResources::Nth(options.fail_call),
        _ => LowResources::Never,
    };
    verify::configure(settings);
    verify::start_watchdog(i64::from(options.watchdog) * 10_000_000);
}

fn execute(
    options: &Options,
    phase: Phase,
    counts: &Arc<Counts>,
    result: &mut PhaseResult,
) -> Result<(), Trouble> {
    let inf = match &options.inf {
        Some(path) => Some(Inf::read(path, &options.image).map_err(Trouble::NotStarted)?),
        None => None,
    };
    let inf = inf.as_ref();
    if phase == Phase::Sweep {
        let mut bed = match Bed::up(options, inf) {
            Ok(bed) => bed,
            // A call failed, so the start-up may, and everything was taken down again.
            Err(reason) if options.fail_call != 0 => {
                result.notes.push(reason);
                return Ok(());
            }
            Err(reason) => return Err(Trouble::NotStarted(reason)),
        };
        let around = devices::once_around(&mut bed, counts);
        down(bed)?;
        return match around {
            Err(reason) if options.fail_call == 0 => Err(Trouble::Failed(reason)),
            _ => Ok(()),
        };
    }
    let bed = if phase == Phase::Odd && options.is_kernel() {
        odd::before_start(options, inf, counts)
    } else {
        Bed::up(options, inf)
    };
    let bed = bed.map_err(Trouble::NotStarted)?;
    let deadline = sched::now() + i64::from(options.seconds) * 10_000_000;
    let session = Arc::new(Session {
        bed: Lock::new(Some(bed)),
        counts: Arc::clone(counts),
        codes: Arc::new(Codes::new(hints(options))),
        mix: match phase {
            Phase::Codes => traffic::control,
            Phase::Files => traffic::of_file_systems,
            _ => traffic::request,
        },
        replays: phase == Phase::Codes,
        seed: options.seed,
        dispatch: options.dispatch,
        kernel: options.is_kernel(),
        failed: Lock::new(None),
        deadline,
        hold: AtomicBool::new(false),
        frozen: AtomicBool::new(false),
        notes: Lock::new(Vec::new()),
    });
    match phase {
        Phase::Start => {
            let around = session.with_bed(|bed| devices::once_around(bed, counts));
            if let Some(Err(reason)) = around {
                session.fail(reason);
            }
        }
        Phase::Stress | Phase::Pending => stress::run(&session, 3),
        Phase::Codes | Phase::Files => stress::run(&session, 2),
        Phase::Low => stress::low_resources(&session),
        Phase::Buffers => buffers::run(&session),
        Phase::Opens => opens::run(&session),
        Phase::Odd => odd::run(&session),
        Phase::Pnp => devices::pnp(&session),
        Phase::Power => devices::power(&session),
        Phase::Chaos => devices::chaos(&session),
        Phase::Sweep => {}
    }
    let taken = session.codes.known();
    if phase == Phase::Codes {
        let shown: Vec<String> = taken
            .iter()
            .take(12)
            .map(|code| format!("{code:#010x}"))
            .collect();
        let text = format!(
            "codes the driver knows: {}",
            if shown.is_empty() {
                "none found".to_owned()
            } else {
                shown.join(" ")
            }
        );
        session.note(text);
    }
    result.notes = session.notes.lock().clone();
    let bed = session.bed.lock().take();
    let failed = session.failed.lock().take();
    if let Some(bed) = bed {
        match down(bed) {
            // That the device did not come back says more than that it does not go.
            Err(Trouble::Failed(_)) if failed.is_some() => {}
            other => other?,
        }
    }
    match failed {
        Some(reason) => Err(Trouble::Failed(reason)),
        None => Ok(()),
    }
}
