//! `cargo xtask lint-inf`: our rules for INF files, checked where no Windows tool runs.
//!
//! Most of them are of the kind Microsoft's InfVerif checks; the rest are this project's own
//! (filter-rules 19, practice 3). Passing here does not replace InfVerif `/w`, `/u` and `/h`, which
//! the Windows job runs: it only makes their verdict known earlier. A rule is a row of [`rule`], the
//! code that applies it is in [`checks`], and `tests/bad` holds a file that breaks it.

mod bind_info;
mod checks;
mod lint;
mod parse;
mod rule;
#[cfg(test)]
mod tests;
mod text;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use checks::{
    files, filters, install, models, references, registry, services, together, version, wdf,
};
use lint::Lint;
use parse::Inf;
use rule::{Finding, Rule, Weight};

use crate::kmdf::KmdfVersion;
use crate::project::Project;

/// What `lint-inf` is asked on the command line.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// INF or INX files; they are also compared with each other. Default: inf/*.inx
    files: Vec<PathBuf>,
    /// KMDF version the images were built for. Default: what each image in target/images says
    #[arg(long)]
    kmdf: Option<KmdfVersion>,
    /// Show the rules and where they come from instead
    #[arg(long)]
    rules: bool,
}

impl Args {
    /// These stamped files, whose images were built for `kmdf`.
    pub fn of_files(files: Vec<PathBuf>, kmdf: KmdfVersion) -> Self {
        Self {
            files,
            kmdf: Some(kmdf),
            rules: false,
        }
    }
}

/// Whether stampinf has filled the file in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `.inx`: before stampinf.
    Inx,
    /// `.inf`: as Windows reads it.
    Inf,
}

/// What is known of the images the packages will hold.
#[derive(Debug, Default)]
struct Settings {
    /// Version given by the caller: holds for every image.
    kmdf: Option<KmdfVersion>,
    /// Folder of finished images.
    images: Option<PathBuf>,
}

impl Settings {
    /// The KMDF version of the image called `binary`, and who says so.
    fn kmdf_of(&self, binary: Option<&str>) -> Option<((u32, u32), String)> {
        if let Some(kmdf) = self.kmdf {
            return Some(((1, kmdf.minor().into()), "--kmdf says the image".into()));
        }
        let path = self.images.as_ref()?.join(binary?);
        let version = bind_info::kmdf_version(&std::fs::read(&path).ok()?)?;
        Some((version, path.display().to_string()))
    }
}

/// What was found in one file.
#[derive(Debug)]
struct Report {
    path: PathBuf,
    findings: Vec<Finding>,
    /// Services the package owns, with the line of their AddService.
    services: Vec<(String, usize)>,
    /// Its ExtensionId, with the line.
    extension_id: Option<(String, usize)>,
}

/// Lints the files and prints what was found.
///
/// # Errors
/// If a file cannot be read, or an error was found in one.
pub fn run(project: &Project, args: Args) -> Result<()> {
    if args.rules {
        for rule in Rule::ALL {
            println!("{:<26} {} [{}]", rule.id(), rule.help(), rule.source());
        }
        return Ok(());
    }
    let files = if args.files.is_empty() {
        own_files(&project.path("inf"))?
    } else {
        args.files
    };
    let settings = Settings {
        kmdf: args.kmdf,
        images: Some(project.images()),
    };
    let reports = lint_files(&files, &settings)?;
    let (mut errors, mut notes) = (0, 0);
    for report in &reports {
        let shown = report
            .path
            .strip_prefix(project.root())
            .unwrap_or(&report.path);
        for finding in &report.findings {
            let weight = match finding.rule.weight() {
                Weight::Error => {
                    errors += 1;
                    "error"
                }
                Weight::Note => {
                    notes += 1;
                    "note"
                }
            };
            let Finding {
                rule,
                line,
                message,
            } = finding;
            println!("{}:{line}: {weight}[{rule}]: {message}", shown.display());
            println!("    {} ({})", rule.help(), rule.source());
        }
    }
    println!(
        "lint-inf: {} files, {errors} errors, {notes} notes",
        reports.len()
    );
    if errors > 0 {
        bail!("{errors} errors in the INF files, listed above");
    }
    Ok(())
}

/// The INF sources of this repository.
fn own_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        if kind_of(&path).is_some() {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("{} holds no .inx and no .inf file", folder.display());
    }
    files.sort();
    Ok(files)
}

fn kind_of(path: &Path) -> Option<Kind> {
    let extension = path.extension()?.to_str()?;
    match extension.to_ascii_lowercase().as_str() {
        "inx" => Some(Kind::Inx),
        "inf" => Some(Kind::Inf),
        _ => None,
    }
}

/// Lints every file by itself, then all of them against each other.
fn lint_files(files: &[PathBuf], settings: &Settings) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    for path in files {
        let Some(kind) = kind_of(path) else {
            bail!("{} is neither an .inf nor an .inx file", path.display());
        };
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        reports.push(lint_one(path, &bytes, kind, settings));
    }
    together::check(&mut reports);
    for report in &mut reports {
        // A section shared by two architectures is checked twice; say what is wrong with it once.
        report
            .findings
            .sort_by_key(|finding| (finding.line, finding.rule));
        report.findings.dedup();
    }
    Ok(reports)
}

fn lint_one(path: &Path, bytes: &[u8], kind: Kind, settings: &Settings) -> Report {
    let mut findings = Vec::new();
    let text = text::decode(bytes);
    if text.utf16 {
        findings.push(Finding::new(Rule::Utf16, 1, "the file is UTF-16"));
    }
    for line in &text.ambiguous {
        findings.push(Finding::new(
            Rule::Encoding,
            *line,
            "the line is not plain ASCII",
        ));
    }
    let inf = Inf::parse(&text, &mut findings);
    let mut lint = Lint::new(&inf, kind, settings, findings);

    version::check(&mut lint);
    let installs = models::check(&mut lint);
    let mut copied = Vec::new();
    let mut owned = Vec::new();
    for section in installs {
        install::check(&mut lint, section);
        registry::check_install(&mut lint, section);
        let own = files::copied(&mut lint, section);
        let services = services::check(&mut lint, section, &own);
        filters::check(&mut lint, section, &services);
        wdf::check(&mut lint, section, &services);
        copied.extend(own);
        owned.extend(
            services
                .into_iter()
                .map(|service| (service.name, service.line)),
        );
    }
    files::check(&mut lint, &copied);
    references::check(&mut lint);

    let extension_id = inf
        .section("Version")
        .and_then(|version| version.entry("ExtensionId"))
        .map(|entry| (entry.value(0).to_owned(), entry.line));
    Report {
        path: path.to_owned(),
        findings: lint.findings,
        services: owned,
        extension_id,
    }
}
