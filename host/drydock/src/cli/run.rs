//! `drydock run`: the shortest way from images to a report.

use crate::kmdf;
use crate::loader::{self, Image};
use crate::nt::abi::{Address, DriverObject};
use crate::nt::pnp::{DevNode, DevNodeConfig};
use crate::nt::registry::ServiceKey;
use crate::nt::{self, status::NtStatus};
use crate::sched::{self, Mode};
use crate::verify::{self, Exit};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// How long the threads of the drivers may take to end before the drivers are unloaded.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u32,
}

/// Version 1.N of the framework, as its N.
fn kmdf_minor(text: &str) -> Result<u32, String> {
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
    verify::configure(settings);
    if options.one_processor {
        sched::set_mode(Mode::OneProcessor);
    }
}

fn run_images(options: &Options) -> Result<(), String> {
    let images: Vec<_> = options
        .images
        .iter()
        .map(|path| load(path))
        .collect::<Result<_, _>>()?;
    let mut drivers = Vec::new();
    for image in &images {
        drivers.push(start(image)?);
    }
    let node = match &options.device {
        Some(id) => Some(start_device(id, &drivers)?),
        None => None,
    };
    let patience = i64::from(options.patience) * 10_000_000;
    if !nt::thread::wait_for_system_threads(patience) {
        eprintln!(
            "drydock: after {} s threads of the drivers are still there; going on (--patience)",
            options.patience
        );
    }
    if let Some(node) = node {
        node.remove()
            .map_err(|status| format!("the device cannot be removed: {status}"))?;
    }
    for driver in drivers.into_iter().rev() {
        stop(driver);
    }
    Ok(())
}

fn load(path: &Path) -> Result<Arc<Image>, String> {
    let image = loader::load(path, &kmdf::resolve_import).map_err(|error| error.to_string())?;
    if !image.missing.is_empty() {
        eprintln!(
            "drydock: {} imports what drydock does not have; calling it ends the run: {}",
            image.name,
            image.missing.join(", ")
        );
    }
    Ok(image)
}

fn start(image: &Arc<Image>) -> Result<Address<DriverObject>, String> {
    let service = ServiceKey::new(&image.name);
    match nt::driver::load(image, &service) {
        Ok(driver) => Ok(Address(driver)),
        Err(status) => Err(format!("{}: its entry failed with {status}", image.name)),
    }
}

fn start_device(id: &str, drivers: &[Address<DriverObject>]) -> Result<Arc<DevNode>, String> {
    let Some((function, filters)) = drivers.split_first() else {
        return Err("a device needs a driver".to_owned());
    };
    let filters: Vec<_> = filters.iter().map(|driver| driver.0).collect();
    let failed = |what: &str, status: NtStatus| format!("{id}: {what} failed with {status}");
    let config = DevNodeConfig::new(&format!("{id}\\0000"), function.0, &filters);
    let node = DevNode::create(config).map_err(|status| failed("adding the device", status))?;
    node.start()
        .map_err(|status| failed("starting the device", status))?;
    Ok(node)
}

fn stop(driver: Address<DriverObject>) {
    if let Err(status) = nt::driver::unload(driver.0) {
        eprintln!("drydock: a driver stays loaded: {status}");
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
