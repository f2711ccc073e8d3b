//! Assembles a tree shaped like an installed WDK from the files in `cross/`.
//!
//! The tree and everything compiled against it live in a folder named by a hash of its headers, the
//! KMDF version and the compiler: `wdk-macros` caches what it read from the headers and never looks
//! again, so a changed header must mean another folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::{
    arch::Arch, kmdf::KmdfVersion, process, project::Project, toolchain::Toolchain, wdf_header,
};

/// Debian's mingw-w64 headers, which the kit's own lie before.
pub const MINGW_INCLUDE: &str = "/usr/share/mingw-w64/include";
const SDK: &str = "10.0.26100.0";

/// A WDK-shaped tree on disk, and the target folder that belongs to it.
#[derive(Debug)]
pub struct WdkTree {
    /// `WDKContentRoot`.
    pub root: PathBuf,
    /// Cargo's target folder for builds against this tree.
    pub target: PathBuf,
    /// The KMDF version of its `wdf.h`.
    pub kmdf: KmdfVersion,
    /// What its libraries are for.
    pub arch: Arch,
}

impl WdkTree {
    /// Brings the tree for `kmdf` up to date.
    pub fn assemble(project: &Project, tools: &Toolchain, kmdf: KmdfVersion) -> Result<Self> {
        Self::assemble_for(project, tools, kmdf, Arch::Amd64)
    }

    /// Brings the tree for `kmdf` and `arch` up to date.
    pub fn assemble_for(
        project: &Project,
        tools: &Toolchain,
        kmdf: KmdfVersion,
        arch: Arch,
    ) -> Result<Self> {
        let cross = project.path("cross");
        let wdf = wdf_header::generate(&cross.join("tables"), kmdf)?;
        let wdf_folder = format!("Include/wdf/kmdf/{kmdf}");
        let mut headers = vec![(format!("{wdf_folder}/wdf.h"), wdf.into_bytes())];
        collect(&cross.join("include/wdf"), &wdf_folder, &mut headers)?;
        collect(
            &cross.join("include/km"),
            &format!("Include/{SDK}/km"),
            &mut headers,
        )?;
        collect(
            &cross.join("include/shared"),
            &format!("Include/{SDK}/shared"),
            &mut headers,
        )?;

        if arch == Arch::Arm64 {
            // What mingw's headers do not know of that processor, found before everything else.
            let first = format!("Include/{SDK}/km/crt");
            collect(&cross.join("include/arm64"), &first, &mut headers)?;
        }

        // It decides what bindgen is told.
        collect(&cross.join("wdk-build"), "wdk-build", &mut headers)?;

        let key = key(&tools.identity()?, &headers);
        let family = match arch {
            Arch::Amd64 => format!("kmdf-{kmdf}-"),
            Arch::Arm64 => format!("arm64-kmdf-{kmdf}-"),
        };
        let folder = project.cross_target().join(format!("{family}{key}"));
        if !folder.exists() {
            remove_stale(project, &family)?;
        }
        let tree = Self {
            root: folder.join("wdk"),
            target: folder.join("build"),
            kmdf,
            arch,
        };

        let mut files = headers;
        collect(
            &cross.join("wdf-driver-entry"),
            "wdf-driver-entry",
            &mut files,
        )?;
        files.push(("driver-model.toml".into(), driver_model(kmdf).into_bytes()));
        for (name, contents) in &files {
            write_if_changed(&tree.root.join(name), contents)?;
        }
        tree.import_libraries(&cross.join("defs"), tools)?;
        Ok(tree)
    }

    /// The manifest that tells the `wdk-build` stand-in which KMDF version this is.
    pub fn driver_model_manifest(&self) -> PathBuf {
        self.root.join("driver-model.toml")
    }

    /// Folder of `ntoskrnl.lib` and `hal.lib`.
    pub fn kernel_libraries(&self) -> PathBuf {
        self.root
            .join("Lib")
            .join(SDK)
            .join("km")
            .join(self.arch.in_wdk())
    }

    /// Folder of `WdfLdr.lib` and `WdfDriverEntry.lib`.
    pub fn wdf_libraries(&self) -> PathBuf {
        self.root
            .join(format!("Lib/wdf/kmdf/{}/{}", self.arch.in_wdk(), self.kmdf))
    }

