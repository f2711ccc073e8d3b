//! What stampinf does, from one place: date and version stand in the driver workspace's Cargo.toml.
//!
//! Every flow (cargo-make, cargo-wdk, `cargo xtask package` on Linux and on Windows) stamps with this, so the
//! same source gives the same INF everywhere, whatever the clock of the machine says.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::{arch::Arch, kmdf::KmdfVersion, project::Project};

/// What is written into an INF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// mm/dd/yyyy, as DriverVer wants it.
    pub date: String,
    /// w.x.y.z.
    pub version: String,
    /// `$ARCH$`.
    pub arch: Arch,
    /// `$KMDFVERSION$`.
    pub kmdf: KmdfVersion,
}

impl Stamp {
    /// Date and version of the workspace; its KMDF version too unless the image was built for another.
    pub fn of(project: &Project, arch: Arch, kmdf: Option<KmdfVersion>) -> Result<Self> {
        let path = project.path("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Self::read(&text, arch, kmdf).with_context(|| path.display().to_string())
    }

    fn read(manifest: &str, arch: Arch, kmdf: Option<KmdfVersion>) -> Result<Self> {
        let manifest: toml::Table = toml::from_str(manifest)?;
        let at = |path: &[&str]| {
            let mut value = manifest.get("workspace");
            for key in path {
                value = value.and_then(|v| v.get(key));
            }
            value.with_context(|| format!("workspace.{} is missing", path.join(".")))
        };
        let text = |path: &[&str]| {
            let value = at(path)?.as_str();
            value.with_context(|| format!("workspace.{} is no text", path.join(".")))
        };
        let minor = at(&[
            "metadata",
            "wdk",
            "driver-model",
            "target-kmdf-version-minor",
        ])?;
        let own = format!("1.{minor}")
            .parse()
            .map_err(anyhow::Error::msg)
            .context("workspace.metadata.wdk.driver-model.target-kmdf-version-minor")?;
        Ok(Self {
            date: inf_date(text(&["metadata", "driver-ver", "date"])?)?,
            version: inf_version(text(&["package", "version"])?)?,
            arch,
            kmdf: kmdf.unwrap_or(own),
        })
    }

    /// The INF that `inx` becomes. Lines end as Windows tools end them.
    pub fn fill(&self, inx: &str) -> Result<String> {
        let mut inf = String::with_capacity(inx.len());
        let (mut in_version, mut dated) = (false, false);
        for line in inx.lines() {
            let bare = line.trim();
            if bare.starts_with('[') {
                in_version = bare.eq_ignore_ascii_case("[Version]");
            }
            let stamped = match bare.split_once('=') {
                Some((key, _)) if in_version && key.trim().eq_ignore_ascii_case("DriverVer") => {
                    dated = true;
                    format!("DriverVer   = {},{}", self.date, self.version)
                }
                _ => line
                    .replace("$ARCH$", self.arch.in_inf())
                    .replace("$KMDFVERSION$", &self.kmdf.to_string()),
            };
            inf.push_str(&stamped);
            inf.push_str("\r\n");
        }
        if !dated {
            bail!("there is no DriverVer in [Version] to fill in");
        }
        Ok(inf)
    }

    /// Writes the INF that the file `inx` becomes.
    pub fn write(&self, inx: &Path, inf: &Path) -> Result<()> {
        let text = fs::read_to_string(inx).with_context(|| inx.display().to_string())?;
        let filled = self
            .fill(&text)
            .with_context(|| inx.display().to_string())?;
        fs::write(inf, filled).with_context(|| inf.display().to_string())
    }
}

/// `2026-11-30` as `11/30/2026`. Whether the day exists is for the INF lint to say.
fn inf_date(iso: &str) -> Result<String> {
    let parts: Vec<&str> = iso.split('-').collect();
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    match parts[..] {
        [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => {
            Ok(format!("{month}/{day}/{year}"))
        }
        _ => bail!("workspace.metadata.driver-ver.date is {iso:?}; write it as \"2026-11-30\""),
    }
}

/// `1.2.3` as `1.2.3.0`.
fn inf_version(semver: &str) -> Result<String> {
    let numbers: Vec<Option<u16>> = semver.split('.').map(|part| part.parse().ok()).collect();
    if numbers.len() != 3 || numbers.contains(&None) {
        bail!(
            "workspace.package.version is {semver:?}; DriverVer can hold three plain numbers only"
        );
    }
    Ok(format!("{semver}.0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace.package]\nversion = \"0.2.7\"\n\
        [workspace.metadata.driver-ver]\ndate = \"2026-11-30\"\n\
        [workspace.metadata.wdk.driver-model]\ntarget-kmdf-version-minor = 15\n";

    fn stamp() -> Stamp {
        Stamp::read(MANIFEST, Arch::Amd64, None).expect("the manifest is whole")
    }

    #[test]
    fn date_version_architecture_and_kmdf_version_are_filled_in() {
        let inx = "[Version]\nDriverVer = ; later\n[M]\nNT$ARCH$ = x\nKmdfLibraryVersion = $KMDFVERSION$\n";
        let inf = stamp().fill(inx).expect("fills");
        assert_eq!(
            inf,
            "[Version]\r\nDriverVer   = 11/30/2026,0.2.7.0\r\n[M]\r\nNTamd64 = x\r\nKmdfLibraryVersion = 1.15\r\n"
        );
    }

    #[test]
    fn a_driver_ver_of_another_section_is_left_alone() {
        let inx = "[Version]\nDriverVer =\n[Strings]\nDriverVer = \"a name\"\n";
        let inf = stamp().fill(inx).expect("fills");
        assert!(inf.contains("DriverVer = \"a name\""), "{inf}");
    }

    #[test]
    fn an_inx_without_driver_ver_is_refused() {
        let error = stamp().fill("[Version]\nClass = System\n");
        let error = error.expect_err("nothing to date").to_string();
        assert!(error.contains("DriverVer"), "{error}");
    }

    #[test]
    fn an_image_for_another_kmdf_version_says_so() {
        let kmdf = "1.31".parse().expect("a version");
        let stamp = Stamp::read(MANIFEST, Arch::Arm64, Some(kmdf)).expect("whole");
        assert_eq!((stamp.kmdf, stamp.arch), (kmdf, Arch::Arm64));
    }

    #[test]
    fn a_date_or_version_an_inf_cannot_hold_is_refused_by_name() {
        for (good, bad, named) in [
            ("2026-11-30", "30.11.2026", "driver-ver.date"),
            ("0.2.7", "0.2.7-beta", "package.version"),
            ("0.2.7", "0.2.70000", "package.version"),
        ] {
            let error = Stamp::read(&MANIFEST.replace(good, bad), Arch::Amd64, None);
            let error = error.expect_err(bad).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
