//! Races between what programs do and what a driver does, for any driver.
//!
//! One request is given to a device. In the [`Race`] some threads do something about it, each thread one thing; then whatever is
//! left is canceled and waited for, and everything is closed.

use super::operation::{Step, parse};
use super::{begin, end, expect};
use crate::loader;
use crate::nt::app::{Completion, Handle, Op, Process};
use crate::nt::workitem;
use crate::sched::{self, Event, Lock, world};
use crate::stack::Stack;
use crate::verify;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What races with the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Race {
    /// The request is canceled.
    Cancel,
    /// The request is started by one thread, and canceled by another.
    StartCancel,
    /// The handle is closed.
    Close,
    /// The process exits.
    Exit,
    /// The device is surprise-removed.
    Remove,
}

/// The races there are, and what they are about.
pub const SCENARIOS: [(Race, &str); 5] = [
    (Race::Cancel, "one thread cancels the request"),
    (
        Race::StartCancel,
        "one thread starts the request, another one cancels whatever the handle has",
    ),
    (Race::Close, "one thread closes the handle"),
    (Race::Exit, "one thread ends the process"),
    (Race::Remove, "one thread surprise-removes the device"),
];

/// A race on a device, with everything that is needed to run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The race.
    pub race: Race,
    /// From the function driver up.
    pub images: Vec<PathBuf>,
    /// Instance path of the device.
    pub instance: String,
    /// What programs open: a path, or the GUID of an interface in braces; the device by its own name if there is none.
    pub open: Option<String>,
    /// Operations before the race, one after the other.
    pub before: Vec<String>,
    /// The request.
    pub request: String,
    /// Operations that race with the rest, each on a thread of its own.
    pub against: Vec<String>,
    /// How long before its time a timer can go off, in microseconds.
    pub slack_us: i64,
    /// At the end of every schedule the device is removed, the drivers are unloaded, and what is left is a finding.
    pub unload: bool,
    /// The framework verifier is on.
    pub verifier: bool,
    /// The KMDF version 1.N the images bind to.
    pub kmdf_minor: u32,
    /// Functions of the images in which threads change before each access to memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preempt: Vec<String>,
}

const ALL_ACCESS: u32 = 0xC000_0000;
const SHARE_ALL: u32 = 3;

/// An operation that was started.
struct Pending {
    completion: Lock<Option<Completion>>,
    done: Event,
}

impl Pending {
    fn start(handle: &Handle, op: Op) -> Arc<Self> {
        let pending = Arc::new(Self {
            completion: Lock::new(None),
            done: Event::new(true, false),
        });
        let there = Arc::clone(&pending);
        handle.start(op, move |completion| {
            let before = there.completion.lock().replace(completion);
            expect(before.is_none(), || {
                "a program was told twice that its request is done".to_owned()
            });
            there.done.set();
        });
        pending
    }

    fn status(&self) -> String {
        let completion = self.completion.lock();
        completion
            .as_ref()
            .map_or_else(|| "nothing".to_owned(), |done| done.status.to_string())
    }
}

/// The operations of a plan, read.
struct Steps {
    before: Vec<Step>,
    request: Op,
    against: Vec<Step>,
}

impl Plan {
    fn steps(&self) -> Result<Steps, String> {
        let all = |texts: &[String]| -> Result<Vec<Step>, String> {
            texts.iter().map(|text| parse(text)).collect()
        };
        let request = parse(&self.request)?;
        if request.path.is_some() {
            return Err(format!(
                "{:?}: the request is for the device explored",
                self.request
            ));
        }
        Ok(Steps {
            before: all(&self.before)?,
            request: request.op,
            against: all(&self.against)?,
        })
    }

