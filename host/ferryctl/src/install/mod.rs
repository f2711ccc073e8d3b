//! Putting ferry above devices: by its extension INF ([`inf`]), or by the device's list of filters.

// Pure logic, tested everywhere; only Windows has devices to apply it to.
#[cfg(any(windows, test))]
mod attach;
#[cfg(any(windows, test))]
mod filters;
mod inf;
#[cfg(any(windows, test))]
mod journal;
#[cfg(any(windows, test))]
mod refuse;

use anyhow::Context;

#[cfg(windows)]
pub use self::{
    attach::{Machine, Restart},
    filters::{FERRY, from_multi_sz, to_multi_sz},
    refuse::Facts,
};
use crate::cli;
use crate::output::Output;
use crate::platform::Result;

/// `ferryctl make-inf`.
///
/// # Errors
/// An id, the version or a file cannot be used.
pub fn make_inf(out: Output, options: &cli::MakeInf) -> Result<()> {
    let text = match &options.from {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?,
        None => inf::OWN.to_owned(),
    };
    let made = inf::add(&text, &options.ids, options.driver_ver.as_deref())?;
    match &options.output {
        Some(path) => std::fs::write(path, made)
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => print!("{made}"),
    }
    out.remark("the package must be catalogued and signed again: docs/install.md");
    Ok(())
}

#[cfg(windows)]
pub use self::windows::{attach, detach};

#[cfg(windows)]
mod windows {
    use std::path::PathBuf;

    use super::attach::{self as steps, Machine};
    use super::journal::Journal;
    use super::{filters, refuse};
    use crate::cli;
    use crate::output::Output;
    use crate::platform::{Result, setup};

    fn journal() -> Journal {
        let folder = std::env::var_os("ProgramData")
            .map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from);
        Journal::at(&folder.join(r"ferry\attach.jsonl"))
    }

    /// A machine whose interrupted changes have been taken back.
    fn ready(out: Output, journal: &Journal) -> Result<setup::Windows> {
        let mut machine = setup::Windows::new()?;
        for instance in steps::recover(&mut machine, journal)? {
            out.remark(&format!(
                "a change of {instance} that was interrupted has been taken back"
            ));
        }
        Ok(machine)
    }

    /// `ferryctl attach`.
    pub fn attach(out: Output, options: &cli::Attach) -> Result<bool> {
        let journal = journal();
        if options.dry_run {
            let mut machine = setup::Windows::new()?;
            let facts = machine.facts(&options.instance)?;
            let installed = machine.is_installed()?;
            refuse::decide(&facts, installed, options.force)?;
            let filters = filters::with_ferry(&facts.filters).unwrap_or(facts.filters);
            let (instance, description) = (facts.instance, facts.description);
            out.say(&steps::Changed {
                instance,
                description,
                filters,
                restart: None,
            })?;
            return Ok(true);
        }
        let mut machine = ready(out, &journal)?;
        out.say(&steps::attach(
            &mut machine,
            &journal,
            &options.instance,
            options.force,
        )?)?;
        Ok(true)
    }

    /// `ferryctl detach`.
    pub fn detach(out: Output, options: &cli::Detach) -> Result<bool> {
        let journal = journal();
        let mut machine = ready(out, &journal)?;
        if let Some(instance) = &options.instance {
            out.say(&steps::detach(&mut machine, &journal, instance)?)?;
            return Ok(true);
        }
        let all = steps::detach_all(&mut machine, &journal)?;
        for changed in &all {
            out.say(changed)?;
        }
        out.remark(&format!("{} device(s) listed ferry", all.len()));
        Ok(true)
    }
}

/// `ferryctl attach` where there are no devices to attach to.
///
/// # Errors
/// Always.
#[cfg(not(windows))]
pub fn attach(_out: Output, options: &cli::Attach) -> Result<bool> {
    let what = if options.dry_run {
        "looking at"
    } else {
        "attaching ferry to"
    };
    anyhow::bail!(
        "{what} {} is for Windows; here drydock builds the stack: drydock serve --image DRIVER.sys --upper ferry.sys",
        options.instance
    )
}

/// `ferryctl detach` where there are no devices to detach from.
///
/// # Errors
/// Always.
#[cfg(not(windows))]
pub fn detach(_out: Output, options: &cli::Detach) -> Result<bool> {
    let which = options.instance.as_deref().unwrap_or("all devices");
    anyhow::bail!(
        "detaching ferry from {which} is for Windows; here drydock builds the stack: leave --upper ferry.sys away"
    )
}
