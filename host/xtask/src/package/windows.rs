//! The WDK's own tools over the package folders: InfVerif, SignTool, Inf2Cat. They exist on Windows only, so
//! what is tested here is which of them is called, with what, and in which order.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{files::Package, linux::SUBJECT};
use crate::{arch::Arch, process};

/// InfVerif wants its modes one at a time: Windows driver, universal driver, signature requirements.
const INFVERIF_MODES: [&str; 3] = ["/w", "/u", "/h"];

/// Runs every tool over every package; gives the number of tools that were content.
pub fn finish(packages: &[Package], arch: Arch, sign: bool) -> Result<usize> {
    let mut run = 0;
    let kits = kit_folders(Path::new(r"C:\Program Files (x86)\Windows Kits\10"));
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(env::split_paths(&path).chain(kits))?;
    for package in packages {
        for mut command in commands(package, arch, sign) {
            command.env("PATH", &path);
            process::run(&mut command).with_context(|| advice(&command))?;
            run += 1;
        }
    }
    Ok(run)
}

/// The newest kit's folders of tools: what is in the PATH already goes first.
fn kit_folders(root: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for part in ["bin", "Tools"] {
        let versions = fs::read_dir(root.join(part)).into_iter().flatten();
        let mut versions: Vec<(Vec<u32>, PathBuf)> = versions
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let name = entry.file_name();
                let numbers: Result<Vec<u32>, _> =
                    name.to_str()?.split('.').map(str::parse).collect();
                Some((numbers.ok()?, entry.path()))
            })
            .collect();
        versions.sort();
        if let Some((_, newest)) = versions.pop() {
            // Inf2Cat exists for x86 only.
            folders.extend([newest.join("x64"), newest.join("x86")]);
        }
    }
    folders
}

fn commands(package: &Package, arch: Arch, sign: bool) -> Vec<Command> {
    let (sys, cat, inf) = (
        package.file("sys"),
        package.file("cat"),
        package.file("inf"),
    );
    let mut all = Vec::new();
    for mode in INFVERIF_MODES {
        let mut infverif = Command::new("infverif");
        infverif.args(["/v", mode]).arg(&inf);
        all.push(infverif);
    }
    let signtool = |verb: &str| {
        let mut signtool = Command::new("signtool");
        signtool.arg(verb);
        signtool
    };
    let sign_with_test_certificate = |file| {
        let mut command = signtool("sign");
        command
            .args(["/v", "/fd", "SHA256", "/n", SUBJECT])
            .arg(file);
        command
    };
    if sign {
        all.push(sign_with_test_certificate(&sys));
    }
    let mut inf2cat = Command::new("inf2cat");
    inf2cat
        .arg(format!("/driver:{}", package.folder.display()))
        .arg(format!("/os:{}", arch.inf2cat_os()))
        .arg("/uselocaltime");
    all.push(inf2cat);
    if sign {
        all.push(sign_with_test_certificate(&cat));
        for file in [&sys, &inf] {
            let mut verify = signtool("verify");
            verify.args(["/v", "/pa", "/c"]).arg(&cat).arg(file);
            all.push(verify);
        }
    }
    all
}

/// What to do when a tool refuses or cannot be started.
fn advice(command: &Command) -> String {
    let tool = command.get_program().to_string_lossy().into_owned();
    let words: Vec<_> = command.get_args().collect();
    match tool.as_str() {
        "infverif" if words.iter().any(|w| *w == "/h") => {
            "InfVerif /h came with the WDK of Windows 11 24H2: install that WDK, and have its tools folder in the PATH"
        }
        "infverif" => {
            "the INF breaks a rule InfVerif names above; if the program was not found, put the WDK's \
             tools\\<version>\\x64 in the PATH"
        }
        "inf2cat" => {
            "Inf2Cat names the rule above; if the program was not found, put the Windows kit's bin\\<version>\\x86 in the PATH"
        }
        _ if words.first().is_some_and(|w| *w == "verify") => {
            "the certificate must be in the machine's Root and TrustedPublisher stores: scripts\\certificate.ps1 -Trust"
        }
        _ => "the test certificate must exist: scripts\\certificate.ps1 makes it",
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(sign: bool) -> Vec<String> {
        let package = Package::new("ferry", "pkg".into());
        let all = commands(&package, Arch::Amd64, sign);
        all.iter().map(process::display).collect()
    }

    fn position(lines: &[String], start: &str) -> usize {
        let found = lines.iter().position(|l| l.starts_with(start));
        found.unwrap_or_else(|| panic!("no {start} in {lines:#?}"))
    }

    /// filter-rules 21: sign the .sys, then the catalogue.
    #[test]
    fn the_image_is_signed_before_the_catalogue_is_made_and_the_catalogue_signed_last() {
        let lines = lines(true);
        let signed: Vec<usize> = (0..lines.len())
            .filter(|i| lines[*i].starts_with("signtool sign"))
            .collect();
        let made = position(&lines, "inf2cat");
        assert!(
            lines[signed[0]].contains("ferry.sys") && signed[0] < made,
            "{lines:#?}"
        );
        assert!(
            lines[signed[1]].contains("ferry.cat") && made < signed[1],
            "{lines:#?}"
        );
        assert!(
            position(&lines, "signtool verify") > signed[1],
            "{lines:#?}"
        );
    }

    /// filter-rules 19: InfVerif /w, /u and /h are run separately.
    #[test]
    fn infverif_is_run_once_for_each_mode_and_before_anything_is_signed() {
        let lines = lines(true);
        for mode in INFVERIF_MODES {
            let of_mode = lines.iter().filter(|l| {
                l.starts_with("infverif")
                    && INFVERIF_MODES.iter().all(|m| l.contains(m) == (*m == mode))
            });
            assert_eq!(of_mode.count(), 1, "{mode}: {lines:#?}");
        }
        assert!(position(&lines, "infverif") < position(&lines, "signtool"));
    }

    #[test]
    fn an_unsigned_package_still_gets_its_catalogue_and_is_never_signed() {
        let lines = lines(false);
        assert!(
            !lines.iter().any(|l| l.starts_with("signtool")),
            "{lines:#?}"
        );
        position(&lines, "inf2cat");
    }

    #[test]
    fn the_tools_of_the_newest_kit_are_found_without_a_developer_prompt() {
        let root = env::temp_dir().join(format!("ferry-kits-{}", std::process::id()));
        for folder in [
            "bin/10.0.9999.0",
            "bin/10.0.26100.0",
            "bin/x64",
            "Tools/10.0.26100.0",
        ] {
            fs::create_dir_all(root.join(folder)).expect("made");
        }
        let found = kit_folders(&root);
        fs::remove_dir_all(&root).expect("removed");
        let newest = root.join("bin/10.0.26100.0");
        assert_eq!(found[..2], [newest.join("x64"), newest.join("x86")]);
        assert_eq!(found.len(), 4);
        assert!(kit_folders(Path::new("nowhere")).is_empty());
    }

    #[test]
    fn every_tool_that_refuses_comes_with_what_to_do() {
        let package = Package::new("ferry", "pkg".into());
        for command in commands(&package, Arch::Arm64, true) {
            assert!(advice(&command).contains('\\') || advice(&command).contains("WDK"));
        }
    }
}
