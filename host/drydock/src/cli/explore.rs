//! `drydock explore`, `drydock replay` and `drydock timeline`.

use crate::explore::strategy::{DepthFirst, Pct, RandomWalk, Strategy};
use crate::explore::{self, Explored, Limits, Plan, Race, Recording, Summary};
use crate::loader;
use crate::verify::Exit;
use std::path::{Path, PathBuf};

/// What to explore, and how.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("how"))]
pub struct Options {
    /// What races with the driver.
    #[arg(long, value_enum, value_name = "RACE")]
    scenario: Race,
    /// Driver images, from the function driver up.
    #[arg(long = "image", required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Instance path of the device that is made.
    #[arg(long, value_name = "PATH", default_value = r"ROOT\EXPLORED\0000")]
    instance: String,
    /// What the program opens: a path such as \\.\Name, or the GUID of an interface in braces; the device by its own name if
    /// there is none.
    #[arg(long, value_name = "PATH")]
    open: Option<String>,
    /// An operation before the race, such as ioctl:0x222000:ffffffff; behind a path and a space, for another device.
    #[arg(long, value_name = "OPERATION")]
    before: Vec<String>,
    /// The request that the race is about: read:LENGTH[@OFFSET], write:HEX[@OFFSET], ioctl:CODE[:HEX[:LENGTH]] or flush.
    #[arg(long, value_name = "OPERATION", default_value = "read:16")]
    request: String,
    /// An operation that races with the rest, on a thread of its own; can be repeated.
    #[arg(long, value_name = "OPERATION")]
    against: Vec<String>,
    /// How long before its time a timer can go off: threads can be slow.
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 1_000_000)]
    slack: i64,
    /// At the end of every schedule, remove the device, unload the drivers and look for what is left.
    #[arg(long)]
    unload: bool,
    /// Run with the framework verifier on (VerifierOn = 1).
    #[arg(long)]
    verifier: bool,
    /// The KMDF version whose function table the images bind to.
    #[arg(long, value_name = "1.N", default_value = "1.33", value_parser = super::run::kmdf_minor)]
    kmdf: u32,
    /// A function of an image in which threads also change before each access to memory: [IMAGE!]NAME, where NAME is all of a
    /// function's name, its last parts, or has * for anything; or IMAGE+0xFROM..0xTO, by offset. Can be repeated.
    #[arg(long, value_name = "FUNCTION", num_args = 1..)]
    preempt: Vec<String>,
    /// Depth first: every schedule, but no more than N.
    #[arg(long, value_name = "N", group = "how")]
    dfs: Option<u64>,
    /// With --dfs: only schedules in which threads that could go on are interrupted at most N times.
    #[arg(long, value_name = "N", requires = "dfs")]
    interruptions: Option<u32>,
    /// N schedules of random choices.
    #[arg(long, value_name = "N", group = "how")]
    random: Option<u64>,
    /// N schedules of random priorities that change D-1 times, for bugs that need D orderings.
    #[arg(long, num_args = 2, value_names = ["D", "N"], group = "how")]
    pct: Option<Vec<u64>>,
    /// Seed of --random and --pct.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Go on after a finding, and count.
    #[arg(long)]
    keep_going: bool,
    /// Run every schedule twice, to prove that it is one.
    #[arg(long)]
    check: bool,
    /// Where the schedule of a finding is written.
    #[arg(long, value_name = "FILE", default_value = "schedule.json")]
    save: PathBuf,
}

/// A recorded schedule.
#[derive(Debug, clap::Args)]
pub struct ReplayOptions {
    /// The file `drydock explore` has written.
    file: PathBuf,
}

/// A recorded schedule, and its picture.
#[derive(Debug, clap::Args)]
pub struct TimelineOptions {
    /// The file `drydock explore` has written.
    file: PathBuf,
    /// Where the picture is written.
    #[arg(short, long, value_name = "FILE", default_value = "timeline.svg")]
    output: PathBuf,
}

fn or_complain(result: Result<Exit, String>) -> Exit {
    result.unwrap_or_else(|reason| {
        eprintln!("drydock: {reason}");
        Exit::Usage
    })
}

fn prepare(plan: &Plan) -> Result<Explored, String> {
    plan.check()?;
    plan.configure();
    let inside = plan.clone();
    Explored::prepare(Box::new(move || inside.run()))
}

/// How, in words, with how many schedules.
fn strategy(options: &Options) -> (Box<dyn Strategy>, String, u64) {
    let seed = options.seed;
    if let Some(limit) = options.dfs {
        let how = match options.interruptions {
            Some(bound) => format!("depth first, at most {bound} interruptions"),
            None => "depth first".to_owned(),
        };
        let strategy = DepthFirst::new(options.interruptions);
        return (Box::new(strategy), how, limit);
    }
    if let Some([depth, schedules]) = options.pct.as_deref() {
        let how = format!("PCT of depth {depth}, seed {seed}");
        let depth = usize::try_from(*depth).unwrap_or(usize::MAX);
        return (Box::new(Pct::new(depth, seed)), how, *schedules);
    }
    let schedules = options.random.unwrap_or(10_000);
    let how = format!("random, seed {seed}");
    (Box::new(RandomWalk::new(seed)), how, schedules)
}

