//! The end of a run: what is reported, and how.

use super::{Exit, bugcheck, output, settings};
use crate::sched;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The framework reported misuse and went on.
    Break,
    /// The image did what the specification leaves undefined or forbids.
    Violation,
    /// The framework, the kernel or the image itself stopped the system.
    BugCheck,
    /// The processor refused an instruction of the image.
    Fault,
    /// Nothing happens any more, and something should.
    NoProgress,
    /// The image called something drydock does not have.
    Unimplemented,
    /// drydock itself is wrong.
    ModelError,
}

impl Severity {
    fn heading(self) -> &'static str {
        match self {
            Self::Break => "BREAK",
            Self::Violation => "VIOLATION",
            Self::BugCheck => "BUG CHECK",
            Self::Fault => "FAULT",
            Self::NoProgress => "NO PROGRESS",
            Self::Unimplemented => "NOT IMPLEMENTED",
            Self::ModelError => "ERROR IN DRYDOCK",
        }
    }

    fn exit(self) -> Exit {
        match self {
            Self::Unimplemented => Exit::Unimplemented,
            _ => Exit::Violation,
        }
    }
}

/// All there is to say about the end of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What kind of thing went wrong.
    pub severity: Severity,
    /// The statement of the specification that was broken.
    pub statement: Option<&'static str>,
    /// The bug check code and its parameters.
    pub bug_check: Option<(u32, [u64; 4])>,
    /// What happened, in words.
    pub text: String,
    /// The thread it happened on.
    pub thread: String,
    /// What the layers add: the image stack, the calls in progress, the interrupt level.
    pub sections: Vec<(&'static str, Vec<String>)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.severity.heading())?;
        if let Some(statement) = self.statement {
            write!(f, " {statement}")?;
        }
        if let Some((code, [a, b, c, d])) = self.bug_check {
            let name = bugcheck::bug_check_name(code).unwrap_or("unnamed code");
            write!(f, " 0x{code:X} {name} ({a:#x}, {b:#x}, {c:#x}, {d:#x})")?;
        }
        writeln!(f, ": {}", self.text)?;
        writeln!(f, "  thread: {}", self.thread)?;
        for (title, lines) in &self.sections {
            if lines.is_empty() {
                continue;
            }
            writeln!(f, "  {title}:")?;
            for line in lines {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}

type Source = fn() -> Vec<String>;
type EndHook = Box<dyn FnOnce(&Report) -> i32 + Send>;

static SECTIONS: Mutex<BTreeMap<&'static str, Source>> = Mutex::new(BTreeMap::new());
static END_HOOK: Mutex<Option<EndHook>> = Mutex::new(None);
static BREAKS: AtomicU64 = AtomicU64::new(0);
/// The thread that ends the run, plus one.
static ENDED_BY: AtomicU32 = AtomicU32::new(0);

/// Adds a source of lines about the calling thread, shown in every report under `title`. It must not take a lock that
/// could be held where a report is made. A second registration of a title replaces the first.
pub fn register_section(title: &'static str, source: fn() -> Vec<String>) {
    SECTIONS.lock().insert(title, source);
}

/// Gives the report of the run's end to `hook`, whose result becomes the exit code. For tests that expect an end: they
/// run in a process of their own.
pub fn on_end(hook: impl FnOnce(&Report) -> i32 + Send + 'static) {
    *END_HOOK.lock() = Some(Box::new(hook));
}

/// The image broke a statement of the specification: reports it and ends the run. This is how all that the framework
/// leaves undefined ends (R-CHK-60 to R-CHK-65).
pub fn violation(statement: &'static str, text: impl Into<String>) -> ! {
    end(Severity::Violation, Some(statement), None, text.into())
}

/// The framework found misuse: reports it, and ends the run if the settings say so.
pub fn framework_break(statement: &'static str, text: impl Into<String>) {
    let text = text.into();
    BREAKS.fetch_add(1, Ordering::Relaxed);
    if settings().break_is_fatal {
        end(Severity::Break, Some(statement), None, text);
    }
    // Among the debug output, as the framework prints it.
    output::print(&format!("BREAK {statement}: {text}\n"));
}

/// How many BREAKs there were so far.
pub fn breaks() -> u64 {
    BREAKS.load(Ordering::Relaxed)
}

/// `KeBugCheckEx`, called by the image or by the model of the kernel or framework: reports it and ends the run.
pub fn bug_check(code: u32, parameters: [u64; 4], text: impl Into<String>) -> ! {
    let bug_check = Some((code, parameters));
    end(Severity::BugCheck, None, bug_check, text.into())
}

/// The processor refused an instruction: reports it and ends the run.
pub fn fault(text: impl Into<String>) -> ! {
    end(Severity::Fault, None, None, text.into())
}

/// The image called something drydock does not have: names it and ends the run.
pub fn unimplemented(name: &str) -> ! {
    let text = format!("{name} is not implemented by this version of drydock");
    end(Severity::Unimplemented, None, None, text)
}

/// drydock itself is wrong: reports it and ends the run.
pub fn model_error(text: impl Into<String>) -> ! {
    end(Severity::ModelError, None, None, text.into())
}

/// What the source registered under `title` says of the calling thread; nothing if there is none.
pub fn section_of(title: &str) -> Vec<String> {
    let source = SECTIONS.lock().get(title).copied();
    source.map_or_else(Vec::new, |source| source())
}

pub(super) fn end(
    severity: Severity,
    statement: Option<&'static str>,
    bug_check: Option<(u32, [u64; 4])>,
    text: String,
) -> ! {
    let me = sched::current().0 + 1;
    match ENDED_BY.compare_exchange(0, me, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => {}
        Err(first) if first == me => {
            // Making the report went wrong: what is known must still come out.
            eprintln!("{}: {text} (while reporting)", severity.heading());
            std::process::exit(severity.exit() as i32);
        }
        Err(_) => loop {
            // Another thread ends the process; this one must not do anything more.
            std::thread::park();
        },
    }
    let mut sources: Vec<_> = SECTIONS.lock().iter().map(|(t, s)| (*t, *s)).collect();
    sources.push(("calls made to fail", super::resources::describe));
    if severity == Severity::NoProgress {
        sources.extend(super::watchdog::overviews());
    }
    let report = Report {
        severity,
        statement,
        bug_check,
        text,
        thread: sched::current_name(),
        sections: sources
            .into_iter()
            .map(|(title, source)| (title, source()))
            .collect(),
    };
    output::flush();
    let hook = END_HOOK.lock().take();
    let code = match hook {
        Some(hook) => hook(&report),
        None => {
            // Nobody left to read it is no reason to stop differently.
            let _ = write!(std::io::stderr().lock(), "{report}");
            severity.exit() as i32
        }
    };
    std::process::exit(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusty_fork::rusty_fork_test;

    rusty_fork_test! {
        #[test]
        fn a_violation_names_its_statement_and_ends_the_run() {
            register_section("calls in progress", || vec!["WdfRequestComplete".to_owned()]);
            on_end(|report| {
                let text = report.to_string();
                assert_eq!(report.severity, Severity::Violation);
                assert!(text.starts_with("VIOLATION R-REQ-01: completed twice\n"), "{text}");
                assert!(text.contains("calls in progress:\n    WdfRequestComplete\n"), "{text}");
                0
            });
            violation("R-REQ-01", "completed twice");
        }

        #[test]
        fn a_bug_check_shows_code_name_and_parameters() {
            on_end(|report| {
                let text = report.to_string();
                let start = "BUG CHECK 0x10D WDF_VIOLATION (0x1, 0x2, 0x3, 0x4): why\n";
                assert!(text.starts_with(start), "{text}");
                0
            });
            bug_check(0x10D, [1, 2, 3, 4], "why");
        }

        #[test]
        fn a_break_that_is_not_fatal_is_counted_and_the_run_goes_on() {
            let mut settings = settings().clone();
            settings.break_is_fatal = false;
            super::super::configure(settings);
            framework_break("R-OBJ-01", "misuse");
            assert_eq!(breaks(), 1);
        }
    }
}
