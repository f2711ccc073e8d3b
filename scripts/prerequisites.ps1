<#
.SYNOPSIS
Installs what building the drivers on Windows needs, each at an exact version; installed ones are left alone.
.DESCRIPTION
For the build machine only: a test machine needs nothing but the package, ferryctl.exe, seatrial.exe and, from the WDK,
devgen.exe and pwrtest.exe. Call it again after a failure: what is there already is skipped.
#>
[CmdletBinding()]
param()
. "$PSScriptRoot\native.ps1"
Assert-Administrator

# Build Tools: its installer always brings the newest of 2022.
# LLVM: 17 to 21. From 22 on bindgen makes opaque structures of the WDK's headers.
$packages = @(
    @{ Id = 'Microsoft.VisualStudio.2022.BuildTools'; Version = ''; Override = '--quiet --wait --norestart --add Microsoft.VisualStudio.Workload.VCTools --includeRecommended' }
    @{ Id = 'Microsoft.WindowsSDK.10.0.26100'; Version = '10.0.26100.6584'; Override = '' }
    @{ Id = 'Microsoft.WindowsWDK.10.0.26100'; Version = '10.0.26100.6584'; Override = '' }
    @{ Id = 'LLVM.LLVM'; Version = '17.0.6'; Override = '' }
    @{ Id = 'Rustlang.Rustup'; Version = '1.28.2'; Override = '' }
)
# Already installed; no newer one applies.
$alreadyThere = @(-1978335189, -1978335135)

foreach ($package in $packages) {
    $arguments = @('install', '--exact', '--id', $package.Id, '--source', 'winget', '--accept-package-agreements', '--accept-source-agreements', '--disable-interactivity')
    if ($package.Version) { $arguments += @('--version', $package.Version) }
    if ($package.Override) { $arguments += @('--override', $package.Override) }
    Invoke-Native -Program 'winget' -Arguments $arguments -Good (@(0) + $alreadyThere) -IfItFails "winget show --versions --id $($package.Id) lists what the source still has; a download that was cut off is mended by calling this again"
}
# This prompt's PATH is older than rustup.
$env:Path = "$env:USERPROFILE\.cargo\bin;$env:Path"
Invoke-Native -Program 'rustup' -Arguments @('toolchain', 'install', 'stable-x86_64-pc-windows-msvc', '--profile', 'minimal', '--component', 'clippy,rustfmt') -IfItFails 'open a new prompt, so that rustup is in the PATH, and call this again'
Invoke-Native -Program 'rustup' -Arguments @('target', 'add', 'x86_64-pc-windows-msvc', 'aarch64-pc-windows-msvc') -IfItFails 'rustup self update, then call this again'
Write-Host 'Everything is there. Open a new prompt and run: cargo xtask package'
