//! `cargo xtask size`: how large the images are, and what a request costs in them, beside drivers written by hand.
//!
//! Costs are counted, not measured: instructions executed in each image, and its calls into the framework and the kernel
//! (`drydock count`). All filters that are compared stand in one device stack and see the same requests.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{
    arch::Arch,
    c_drivers,
    cross_cargo::Profile,
    drivers::{self, BuildOptions},
    kmdf::KmdfVersion,
    lint, process,
    project::Project,
};

/// A control that echo.sys answers in its dispatch routine.
const CARRIED: &str = "ioctl:0x222000:01020304:4";
/// A `METHOD_NEITHER` control of wdm-neither.sys.
const SKIPPED: &str = "ioctl:0x222003:01020304:4";

/// ferry.sys may have so many bytes.
const FERRY_BYTES: usize = 96 * 1024;

/// One driver beside another.
struct Comparison {
    what: &'static str,
    driver: &'static str,
    by_hand: &'static str,
    /// How many times the instructions of the one by hand it should have, at most.
    asked: f64,
    /// What it may have until it is there: this only ever falls.
    allowed: f64,
    /// As many calls as the one by hand, at most, and so many more until it is there.
    calls_allowed: u64,
}

/// Over echo.sys, in this order.
const CARRYING: [Comparison; 2] = [
    Comparison {
        what: "carried, wdf beside wdk-sys",
        driver: "through",
        by_hand: "raw",
        asked: 1.05,
        allowed: 1.73,
        calls_allowed: 0,
    },
    Comparison {
        what: "carried, ferry beside C",
        driver: "ferry",
        by_hand: "carry",
        asked: 1.10,
        allowed: 7.50,
        calls_allowed: 2,
    },
];

/// Over wdm-neither.sys.
const SKIPPING: [Comparison; 1] = [Comparison {
    what: "skipped, ferry beside WDM in C",
    driver: "ferry",
    by_hand: "skip",
    asked: 1.00,
    allowed: 14.00,
    calls_allowed: 2,
}];

/// What `drydock count --json` says of one request.
#[derive(Debug, Deserialize)]
struct Cost {
    status: String,
    images: Vec<ImageCost>,
}

#[derive(Debug, Deserialize)]
struct ImageCost {
    image: String,
    instructions: u64,
    most_instructions: u64,
    framework_calls: std::collections::BTreeMap<String, u64>,
    kernel_calls: std::collections::BTreeMap<String, u64>,
}

impl ImageCost {
    fn calls(&self) -> u64 {
        let all = self
            .framework_calls
            .values()
            .chain(self.kernel_calls.values());
        all.sum()
    }
}

/// Builds what is compared, prints the tables, and fails where something is over its limit. Gives the number of limits kept.
pub fn run(project: &Project) -> Result<usize> {
    let options = BuildOptions {
        kmdf: KmdfVersion::DEFAULT,
        profile: Profile::Release,
        arch: Arch::Amd64,
    };
    let mut over = Vec::new();
    let mut kept = 0;
    for image in drivers::build(project, options)? {
        let name = image.path.file_stem().unwrap_or_default();
        let limit = if name == "ferry" {
            FERRY_BYTES
        } else {
            usize::MAX
        };
        println!("{}", image.line(project));
        if image.size > limit {
            over.push(format!(
                "ferry.sys has {} bytes; it may have {limit}",
                image.size
            ));
        }
    }
    kept += 1;
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    drivers::build_for_tests(project, options, &names(&["raw", "through"]))?;
    c_drivers::build(
        project,
        options.kmdf,
        &names(&["echo", "wdm-neither", "carry", "skip"]),
    )?;
    process::run(lint::host_cargo(project, "build").args(["--package", "drydock"]))?;

    let carried = count(
        project,
        &["c/echo", "c/carry", "rust/raw", "rust/through", "ferry"],
        CARRIED,
    )?;
    let skipped = count(project, &["c/wdm-neither", "c/skip", "ferry"], SKIPPED)?;
    for (cost, comparisons) in [(&carried, CARRYING.as_slice()), (&skipped, &SKIPPING)] {
        for comparison in comparisons {
            match compare(cost, comparison) {
                Ok(()) => kept += 1,
                Err(error) => over.push(format!("{error:#}")),
            }
        }
    }
    if over.is_empty() {
        return Ok(kept);
    }
    bail!("{}", over.join("\n"))
}

/// What one request costs in every driver of a stack.
fn count(project: &Project, images: &[&str], request: &str) -> Result<Cost> {
    let mut drydock = Command::new(project.path("host/target/debug/drydock"));
    drydock.args(["count", "--json", "--request", request]);
    for image in images {
        drydock
            .arg("--image")
            .arg(project.images().join(format!("{image}.sys")));
    }
    let costs: Vec<Cost> =
        serde_json::from_str(&process::output(&mut drydock)?).context("what drydock counted")?;
    let cost = costs
        .into_iter()
        .next()
        .context("drydock counted nothing")?;
    if !cost.status.starts_with("STATUS_SUCCESS") {
        bail!("{request} ended with {}: nothing to compare", cost.status);
    }
    Ok(cost)
}

/// Prints two drivers side by side.
fn compare(cost: &Cost, comparison: &Comparison) -> Result<()> {
    let find = |name: &str| {
        let found = cost.images.iter().find(|image| image.image == name);
        found.with_context(|| format!("{name}.sys has executed nothing"))
    };
    let (driver, by_hand) = (find(comparison.driver)?, find(comparison.by_hand)?);
    let ratio = driver.instructions as f64 / by_hand.instructions.max(1) as f64;
    println!("\n{}:", comparison.what);
    println!(
        "  {:<44} {:>8} {:>8}",
        "", comparison.driver, comparison.by_hand
    );
    println!(
        "  {:<44} {:>8} {:>8}   {ratio:.2} times; asked {:.2}, allowed {:.2}",
        "instructions",
        driver.instructions,
        by_hand.instructions,
        comparison.asked,
        comparison.allowed
    );
    println!(
        "  {:<44} {:>8} {:>8}",
        "calls",
        driver.calls(),
        by_hand.calls()
    );
    let names: std::collections::BTreeSet<&String> = [driver, by_hand]
        .iter()
        .flat_map(|image| {
            image
                .framework_calls
                .keys()
                .chain(image.kernel_calls.keys())
        })
        .collect();
    for name in names {
        let times = |image: &ImageCost| {
            let framework = image.framework_calls.get(name);
            framework
                .or(image.kernel_calls.get(name))
                .copied()
                .unwrap_or(0)
        };
        println!("    {name:<42} {:>8} {:>8}", times(driver), times(by_hand));
    }
    if driver.most_instructions != driver.instructions {
        println!("  the most of a request: {}", driver.most_instructions);
    }
    if ratio > comparison.asked {
        println!("  OVER WHAT IS ASKED");
    }
    if ratio > comparison.allowed {
        bail!(
            "{}: {} executes {ratio:.2} times the instructions of {}; allowed are {:.2}",
            comparison.what,
            comparison.driver,
            comparison.by_hand,
            comparison.allowed
        );
    }
    let calls = by_hand.calls() + comparison.calls_allowed;
    if driver.calls() > calls {
        bail!(
            "{}: {} makes {} calls; allowed are {calls}",
            comparison.what,
            comparison.driver,
            driver.calls()
        );
    }
    Ok(())
}
