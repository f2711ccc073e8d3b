//! `drydock count`: what a request costs in instructions and calls, driver by driver.

use crate::explore::operation::{self, Step};
use crate::loader::{self, ImageCount};
use crate::nt::app::{Handle, Process};
use crate::nt::workitem;
use crate::stack::Stack;
use crate::verify::{self, Exit};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to count, through which drivers.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Driver images, from the function driver up.
    #[arg(long = "image", required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Instance path of the device that is made.
    #[arg(long, value_name = "PATH", default_value = r"ROOT\COUNTED\0000")]
    instance: String,
    /// What the program opens: a path such as \\.\Name; the device by its own name if there is none.
    #[arg(long, value_name = "PATH")]
    open: Option<String>,
    /// An operation before the first count, such as ioctl:0x222000:ffffffff; behind a path and a space, for another device.
    #[arg(long, value_name = "OPERATION")]
    before: Vec<String>,
    /// A request that is counted: read:LENGTH[@OFFSET], write:HEX[@OFFSET], ioctl:CODE[:HEX[:LENGTH]] or flush. Can be repeated.
    #[arg(long = "request", required = true, value_name = "OPERATION")]
    requests: Vec<String>,
    /// How often each is sent and counted, after two that are not.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    /// The KMDF version whose function table the images bind to.
    #[arg(long, value_name = "1.N", default_value = "1.33", value_parser = super::run::kmdf_minor)]
    kmdf: u32,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// What one kind of request cost.
#[derive(Debug, Serialize)]
struct Cost {
    request: String,
    /// How it ended.
    status: String,
    /// How often it was counted.
    times: u32,
    /// From the function driver up.
    images: Vec<ImageCost>,
}

/// What it cost in one driver.
#[derive(Debug, Serialize)]
struct ImageCost {
    image: String,
    /// The fewest instructions of a request, and the most.
    instructions: u64,
    most_instructions: u64,
    /// Of the request with the fewest.
    framework_calls: BTreeMap<String, u64>,
    kernel_calls: BTreeMap<String, u64>,
}

impl ImageCost {
    fn new(image: &str, first: &ImageCount) -> Self {
        let mut cost = Self {
            image: image.to_owned(),
            instructions: first.instructions,
            most_instructions: first.instructions,
            framework_calls: BTreeMap::new(),
            kernel_calls: BTreeMap::new(),
        };
        cost.set_calls(first);
        cost
    }

    fn set_calls(&mut self, count: &ImageCount) {
        let (kernel, framework) = count
            .calls
            .clone()
            .into_iter()
            .partition(|(name, _)| name.contains('!'));
        (self.framework_calls, self.kernel_calls) = (framework, kernel);
    }

    fn add(&mut self, count: &ImageCount) {
        self.most_instructions = self.most_instructions.max(count.instructions);
        if count.instructions < self.instructions {
            self.instructions = count.instructions;
            self.set_calls(count);
        }
    }
}

/// Counts, and prints.
pub(super) fn run(options: &Options) -> Exit {
    match try_run(options) {
        Ok(exit) => exit,
        Err(reason) => {
            eprintln!("drydock count: {reason}");
            Exit::Usage
        }
    }
}

fn try_run(options: &Options) -> Result<Exit, String> {
    let mut settings = verify::settings().clone();
    settings.kmdf_minor = options.kmdf;
    verify::configure(settings);
    let read = |texts: &[String]| -> Result<Vec<Step>, String> {
        texts.iter().map(|text| operation::parse(text)).collect()
    };
    let (before, requests) = (read(&options.before)?, read(&options.requests)?);
    let images: Vec<&Path> = options.images.iter().map(PathBuf::as_path).collect();
    let stack = Stack::build(&options.instance, &images)?;
    let program = Process::new("program");
    let open = |path: &str| -> Result<Arc<Handle>, String> {
        program
            .open(path, 0xC000_0000, 3)
            .map_err(|status| format!("{path} cannot be opened: {status}"))
    };
    let path = match &options.open {
        Some(path) => path.clone(),
        None => stack.device_name()?,
    };
    let device = open(&path)?;
    let handle_for = |step: &Step| match &step.path {
        Some(path) => open(path),
        None => Ok(Arc::clone(&device)),
    };
    for (step, text) in before.into_iter().zip(&options.before) {
        let done = handle_for(&step)?.run(step.op);
        if !done.status.is_success() {
            return Err(format!("{text:?}, before the count, gave {}", done.status));
        }
    }
    let mut costs = Vec::new();
    for (step, text) in requests.into_iter().zip(&options.requests) {
        let handle = handle_for(&step)?;
        costs.push(cost(&handle, &step, text, options, &images));
    }
    program.kill();
    drop((device, program));
    workitem::wait_idle();
    stack.remove()?;
    print(&costs, options.json)?;
    let leaks = verify::leak_report();
    if leaks.is_empty() {
        return Ok(Exit::Clean);
    }
    eprint!("drydock: {leaks}");
    Ok(Exit::Leaks)
}

fn cost(handle: &Handle, step: &Step, text: &str, options: &Options, images: &[&Path]) -> Cost {
    for _ in 0..2 {
        handle.run(step.op.clone());
    }
    workitem::wait_idle();
    let mut status = String::new();
    let mut found: BTreeMap<String, ImageCost> = BTreeMap::new();
    for _ in 0..options.times {
        let op = step.op.clone();
        let (done, counts) = loader::count(|| {
            let done = handle.run(op);
            workitem::wait_idle();
            done
        });
        status = done.status.to_string();
        for (image, count) in &counts {
            found
                .entry(image.clone())
                .and_modify(|cost| cost.add(count))
                .or_insert_with(|| ImageCost::new(image, count));
        }
    }
    let order = |cost: &ImageCost| {
        let stem = |path: &&Path| path.file_stem().is_some_and(|stem| *stem == *cost.image);
        images.iter().position(stem)
    };
    let mut images: Vec<_> = found.into_values().collect();
    images.sort_by_key(order);
    Cost {
        request: text.to_owned(),
        status,
        times: options.times,
        images,
    }
}

fn print(costs: &[Cost], json: bool) -> Result<(), String> {
    if json {
        let text = serde_json::to_string_pretty(costs).map_err(|error| error.to_string())?;
        super::say(&text);
        return Ok(());
    }
    let mut text = String::new();
    for cost in costs {
        let _ = writeln!(text, "{}: {}", cost.request, cost.status);
        for image in &cost.images {
            let most = if image.most_instructions == image.instructions {
                String::new()
            } else {
                format!(" to {}", image.most_instructions)
            };
            let total = |calls: &BTreeMap<String, u64>| calls.values().sum::<u64>();
            let _ = writeln!(
                text,
                "  {:<16} {:>6}{most} instructions, {} framework and {} kernel calls",
                image.image,
                image.instructions,
                total(&image.framework_calls),
                total(&image.kernel_calls),
            );
            for (name, count) in image.framework_calls.iter().chain(&image.kernel_calls) {
                let _ = writeln!(text, "    {count:>4} x {name}");
            }
        }
    }
    super::say(text.trim_end());
    Ok(())
}
