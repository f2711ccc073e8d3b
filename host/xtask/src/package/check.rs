//! Checks finished package folders: every signature, and that the catalogue vouches for every file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::files::Package;
use crate::{process, project::Project, toolchain};

/// Fails unless `file` carries a signature of `certificate` over what it now contains.
pub fn signature(file: &Path, certificate: &Path) -> Result<()> {
    let mut verify = Command::new("osslsigncode");
    verify
        .args(["verify", "-CAfile"])
        .arg(certificate)
        .arg("-in")
        .arg(file);
    process::output(&mut verify)
        .map(|_| ())
        .with_context(|| format!("{} has no good signature", file.display()))
}

/// Fails unless the catalogue, signed by `certificate`, holds the hash of `file`.
fn in_catalogue(file: &Path, catalogue: &Path, certificate: &Path) -> Result<()> {
    let mut verify = Command::new("osslsigncode");
    verify
        .args(["verify", "-catalog"])
        .arg(catalogue)
        .arg("-CAfile")
        .arg(certificate)
        .arg("-in")
        .arg(file);
    process::output(&mut verify)
        .map(|_| ())
        .with_context(|| format!("{} does not vouch for {}", shown(catalogue), shown(file)))
}

fn shown(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Checks every folder; gives the number of checks.
pub fn folders(
    project: &Project,
    folders: &[PathBuf],
    certificate: Option<&Path>,
) -> Result<usize> {
    toolchain::signing()?;
    let own = project.path("target/package/signing/certificate.pem");
    let certificate = pem(project, certificate.unwrap_or(&own))?;
    let mut checks = 0;
    for folder in folders {
        let name = folder
            .file_name()
            .with_context(|| format!("{} is no package folder", folder.display()))?;
        let package = Package::new(&name.to_string_lossy(), folder.clone());
        let (image, catalogue) = (package.file("sys"), package.file("cat"));
        signature(&image, &certificate)?;
        checks += 1;
        println!("ok    {}: signed", image.display());
        if !catalogue.exists() {
            println!(
                "note  {}: no catalogue yet; Inf2Cat makes it",
                folder.display()
            );
            continue;
        }
        signature(&catalogue, &certificate)?;
        in_catalogue(&image, &catalogue, &certificate)?;
        checks += 2;
        println!(
            "ok    {}: signed, and has the hash of {}",
            catalogue.display(),
            shown(&image)
        );
    }
    Ok(checks)
}

/// The certificate as PEM, which is what osslsigncode trusts.
fn pem(project: &Project, certificate: &Path) -> Result<PathBuf> {
    let bytes = fs::read(certificate).with_context(|| {
        format!(
            "{} (give the certificate with --certificate FILE)",
            certificate.display()
        )
    })?;
    if bytes.starts_with(b"-----BEGIN") {
        return Ok(certificate.into());
    }
    let converted = project.path("target/package/checked-certificate.pem");
    fs::create_dir_all(project.path("target/package"))?;
    let mut openssl = Command::new("openssl");
    openssl
        .args(["x509", "-inform", "DER", "-in"])
        .arg(certificate)
        .arg("-out")
        .arg(&converted);
    process::output(&mut openssl)?;
    Ok(converted)
}
