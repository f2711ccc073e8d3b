//! `cargo xtask test`: every check there is, counted.
//!
//! A failing step does not stop the later ones. The last line is `N passed, N failed`.

use std::{process::Command, time::Instant};

use anyhow::{Result, bail};

use crate::{
    arch::Arch,
    audit, c_drivers, c_image, checklist, conform,
    cross_cargo::Profile,
    dock::Dock,
    drivers::{self, BuildOptions},
    headers, inf,
    kmdf::KmdfVersion,
    lint, must_not_compile, mutate, package, process,
    project::Project,
    reproduce, rules, scripts, size, spec, toolchain, workflows,
};

/// How many checks passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Checks that passed.
    pub passed: usize,
    /// Checks that failed.
    pub failed: usize,
}

impl Count {
    const ONE: Self = Self::passed(1);

    const fn passed(passed: usize) -> Self {
        Self { passed, failed: 0 }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Adds what a libtest summary line says; other lines say nothing.
    fn add_summary(&mut self, line: &str) {
        let Some(numbers) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        let number = |label: &str| {
            let before = numbers.split(label).next()?;
            before.trim_end().rsplit(' ').next()?.parse::<usize>().ok()
        };
        self.passed += number("passed;").unwrap_or(0);
        self.failed += number("failed;").unwrap_or(0);
    }
}

/// One step of the suite.
struct Step {
    name: &'static str,
    run: fn(&Project) -> Result<Count>,
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        run: |p| lint::format(p).map(|()| Count::ONE),
    },
    Step {
        name: "lint: host workspace",
        run: |p| lint::host(p).map(|()| Count::ONE),
    },
    Step {
        name: "lint: driver workspace",
        run: |p| lint::drivers(p).map(|()| Count::ONE),
    },
    Step {
        name: "build the images",
        run: build,
    },
    Step {
        name: "audit the images",
        run: audited,
    },
    Step {
        name: "headers of every KMDF version",
        run: |p| headers::check(p).map(Count::passed),
    },
    Step {
        name: "INF lint",
        run: |p| inf::run(p, inf::Args::default()).map(|()| Count::ONE),
    },
    Step {
        name: "lint: PowerShell scripts",
        run: |p| scripts::run(p).map(Count::passed),
    },
    Step {
        name: "lint: workflows",
        run: |p| workflows::lint(p).map(Count::passed),
    },
    Step {
        name: "packages of both architectures, test-signed",
        run: packages,
    },
    Step {
        name: "programs that must not compile",
        run: |p| must_not_compile::run(p).map(Count::passed),
    },
    Step {
        name: "KMDF rules and their programs",
        run: |p| rules::run(p).map(|()| Count::ONE),
    },
    Step {
        name: "unit tests: the contract",
        run: abi_tests,
    },
    Step {
        name: "unit tests: host workspace",
        run: host_tests,
    },
    Step {
        name: "scenarios on the images",
        run: scenarios,
    },
    Step {
        name: "a program's requests over the socket",
        run: main_job,
    },
    Step {
        name: "sizes and instructions per request",
        run: |p| size::run(p).map(Count::passed),
    },
    Step {
        name: "conformance with the recorded logs",
        run: |p| conform::run(p, None).map(Count::passed),
    },
    Step {
        name: "specification index",
        run: |p| spec::run(p, &spec::Args::default()).map(|_proven| Count::ONE),
    },
    Step {
        name: "mutations of the model have their place",
        run: |p| mutate::check(p).map(|()| Count::ONE),
    },
    Step {
        name: "the same bytes from two folders",
        run: |p| reproduce::run(p).map(|()| Count::ONE),
    },
];

/// Runs the steps (those whose name contains `only`, if given).
pub fn run(project: &Project, only: Option<&str>) -> Result<()> {
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|s| only.is_none_or(|o| s.name.contains(o)))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = STEPS.iter().map(|s| s.name).collect();
        bail!(
            "no step is called {:?}; steps: {}",
            only.unwrap_or_default(),
            names.join(", ")
        );
    }
    let mut total = Count::default();
    let mut failures = Vec::new();
    for step in chosen {
        println!("\n== {}", step.name);
        let start = Instant::now();
        let count = (step.run)(project).unwrap_or_else(|error| {
            println!("{error:#}");
            Count {
                passed: 0,
                failed: 1,
            }
        });
        total.add(count);
        let state = if count.failed == 0 { "ok" } else { "FAILED" };
        println!(
            "-- {}: {state}, {:.1} s",
            step.name,
            start.elapsed().as_secs_f32()
        );
        if count.failed > 0 {
            failures.push(step.name);
        }
    }
    println!();
    if !failures.is_empty() {
        println!("failed: {}", failures.join(", "));
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        // The summary is the last line; nothing is to follow it.
        std::process::exit(1);
    }
    Ok(())
}