    /// Sees whether the operations can be read and the images are there.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        self.steps()?;
        for image in &self.images {
            if !image.is_file() {
                return Err(format!("{} is no file: build it first", image.display()));
            }
        }
        Ok(())
    }

    fn path(&self, stack: &Stack) -> Result<String, String> {
        match &self.open {
            None => stack.device_name(),
            Some(interface) if interface.starts_with('{') => {
                let instance = self.instance.replace('\\', "#");
                Ok(format!("\\\\?\\{instance}#{}", interface.to_lowercase()))
            }
            Some(path) => Ok(path.clone()),
        }
    }

    /// The settings its images run under.
    pub fn configure(&self) {
        let mut settings = verify::settings().clone();
        settings.verifier_on = self.verifier;
        settings.kmdf_minor = self.kmdf_minor;
        verify::configure(settings);
    }

    /// Runs it, on a machine that is explored.
    ///
    /// # Errors
    /// The stack or a program does not get as far as the race.
    pub fn run(&self) -> Result<(), String> {
        let steps = self.steps()?;
        let images: Vec<&Path> = self.images.iter().map(PathBuf::as_path).collect();
        let stack = Stack::build(&self.instance, &images)?;
        let program = Process::new("program");
        let open = |path: &str| {
            program
                .open(path, ALL_ACCESS, SHARE_ALL)
                .map_err(|status| format!("{path} cannot be opened: {status}"))
        };
        let device = open(&self.path(&stack)?)?;
        let handle_for = |step: &Step| match &step.path {
            Some(path) => open(path),
            None => Ok(Arc::clone(&device)),
        };
        for (step, text) in steps.before.iter().zip(&self.before) {
            let done = handle_for(step)?.run(step.op.clone());
            if !done.status.is_success() {
                return Err(format!("{text:?}, before the race, gave {}", done.status));
            }
        }
        let against = steps
            .against
            .into_iter()
            .map(|step| Ok((handle_for(&step)?, step.op)))
            .collect::<Result<Vec<_>, String>>()?;
        let held = (self.race != Race::StartCancel)
            .then(|| Pending::start(&device, steps.request.clone()));

        if !self.preempt.is_empty() {
            loader::preempt(&self.preempt)?;
        }
        begin(self.slack_us * 10);
        let started = Arc::new(Lock::new(held));
        let mut threads = Vec::new();
        let mut run = |name: &str, body: Box<dyn FnOnce() + Send>| {
            threads.push(sched::spawn(name, body));
        };
        let (handle, process) = (Arc::clone(&device), Arc::clone(&program));
        match self.race {
            Race::Cancel => run("canceler", Box::new(move || _ = handle.cancel_all())),
            Race::StartCancel => {
                let (starter, slot) = (Arc::clone(&device), Arc::clone(&started));
                let op = steps.request;
                run(
                    "starter",
                    Box::new(move || {
                        let pending = Pending::start(&starter, op);
                        *slot.lock() = Some(pending);
                    }),
                );
                run("canceler", Box::new(move || _ = handle.cancel_all()));
            }
            Race::Close => run("closer", Box::new(move || handle.close())),
            Race::Exit => run("killer", Box::new(move || process.kill())),
            Race::Remove => {
                let node = Arc::clone(stack.node());
                run(
                    "remover",
                    Box::new(move || {
                        let removed = node.surprise_remove();
                        expect(removed.is_ok(), || {
                            format!("the surprise removal gave {removed:?}")
                        });
                    }),
                );
            }
        }
        for (handle, op) in against {
            run("other", Box::new(move || drop(handle.run(op))));
        }
        for thread in threads {
            thread.join();
        }
        end();

        let pending = started.lock().take();
        if let Some(pending) = pending {
            if !pending.done.is_set() {
                device.cancel_all();
            }
            pending.done.wait();
            world::outcome(&pending.status());
        }
        program.kill();
        expect(program.outstanding() == 0, || {
            format!(
                "{} requests of the program are left after its exit",
                program.outstanding()
            )
        });
        drop((device, program));
        if self.unload {
            // A file whose last request was completed at DISPATCH_LEVEL is closed by a worker thread.
            workitem::wait_idle();
            let unloaded = if self.race == Race::Remove {
                stack.node().wait_removed();
                stack.unload()
            } else {
                stack.remove()
            };
            expect(unloaded.is_ok(), || unloaded.err().unwrap_or_default());
            let leaks = verify::leak_report();
            expect(leaks.is_empty(), || leaks.to_string());
        }
        Ok(())
    }
}
