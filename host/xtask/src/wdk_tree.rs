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

use crate::{kmdf::KmdfVersion, process, project::Project, toolchain::Toolchain, wdf_header};

const MINGW_INCLUDE: &str = "/usr/share/mingw-w64/include";
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
}

impl WdkTree {
    /// Writes the tree for `kmdf` unless it is there already.
    pub fn assemble(project: &Project, tools: &Toolchain, kmdf: KmdfVersion) -> Result<Self> {
        let wdf = wdf_header::generate(&project.path("cross/tables"), kmdf)?;
        let mut files = vec![(format!("Include/wdf/kmdf/{kmdf}/wdf.h"), wdf.into_bytes())];
        collect(
            &project.path("cross/include/wdf"),
            &format!("Include/wdf/kmdf/{kmdf}"),
            &mut files,
        )?;
        collect(
            &project.path("cross/include/km"),
            &format!("Include/{SDK}/km"),
            &mut files,
        )?;
        collect(
            &project.path("cross/include/shared"),
            &format!("Include/{SDK}/shared"),
            &mut files,
        )?;
        collect(&project.path("cross/defs"), "defs", &mut files)?;
        collect(
            &project.path("cross/wdf-driver-entry"),
            "wdf-driver-entry",
            &mut files,
        )?;
        collect(&project.path("cross/wdk-build"), "wdk-build", &mut files)?;
        files.push(("driver-model.toml".into(), driver_model(kmdf).into_bytes()));

        let mut hash = Sha256::new();
        hash.update(tools.identity()?);
        for (name, contents) in &files {
            hash.update(format!("{name} {}\n", contents.len()));
            hash.update(contents);
        }
        let key: String = hash
            .finalize()
            .iter()
            .take(6)
            .map(|b| format!("{b:02x}"))
            .collect();
        let folder = project.cross_target().join(format!("kmdf-{kmdf}-{key}"));
        let tree = Self {
            root: folder.join("wdk"),
            target: folder.join("build"),
            kmdf,
        };

        let done = folder.join("complete");
        if !done.exists() {
            for (name, contents) in &files {
                let path = tree.root.join(name);
                fs::create_dir_all(path.parent().context("a file has a folder")?)?;
                fs::write(&path, contents).with_context(|| path.display().to_string())?;
            }
            tree.import_libraries(tools)?;
            fs::write(done, "")?;
        }
        Ok(tree)
    }

    /// The manifest that tells the `wdk-build` stand-in which KMDF version this is.
    pub fn driver_model_manifest(&self) -> PathBuf {
        self.root.join("driver-model.toml")
    }

    /// Folder of `ntoskrnl.lib` and `hal.lib`.
    pub fn kernel_libraries(&self) -> PathBuf {
        self.root.join("Lib").join(SDK).join("km/x64")
    }

    /// Folder of `WdfLdr.lib` and `WdfDriverEntry.lib`.
    pub fn wdf_libraries(&self) -> PathBuf {
        self.root.join(format!("Lib/wdf/kmdf/x64/{}", self.kmdf))
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

    fn import_libraries(&self, tools: &Toolchain) -> Result<()> {
        fs::create_dir_all(self.kernel_libraries())?;
        fs::create_dir_all(self.wdf_libraries())?;
        for (name, folder) in [
            ("ntoskrnl", self.kernel_libraries()),
            ("hal", self.kernel_libraries()),
            ("WdfLdr", self.wdf_libraries()),
        ] {
            process::output(
                Command::new(tools.llvm("llvm-dlltool"))
                    .args(["-m", "i386:x86-64", "-d"])
                    .arg(self.root.join("defs").join(format!("{name}.def")))
                    .arg("-l")
                    .arg(folder.join(format!("{name}.lib"))),
            )?;
        }
        // wdk-sys names these; nothing in them is used by a Rust driver.
        for empty in ["BufferOverflowFastFailK", "wmilib"] {
            fs::write(
                self.kernel_libraries().join(format!("{empty}.lib")),
                b"!<arch>\n",
            )?;
        }
        Ok(())
    }
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