fn build(project: &Project) -> Result<Count> {
    for minor in ["1.15", "1.31"] {
        let kmdf: KmdfVersion = minor.parse().map_err(anyhow::Error::msg)?;
        for image in drivers::build(
            project,
            BuildOptions {
                kmdf,
                profile: Profile::Release,
                arch: Arch::Amd64,
            },
        )? {
            println!("{}", image.line(project));
        }
    }
    for image in c_image::build_conformance(project, KmdfVersion::DEFAULT)? {
        println!("{}", image.line(project));
    }
    for image in c_drivers::build(project, KmdfVersion::DEFAULT, &[])? {
        println!("{}", image.line(project));
    }
    let options = BuildOptions {
        kmdf: KmdfVersion::DEFAULT,
        profile: Profile::Release,
        arch: Arch::Amd64,
    };
    for image in drivers::build_for_tests(project, options, &[])? {
        println!("{}", image.line(project));
    }
    Ok(Count::ONE)
}

/// ARM64's are built and audited nowhere else: drydock runs x86-64 only.
fn packages(project: &Project) -> Result<Count> {
    let mut passed = 0;
    for arch in [Arch::Amd64, Arch::Arm64] {
        passed += package::run(project, &package::Args::of(arch))?;
    }
    Ok(Count::passed(passed))
}

fn audited(project: &Project) -> Result<Count> {
    audit::run(project, &[]).map(Count::passed)
}

fn abi_tests(project: &Project) -> Result<Count> {
    let mut cargo = Command::new(toolchain::cargo());
    cargo
        .arg("test")
        .arg("--manifest-path")
        .arg(project.path("Cargo.toml"))
        .args(["--package", "ferry-abi"]);
    cargo.env("CARGO_TARGET_DIR", project.path("target/host"));
    libtest(&mut cargo)
}

fn host_tests(project: &Project) -> Result<Count> {
    libtest(lint::host_cargo(project, "test").args([
        "--workspace",
        "--exclude",
        "scenarios",
        "--features",
        "drydock/built-images",
    ]))
}

/// Every exercise case, mixed requests whose data and number are compared, a step of the checklist, a clean stop.
fn main_job(project: &Project) -> Result<Count> {
    let dock = Dock::start(project)?;
    let exercised = dock.ferryctl(&["exercise"]);
    let stressed = dock
        .ferryctl(&["stress", "--count", "50000", "--seed", "1"])
        .and(dock.ferryctl(&[
            "stress", "--count", "50000", "--seed", "2", "--rules", "--cancel", "50",
        ]));
    let parked = checklist::parked_step(project, &dock);
    let stopped = dock.stop();
    exercised.and(stressed).and(parked).and(stopped)?;
    // What neither ferry nor pier needs by nature: docs/mission.md.
    let dock = Dock::with_example_drivers(project, &["showcase", "sender"])?;
    let shown = dock
        .ferryctl(&["exercise", "--filter", "showcase/", "--none-skipped"])
        .and(dock.ferryctl(&["exercise", "--filter", "sender/", "--none-skipped"]));
    let stopped = dock.stop();
    shown.and(stopped)?;
    Ok(Count::passed(7))
}

fn scenarios(project: &Project) -> Result<Count> {
    libtest(lint::host_cargo(project, "test").args(["--package", "scenarios"]))
}

/// Runs `cargo test` to its end and adds up what every test program says.
fn libtest(cargo: &mut Command) -> Result<Count> {
    cargo.arg("--no-fail-fast");
    let mut count = Count::default();
    let ended_well = process::run_watched(cargo, |line| count.add_summary(line))?;
    if !ended_well && count.failed == 0 {
        // It did not compile, or a test program died before its summary.
        count.failed = 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_several_test_programs_add_up() {
        let mut count = Count::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 17 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.2s",
            "note: 9 passed; 9 failed;",
        ] {
            count.add_summary(line);
        }
        assert_eq!(
            count,
            Count {
                passed: 20,
                failed: 2
            }
        );
    }
}
