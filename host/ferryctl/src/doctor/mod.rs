//! `ferryctl doctor`: what is missing for ferry to work here, and the command that mends it.

// Applied on Windows only, tested everywhere.
#[cfg(any(windows, test))]
pub mod check;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::output::Output;
use crate::platform::Result;

#[cfg(windows)]
#[derive(Serialize)]
struct Diagnosis {
    findings: Vec<check::Finding>,
}

#[cfg(windows)]
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let wrong = self
            .findings
            .iter()
            .filter(|finding| finding.weight == check::Weight::Wrong)
            .count();
        match wrong {
            0 => write!(f, "nothing stands in ferry's way"),
            wrong => write!(f, "{wrong} thing(s) to mend, the first one first"),
        }
    }
}

/// Looks. False if something is wrong.
///
/// # Errors
/// Standard output is gone.
#[cfg(windows)]
pub fn run(out: Output, socket: Option<PathBuf>) -> Result<bool> {
    let platform = crate::platform::connect(socket)?;
    let mut facts = crate::platform::machine_facts();
    match crate::ferry::Ferry::open(&*platform).and_then(|ferry| ferry.info()) {
        Ok(info) => facts.info = Some((info.kmdf_minor, info.devices, info.faults)),
        Err(error) => {
            facts.silence = format!("{error:#}")
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        }
    }
    facts.interfaces = platform.interfaces(&ferry_abi::guid::PIER_INTERFACE)?.len();
    let findings = check::check(&facts);
    let wrong = findings
        .iter()
        .any(|finding| finding.weight == check::Weight::Wrong);
    out.say(&Diagnosis { findings })?;
    Ok(!wrong)
}

/// What there is to say where no Windows is.
#[cfg(not(windows))]
#[derive(Serialize)]
struct Elsewhere {
    socket: Option<String>,
    answers: bool,
    seen: String,
}

#[cfg(not(windows))]
impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "This is not Windows: there is no driver to install and nothing to sign. drydock runs the same .sys files."
        )?;
        write!(
            f,
            "{} drydock: {}",
            if self.answers { "ok    " } else { "WRONG " },
            self.seen
        )?;
        if !self.answers {
            write!(
                f,
                "\n       -> cargo xtask build, then: drydock serve --socket PATH --image target/images/pier.sys --upper target/images/ferry.sys\
                 \n       -> and give PATH with --socket or in FERRY_SOCKET. `cargo xtask demo` does all of that once."
            )?;
        }
        write!(
            f,
            "\nOn Windows doctor looks at: Windows build, elevation, test signing, memory integrity, the services ferry and pier,\
             \n\\\\.\\Ferry, KMDF version, pier's interface, Driver Verifier and the KMDF verifier; and names the command that mends each."
        )
    }
}

/// Looks. False if drydock does not answer.
///
/// # Errors
/// Standard output is gone.
#[cfg(not(windows))]
pub fn run(out: Output, socket: Option<PathBuf>) -> Result<bool> {
    let name = socket.as_ref().map(|path| path.display().to_string());
    let seen = crate::platform::connect(socket).and_then(|platform| {
        let ferry = crate::ferry::Ferry::open(&*platform)?;
        let info = ferry.info()?;
        let pier = platform.interfaces(&ferry_abi::guid::PIER_INTERFACE)?.len();
        Ok(format!(
            "ferry answers, built for KMDF 1.{}, {} filter device(s), {} fault(s); {pier} interface(s) of pier",
            info.kmdf_minor, info.devices, info.faults
        ))
    });
    let answers = seen.is_ok();
    let seen = seen.unwrap_or_else(|error| {
        format!("{error:#}")
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    out.say(&Elsewhere {
        socket: name,
        answers,
        seen,
    })?;
    Ok(answers)
}