/// Explores a race.
pub(super) fn explore(options: &Options) -> Exit {
    or_complain(try_explore(options))
}

fn try_explore(options: &Options) -> Result<Exit, String> {
    let plan = Plan {
        race: options.scenario,
        images: options.images.clone(),
        instance: options.instance.clone(),
        open: options.open.clone(),
        before: options.before.clone(),
        request: options.request.clone(),
        against: options.against.clone(),
        slack_us: options.slack,
        unload: options.unload,
        verifier: options.verifier,
        kmdf_minor: options.kmdf,
        preempt: options.preempt.clone(),
    };
    let mut explored = prepare(&plan)?;
    let (strategy, how, schedules) = strategy(options);
    let limits = Limits {
        schedules,
        keep_going: options.keep_going,
        check: options.check,
    };
    let summary = explored.explore(strategy, limits, &mut |_, _| {})?;
    super::say(&describe_summary(&summary, &how, options.check));
    let Some((finding, _)) = summary.findings.first() else {
        return Ok(Exit::Clean);
    };
    super::say(finding.report.trim_end());
    let found_by = format!("{how}, schedule {}", finding.schedule);
    let headline = Some(finding.headline().to_owned());
    let recording = Recording::new(
        &plan,
        finding.choices.clone(),
        finding.digest,
        headline,
        found_by,
    )?;
    recording.save(&options.save)?;
    super::say(&format!(
        "found by {how}, schedule {}; `drydock replay {file}` runs it again, `drydock timeline {file}` draws it",
        finding.schedule,
        file = options.save.display()
    ));
    Ok(Exit::Violation)
}

fn describe_summary(summary: &Summary, how: &str, checked: bool) -> String {
    let seconds = summary.explored_in.as_secs_f64();
    let extent = match (summary.complete, summary.exhausted) {
        (true, _) => ", all there are",
        (false, true) => ", all of these",
        (false, false) => "",
    };
    let mut text = format!(
        "{} schedules ({how}{extent}) in {seconds:.2} s: {:.0} per second; prepared in {:.1} ms; up to {} choices each; {} KiB \
         captured, {} pages change\n",
        summary.schedules,
        summary.schedules as f64 / seconds.max(f64::MIN_POSITIVE),
        summary.prepared_in.as_secs_f64() * 1e3,
        summary.most_choices,
        summary.captured.0 / 1024,
        summary.captured.1,
    );
    if checked {
        text.push_str("every schedule ran twice alike\n");
    }
    for (outcome, count) in &summary.outcomes {
        text.push_str(&format!("  {count:>10} ended with {outcome}\n"));
    }
    for (finding, count) in &summary.findings {
        text.push_str(&format!("  {count:>10} findings: {}\n", finding.headline()));
    }
    text + &not_explored()
}

/// What no schedule was about, in one or more lines.
fn not_explored() -> String {
    let reordering = "what a processor does in another order than the program says";
    let Some(preempted) = loader::preempted() else {
        return format!(
            "not explored: orders of accesses to memory between two calls of an image (--preempt FUNCTION explores them in \
             that function), and {reordering}"
        );
    };
    let mut text = format!(
        "threads changed at calls, and before {} instructions ({} of them read and write without a lock) of\n",
        preempted.accesses, preempted.halves
    );
    const SHOWN: usize = 8;
    for name in preempted.functions.iter().take(SHOWN) {
        text.push_str(&format!("    {name}\n"));
    }
    if preempted.functions.len() > SHOWN {
        text.push_str(&format!(
            "    and {} more\n",
            preempted.functions.len() - SHOWN
        ));
    }
    for name in &preempted.incomplete {
        text.push_str(&format!(
            "    {name} jumps through a table that was not understood: only the code before it is covered\n"
        ));
    }
    text.push_str(&format!(
        "not explored: orders of accesses to memory in other functions, accesses of a thread to its own stack, and {reordering}"
    ));
    text
}

/// Runs a recorded schedule again.
pub(super) fn replay(options: &ReplayOptions) -> Exit {
    or_complain(try_replay(&options.file))
}

fn try_replay(file: &Path) -> Result<Exit, String> {
    let recording = Recording::read(file)?;
    let (report, _) = prepare(&recording.plan)?.replay(&recording)?;
    super::say(&format!(
        "the same schedule, digest {:016x}",
        recording.digest
    ));
    Ok(match report {
        Some(report) => {
            super::say(report.trim_end());
            Exit::Violation
        }
        None => Exit::Clean,
    })
}

/// Draws a recorded schedule.
pub(super) fn timeline(options: &TimelineOptions) -> Exit {
    or_complain(try_timeline(options))
}

fn try_timeline(options: &TimelineOptions) -> Result<Exit, String> {
    let recording = Recording::read(&options.file)?;
    let (report, events) = prepare(&recording.plan)?.replay(&recording)?;
    let svg = explore::draw(&events, &recording.found_by, report.as_deref());
    std::fs::write(&options.output, svg)
        .map_err(|error| format!("{} cannot be written: {error}", options.output.display()))?;
    super::say(&format!(
        "{} events drawn to {}",
        events.len(),
        options.output.display()
    ));
    Ok(Exit::Clean)
}