    /// Where headers are searched, in order.
    pub fn include_folders(&self, wdf: bool) -> Vec<PathBuf> {
        let sdk = self.root.join("Include").join(SDK);
        let mut folders = vec![sdk.join("km/crt"), sdk.join("km"), sdk.join("shared")];
        if wdf {
            folders.push(self.root.join(format!("Include/wdf/kmdf/{}", self.kmdf)));
        }
        folders.push(Path::new(MINGW_INCLUDE).join("ddk"));
        folders.push(MINGW_INCLUDE.into());
        folders
    }

    /// Makes the import libraries whose list changed; whoever links them is told by their time.
    fn import_libraries(&self, defs: &Path, tools: &Toolchain) -> Result<()> {
        for (name, folder) in [
            ("ntoskrnl", self.kernel_libraries()),
            ("hal", self.kernel_libraries()),
            ("WdfLdr", self.wdf_libraries()),
        ] {
            let def = fs::read(defs.join(format!("{name}.def")))?;
            let used = self.root.join("defs").join(format!("{name}.def"));
            let library = folder.join(format!("{name}.lib"));
            if write_if_changed(&used, &def)? || !library.exists() {
                fs::create_dir_all(folder)?;
                let mut dlltool = Command::new(tools.llvm("llvm-dlltool"));
                dlltool
                    .args(["-m", self.arch.dlltool_machine(), "-d"])
                    .arg(&used)
                    .arg("-l")
                    .arg(library);
                process::output(&mut dlltool)?;
            }
        }
        // wdk-sys names the first two, tracelogging the third (for new GUIDs in user mode); nothing in them is used by a Rust driver.
        for empty in ["BufferOverflowFastFailK", "wmilib", "rpcrt4"] {
            let library = self.kernel_libraries().join(format!("{empty}.lib"));
            write_if_changed(&library, b"!<arch>\n")?;
        }
        Ok(())
    }
}

/// Names what bindings depend on: the compiler and every byte of the headers.
fn key(compiler: &str, headers: &[(String, Vec<u8>)]) -> String {
    let mut hash = Sha256::new();
    hash.update(compiler);
    for (name, contents) in headers {
        hash.update(format!("{name} {}\n", contents.len()));
        hash.update(contents);
    }
    hash.finalize()
        .iter()
        .take(6)
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// Removes the folders of earlier headers: those whose name starts like the new one's.
fn remove_stale(project: &Project, family: &str) -> Result<()> {
    let Ok(entries) = fs::read_dir(project.cross_target()) else {
        return Ok(()); // nothing was built yet
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(family) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Writes a file unless it has these contents already; true if it wrote.
pub fn write_if_changed(path: &Path, contents: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|old| old == contents) {
        return Ok(false);
    }
    fs::create_dir_all(path.parent().context("a file has a folder")?)?;
    fs::write(path, contents).with_context(|| path.display().to_string())?;
    Ok(true)
}

fn driver_model(kmdf: KmdfVersion) -> String {
    format!(
        "[workspace.metadata.wdk.driver-model]\ndriver-type = \"KMDF\"\nkmdf-version-major = 1\n\
         target-kmdf-version-minor = {}\n",
        kmdf.minor()
    )
}

/// Adds every file below `from` as `to/…`, in a fixed order.
fn collect(from: &Path, to: &str, files: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(from)
        .with_context(|| from.display().to_string())?
        .collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{to}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "target" {
                collect(&entry.path(), &name, files)?;
            }
        } else if entry.file_name() != "Cargo.lock" {
            files.push((name, fs::read(entry.path())?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Issue: changing a header never leaves stale bindings behind. wdk-macros caches per folder.
    #[test]
    fn one_changed_byte_of_a_header_means_another_folder() {
        let header = |text: &str| vec![("wdf.h".to_string(), text.as_bytes().to_vec())];
        let before = key("rustc 1.96", &header("a"));
        assert_eq!(before, key("rustc 1.96", &header("a")));
        assert_ne!(before, key("rustc 1.96", &header("b")));
        assert_ne!(before, key("rustc 1.97", &header("a")));
    }
}
