//! `cargo xtask evidence`: finished packages, exactly as they lie there, through everything Linux can show of them.
//!
//! The released images are those built on Windows (filter-rules 22). This takes them as they are, signatures and all,
//! and writes down what they went through, each with the image's hash. Nothing is built from source but the test bed.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use ferry_abi::{
    guid::{Guid, PIER_INTERFACE},
    pier::{IOCTL_PIER_SET_LATENCY, Latency},
};

use crate::{
    arch::Arch,
    audit, c_drivers, c_image,
    cross_cargo::Profile,
    drivers::{self, BuildOptions, DRIVERS, Image},
    kmdf::KmdfVersion,
    lint, package, process,
    project::Project,
};

/// Schedules explored per race: a few minutes on two cores.
const SCHEDULES: &str = "20000";

/// What `evidence` is asked on the command line.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder that holds the package folders `pier` and `ferry`
    packages: PathBuf,
    /// The certificate (PEM or DER) that signed them; ferry-test.cer beside them if not given
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Where the record goes
    #[arg(long, default_value = "target/evidence")]
    to: PathBuf,
}

/// Takes the images through every step and writes the record, also if a step fails.
pub fn run(project: &Project, args: &Args) -> Result<()> {
    let folders: Vec<PathBuf> = DRIVERS.iter().map(|d| args.packages.join(d)).collect();
    let certificate = args
        .certificate
        .clone()
        .unwrap_or_else(|| args.packages.join("ferry-test.cer"));
    strangers(project)?;
    let mut record = String::from("# What these images went through on Linux\n\n");
    let images = adopt(project, &folders, &mut record)?;

    let mut failed = Vec::new();
    let mut step = |name: &str, done: Result<()>| {
        let outcome = match done {
            Ok(()) => "passed".to_owned(),
            Err(error) => {
                failed.push(name.to_owned());
                format!("FAILED: {error:#}")
            }
        };
        println!("== {name}: {outcome}");
        let _ = writeln!(record, "- {name}: {outcome}");
    };
    step(
        "signatures, and the catalogues' hashes",
        package::check(project, &folders, &certificate).map(|_| ()),
    );
    step("audit", audit::run(project, &images).map(|_| ()));
    step(
        "build the test bed",
        process::run(lint::host_cargo(project, "build").args(["--package", "drydock"])),
    );
    step(
        "every scenario",
        process::run(lint::host_cargo(project, "test").args([
            "--package",
            "scenarios",
            "--no-fail-fast",
        ])),
    );
    for (name, arguments) in drydock_runs(&images) {
        let mut drydock = Command::new(project.path("host/target/debug/drydock"));
        step(&name, process::run(drydock.args(arguments)));
    }

    fs::create_dir_all(&args.to).with_context(|| args.to.display().to_string())?;
    let path = args.to.join("evidence.md");
    fs::write(&path, &record).with_context(|| path.display().to_string())?;
    println!("the record is in {}", path.display());
    if !failed.is_empty() {
        bail!("these images failed: {}", failed.join(", "));
    }
    Ok(())
}

/// Builds what the scenarios load besides: other people's drivers, and our own for a newer KMDF, which are not in question.
fn strangers(project: &Project) -> Result<()> {
    let options = |kmdf| BuildOptions {
        kmdf,
        profile: Profile::Release,
        arch: Arch::Amd64,
    };
    let newer = "1.31".parse().map_err(anyhow::Error::msg)?;
    drivers::build(project, options(newer))?;
    drivers::build_for_tests(project, options(KmdfVersion::DEFAULT), &[])?;
    c_drivers::build(project, KmdfVersion::DEFAULT, &[])?;
    c_image::build_conformance(project, KmdfVersion::DEFAULT)?;
    Ok(())
}

/// Puts the packages' images where every test looks for images, and names them in the record by their hashes.
fn adopt(project: &Project, folders: &[PathBuf], record: &mut String) -> Result<Vec<PathBuf>> {
    let images = project.images();
    fs::create_dir_all(&images)?;
    let mut adopted = Vec::new();
    for (name, folder) in DRIVERS.iter().zip(folders) {
        for extension in ["sys", "map"] {
            let file = folder.join(format!("{name}.{extension}"));
            let to = images.join(format!("{name}.{extension}"));
            fs::copy(&file, &to).with_context(|| file.display().to_string())?;
        }
        let image = Image::at(images.join(format!("{name}.sys")))?;
        let _ = writeln!(
            record,
            "- {name}.sys: {} bytes, SHA-256 {}",
            image.size, image.sha256
        );
        adopted.push(image.path);
    }
    Ok(adopted)
}

/// Every run of drydock itself, with its name.
fn drydock_runs(images: &[PathBuf]) -> Vec<(String, Vec<String>)> {
    let image = |name: &str| {
        let found = images
            .iter()
            .find(|i| i.file_stem().is_some_and(|s| s == name));
        found
            .map_or(Path::new(name), PathBuf::as_path)
            .display()
            .to_string()
    };
    let (ferry, pier) = (image("ferry"), image("pier"));
    let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let mut runs = vec![
        ("check pier".into(), words(&["check", &pier])),
        (
            "check ferry over pier".into(),
            words(&["check", &ferry, "--over", &pier]),
        ),
    ];
    // A request that pier answers inside its handler leaves nothing to race with.
    let slow = slow_pier();
    let interface = pier_interface();
    for race in ["cancel", "start-cancel", "close", "exit", "remove"] {
        let arguments = [
            "explore",
            "--scenario",
            race,
            "--image",
            &pier,
            "--image",
            &ferry,
            "--open",
            &interface,
            "--before",
            &slow,
            "--request",
            "read:16",
            "--random",
            SCHEDULES,
        ];
        runs.push((
            format!("explore {race}, {SCHEDULES} schedules"),
            words(&arguments),
        ));
    }
    runs
}

/// The control that makes pier take five milliseconds, as drydock's command line wants it.
fn slow_pier() -> String {
    let latency = Latency::new(5, 0);
    let fields = [
        latency.header.size,
        latency.header.version,
        latency.milliseconds,
        latency.reserved,
    ];
    let bytes: String = fields
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("ioctl:{:#x}:{bytes}", IOCTL_PIER_SET_LATENCY.0)
}

/// The interface by which programs open pier, in braces.
fn pier_interface() -> String {
    let Guid {
        data1,
        data2,
        data3,
        data4,
    } = PIER_INTERFACE;
    let [a, b, rest @ ..] = data4;
    let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{{data1:08x}-{data2:04x}-{data3:04x}-{a:02x}{b:02x}-{rest}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_open_pier_by_the_guid_its_inf_and_driver_use() {
        assert_eq!(pier_interface(), "{9065a56c-841a-492d-93a6-993f24911b36}");
    }

    #[test]
    fn a_slow_pier_is_asked_for_with_size_version_and_time() {
        assert!(
            slow_pier().starts_with("ioctl:0x22a440:10000000"),
            "{}",
            slow_pier()
        );
        assert!(slow_pier().ends_with("0500000000000000"), "{}", slow_pier());
    }
}
