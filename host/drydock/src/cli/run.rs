//! `drydock run`: the shortest way from images to a report.

use crate::loader;
use crate::nt;
use crate::sched::{self, Mode};
use crate::stack::{self, Stack};
use crate::verify::{self, Exit, LowResources};
use std::path::PathBuf;

/// What to run, and how.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Driver images, loaded in this order. With --device, the first is the function driver and the others are filters
    /// above it.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Make a device with this hardware id, start it, and remove it before the drivers are unloaded.
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// The KMDF version whose function table the images bind to.
    #[arg(long, value_name = "1.N", default_value = "1.33", value_parser = kmdf_minor)]
    kmdf: u32,
    /// Run with the framework verifier on (VerifierOn = 1).
    #[arg(long)]
    verifier: bool,
    /// The verifier treats the driver as one built for an older framework.
    #[arg(long, requires = "verifier")]
    down_level: bool,
    /// Go on after a BREAK of the framework (DbgBreakOnError = 0).
    #[arg(long)]
    go_on_after_break: bool,
    /// Refuse an image that imports something drydock does not have, instead of stopping when it is called.
    #[arg(long)]
    strict: bool,
    /// One thread at a time, as on a machine with one processor.
    #[arg(long)]
    one_processor: bool,
    /// Complete what lower drivers complete later, from another thread: IoCallDriver gives STATUS_PENDING.
    #[arg(long)]
    force_pending: bool,
    /// Make one in so many of the calls that can fail for want of resources fail.
    #[arg(long, value_name = "ONE_IN", conflicts_with = "fail_call")]
    low_resources: Option<u32>,
    /// Which of them, for --low-resources.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 1,
        requires = "low_resources"
    )]
    seed: u64,
    /// Make the call with this number (from 1) fail, of those that can fail for want of resources.
    #[arg(long, value_name = "NUMBER")]
    fail_call: Option<u64>,
    /// End the run with a report of who waits for what when nothing has happened for so long.
    #[arg(long, value_name = "SECONDS")]
    watchdog: Option<u32>,
    /// How long the threads of the drivers may take to end before the drivers are unloaded.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u32,
}

/// Version 1.N of the framework, as its N.
pub(crate) fn kmdf_minor(text: &str) -> Result<u32, String> {
    match text.strip_prefix("1.").and_then(|minor| minor.parse().ok()) {
        Some(minor @ 0..=33) => Ok(minor),
        _ => Err("a KMDF version is 1.N with N up to 33, such as 1.15 or 1.31".to_owned()),
    }
}

/// Runs drivers to their end.
pub(super) fn run(options: &Options) -> Exit {
    configure(options);
    match run_images(options) {
        Ok(()) => report(),
        Err(reason) => {
            eprintln!("drydock: {reason}");
            Exit::Usage
        }
    }
}

fn configure(options: &Options) {
    let mut settings = verify::settings().clone();
    settings.verifier_on = options.verifier;
    settings.down_level = options.down_level;
    settings.break_is_fatal = !options.go_on_after_break;
    settings.strict_imports = options.strict;
    settings.kmdf_minor = options.kmdf;
    settings.force_pending = options.force_pending;
    settings.track_requests = options.watchdog.is_some() || options.verifier;
    if let Some(one_in) = options.low_resources {
        settings.low_resources = LowResources::Random {
            seed: options.seed,
            one_in,
            spare: 0,
        };
    } else if let Some(number) = options.fail_call {
        settings.low_resources = LowResources::Nth(number);
    }
    verify::configure(settings);
    if options.one_processor {
        sched::set_mode(Mode::OneProcessor);
    }
    if let Some(seconds) = options.watchdog {
        verify::start_watchdog(i64::from(seconds) * 10_000_000);
    }
}

fn run_images(options: &Options) -> Result<(), String> {
    match &options.device {
        Some(id) => {
            let images: Vec<_> = options.images.iter().map(PathBuf::as_path).collect();
            let stack = Stack::build(&format!("{id}\\0000"), &images)?;
            wait_for_threads(options);
            stack.remove()
        }
        None => {
            let mut drivers = Vec::new();
            for path in &options.images {
                drivers.push(stack::load(path)?);
            }
            wait_for_threads(options);
            stack::unload(drivers)
        }
    }
}

fn wait_for_threads(options: &Options) {
    let _waiting = verify::waiting(|| "the threads of the drivers".to_owned());
    let patience = i64::from(options.patience) * 10_000_000;
    if !nt::thread::wait_for_system_threads(patience) {
        eprintln!(
            "drydock: after {} s threads of the drivers are still there; going on (--patience)",
            options.patience
        );
    }
}

/// What is left, and how deep the stacks went.
fn report() -> Exit {
    let leaks = verify::leak_report();
    eprint!("drydock: {leaks}");
    eprintln!(
        "drydock: the deepest driver stack took {} of {} bytes",
        loader::stack_high_water(),
        loader::layout::STACK_SIZE
    );
    if leaks.is_empty() {
        Exit::Clean
    } else {
        Exit::Leaks
    }
}
