//! Compiles drivers written in C, against the same headers and libraries as the Rust ones.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    cross_cargo::{CrossCargo, Profile},
    drivers::Image,
    entry_stub,
    kmdf::KmdfVersion,
    process,
    project::Project,
    toolchain::{TARGET, Toolchain},
    wdk_tree::WdkTree,
};

/// What a driver is written against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// KMDF: entered through the stub that binds to the framework.
    Kmdf,
    /// WDM: entered at DriverEntry.
    Wdm,
}

/// A driver in C.
#[derive(Debug)]
pub struct CDriver<'a> {
    /// File name of the image, without `.sys`.
    pub name: &'a str,
    /// What it is written against.
    pub model: Model,
    /// Its source files.
    pub sources: Vec<PathBuf>,
    /// Folders searched for headers before the kit's.
    pub includes: Vec<PathBuf>,
    /// Where the image and its map go.
    pub folder: PathBuf,
    /// Warnings in its own sources are errors; otherwise they are not shown.
    pub strict: bool,
    /// Further options of the compiler.
    pub compile: &'a [String],
    /// Further options of the linker.
    pub link: &'a [String],
}

/// Headers, libraries and entry stub for one KMDF version.
#[derive(Debug)]
pub struct CKit<'a> {
    project: &'a Project,
    tools: Toolchain,
    tree: WdkTree,
}

impl<'a> CKit<'a> {
    /// Prepares what every driver is compiled with.
    pub fn prepare(project: &'a Project, kmdf: KmdfVersion) -> Result<Self> {
        let tools = Toolchain::find()?;
        let tree = WdkTree::assemble(project, &tools, kmdf)?;
        entry_stub::build(&CrossCargo {
            project,
            tools: &tools,
            tree: &tree,
            profile: Profile::Release,
        })?;
        Ok(Self {
            project,
            tools,
            tree,
        })
    }
}

/// Compiles and links one driver.
pub fn build(kit: &CKit<'_>, driver: &CDriver<'_>) -> Result<Image> {
    let CKit {
        project,
        tools,
        tree,
    } = kit;
    let objects = tree.target.with_file_name("c").join(driver.name);
    fs::create_dir_all(&objects)?;
    fs::create_dir_all(&driver.folder)?;
    let mut link = link_command(tools, tree, driver);
    for source in &driver.sources {
        let object = objects
            .join(source.file_name().context("a source is a file")?)
            .with_extension("obj");
        process::output(&mut compile_command(
            project, tools, tree, driver, source, &object,
        ))?;
        link.arg(object);
    }
    let sys = driver.folder.join(format!("{}.sys", driver.name));
    link.arg(format!("/out:{}", sys.display()));
    link.arg(format!("/map:{}", sys.with_extension("map").display()));
    process::output(&mut link)?;
    Image::at(sys)
}

fn compile_command(
    project: &Project,
    tools: &Toolchain,
    tree: &WdkTree,
    driver: &CDriver<'_>,
    source: &Path,
    object: &Path,
) -> Command {
    let mut clang = Command::new(tools.llvm("clang"));
    clang.arg(format!("--target={TARGET}"));
    clang.args(["-c", "-O2", "-std=gnu11", "-ffreestanding", "-nostdinc"]);
    clang.args([
        "-fms-extensions",
        "-fms-compatibility",
        "-mno-mmx",
        "-fno-asynchronous-unwind-tables",
    ]);
    clang.args(["-funwind-tables", "-Werror=implicit-function-declaration"]);
    if driver.strict {
        // Pool tags are multi-character constants, and callbacks rarely use every parameter.
        clang.args(["-Wall", "-Wextra", "-Werror"]);
        clang.args(["-Wno-multichar", "-Wno-four-char-constants"]);
        clang.args(["-Wno-unused-parameter", "-Wno-missing-field-initializers"]);
    } else {
        clang.arg("-w");
    }
    clang.arg(format!(
        "-ffile-prefix-map={}=ferry",
        project.root().display()
    ));
    for define in [
        "_WIN64",
        "_AMD64_",
        "AMD64",
        "_KERNEL_MODE",
        "KMDF_VERSION_MAJOR=1",
    ] {
        clang.arg(format!("-D{define}"));
    }
    clang.arg(format!("-DKMDF_VERSION_MINOR={}", tree.kmdf.minor()));
    for include in &driver.includes {
        clang.arg("-I").arg(include);
    }
    for include in tree.include_folders(driver.model == Model::Kmdf) {
        clang.arg("-isystem").arg(include);
    }
    clang.args(driver.compile);
    clang.arg(source).arg("-o").arg(object);
    clang
}

fn link_command(tools: &Toolchain, tree: &WdkTree, driver: &CDriver<'_>) -> Command {
    let mut link = Command::new(tools.llvm("lld-link"));
    link.args([
        "/driver",
        "/nodefaultlib",
        "/subsystem:native,10.00",
        "/nxcompat",
        "/dynamicbase",
    ]);
    link.args([
        "/opt:ref,icf",
        "/integritycheck",
        "/manifest:no",
        "/release",
        "/brepro",
        "/nologo",
    ]);
    link.args(driver.link);
    let entry = if driver.model == Model::Kmdf {
        "FxDriverEntry"
    } else {
        "DriverEntry"
    };
    link.arg(format!("/entry:{entry}"));
    for library in ["ntoskrnl.lib", "hal.lib"] {
        link.arg(tree.kernel_libraries().join(library));
    }
    if driver.model == Model::Kmdf {
        for library in ["WdfLdr.lib", "WdfDriverEntry.lib"] {
            link.arg(tree.wdf_libraries().join(library));
        }
    }
    link
}

/// The conformance driver, with the scenarios for runs with the framework verifier off, then on.
pub fn build_conformance(project: &Project, kmdf: KmdfVersion) -> Result<Vec<Image>> {
    let kit = CKit::prepare(project, kmdf)?;
    let suite = project.path("host/drydock/conformance");
    let mut sources: Vec<PathBuf> = fs::read_dir(suite.join("src"))?
        .map(|e| Ok(e?.path()))
        .collect::<Result<Vec<_>>>()?;
    sources.retain(|p| p.extension().is_some_and(|e| e == "c"));
    sources.push(suite.join("platform/start.c"));
    sources.sort();

    let mut images = Vec::new();
    for (name, tables) in [
        ("conform", "tables.inc"),
        ("conform-verifier", "tables-verifier.inc"),
    ] {
        // tables.c is compiled in a folder of its own, where the wanted list is called tables.inc.
        let folder = project.cross_target().join("conformance").join(name);
        fs::create_dir_all(&folder)?;
        fs::copy(suite.join("src").join(tables), folder.join("tables.inc"))?;
        fs::copy(suite.join("src/tables.c"), folder.join("tables.c"))?;
        let sources = sources
            .iter()
            .map(|s| {
                if s.ends_with("tables.c") {
                    folder.join("tables.c")
                } else {
                    s.clone()
                }
            })
            .collect();
        let driver = CDriver {
            name,
            model: Model::Kmdf,
            sources,
            includes: vec![suite.join("src")],
            folder: project.images(),
            strict: false,
            compile: &[],
            link: &[],
        };
        images.push(build(&kit, &driver)?);
    }
    Ok(images)
}
