//! Test signing on Linux: a certificate by openssl, signatures by osslsigncode.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{check, files::Package};
use crate::{process, project::Project, toolchain};

/// Whom the test certificate names; scripts/certificate.ps1 makes one of the same name on Windows.
pub const SUBJECT: &str = "ferry test signing";

/// A key that signs, and the certificate that says whose it is.
#[derive(Debug)]
pub struct Signer {
    key: PathBuf,
    /// The certificate, PEM.
    pub certificate: PathBuf,
}

impl Signer {
    /// The signer whose key lies in `folder`; made if there is none yet.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        toolchain::signing()?;
        let signer = Self {
            key: folder.join("key.pem"),
            certificate: folder.join("certificate.pem"),
        };
        if !signer.key.exists() || !signer.certificate.exists() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            let mut openssl = Command::new("openssl");
            openssl
                .args(["req", "-x509", "-newkey", "rsa:3072", "-nodes", "-sha256"])
                .args(["-days", "3650", "-subj", &format!("/CN={SUBJECT}")])
                .args(["-addext", "keyUsage=critical,digitalSignature"])
                .args(["-addext", "extendedKeyUsage=codeSigning"])
                .arg("-keyout")
                .arg(&signer.key)
                .arg("-out")
                .arg(&signer.certificate);
            process::output(&mut openssl)?;
        }
        Ok(signer)
    }

    /// Signs the image in place.
    pub fn sign(&self, image: &Path) -> Result<()> {
        let signed = image.with_extension("signed");
        // osslsigncode does not write over a file.
        let _ = fs::remove_file(&signed);
        let mut sign = Command::new("osslsigncode");
        sign.args(["sign", "-h", "sha256", "-n", "ferry", "-certs"])
            .arg(&self.certificate)
            .arg("-key")
            .arg(&self.key)
            .arg("-in")
            .arg(image)
            .arg("-out")
            .arg(&signed);
        process::output(&mut sign)?;
        fs::rename(&signed, image).with_context(|| image.display().to_string())
    }

    /// The certificate as Windows wants it, DER, beside the packages.
    fn export(&self, to: &Path) -> Result<()> {
        let mut openssl = Command::new("openssl");
        openssl
            .args(["x509", "-outform", "DER", "-in"])
            .arg(&self.certificate)
            .arg("-out")
            .arg(to);
        process::output(&mut openssl).map(|_| ())
    }
}

/// Signs every image, exports the certificate, and verifies what was signed; gives the number of checks.
pub fn finish(project: &Project, packages: &[Package]) -> Result<usize> {
    let signer = Signer::in_folder(&project.path("target/package/signing"))?;
    let mut checks = 0;
    for package in packages {
        let image = package.file("sys");
        signer.sign(&image)?;
        check::signature(&image, &signer.certificate)?;
        refuses_a_changed_byte(&image, &signer.certificate)?;
        let beside = package.folder.with_file_name("ferry-test.cer");
        signer.export(&beside)?;
        println!("signed and verified: {}", image.display());
        checks += 2;
    }
    Ok(checks)
}

/// A verification that accepts anything would look the same: it has to refuse a damaged copy.
fn refuses_a_changed_byte(image: &Path, certificate: &Path) -> Result<()> {
    const IN_THE_FIRST_SECTION: usize = 0x400;
    let mut bytes = fs::read(image).with_context(|| image.display().to_string())?;
    *bytes
        .get_mut(IN_THE_FIRST_SECTION)
        .context("the image has no section")? ^= 1;
    let damaged = image.with_extension("damaged");
    fs::write(&damaged, bytes)?;
    let verdict = check::signature(&damaged, certificate);
    fs::remove_file(&damaged)?;
    if verdict.is_ok() {
        bail!(
            "{} with a changed byte still verifies: the check is worth nothing",
            image.display()
        );
    }
    Ok(())
}
