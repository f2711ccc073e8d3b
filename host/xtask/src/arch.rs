//! The architectures an image can be built for, and what each tool calls them.

use std::fmt;

/// A processor architecture of Windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Arch {
    /// 64-bit x86: what is tested, on drydock too.
    #[default]
    #[value(name = "x86_64", aliases = ["amd64", "x64"])]
    Amd64,
    /// 64-bit ARM: built and audited.
    #[value(name = "aarch64", alias = "arm64")]
    Arm64,
}

impl Arch {
    /// rustc's and clang's name.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-pc-windows-msvc",
            Self::Arm64 => "aarch64-pc-windows-msvc",
        }
    }

    /// The name in environment variables of the `cc` crate.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64_pc_windows_msvc",
            Self::Arm64 => "aarch64_pc_windows_msvc",
        }
    }

    /// The name in INF files: what `$ARCH$` stands for.
    pub const fn in_inf(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The name of the WDK's library folders.
    pub const fn in_wdk(self) -> &'static str {
        match self {
            Self::Amd64 => "x64",
            Self::Arm64 => "ARM64",
        }
    }

    /// The machine `llvm-dlltool` makes import libraries for.
    pub const fn dlltool_machine(self) -> &'static str {
        match self {
            Self::Amd64 => "i386:x86-64",
            Self::Arm64 => "arm64",
        }
    }

    /// What Inf2Cat is told the catalogue is for.
    pub const fn inf2cat_os(self) -> &'static str {
        match self {
            Self::Amd64 => "10_x64",
            Self::Arm64 => "Server10_arm64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.in_inf())
    }
}
