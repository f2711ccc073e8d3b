# What every script here uses: native programs whose exit code is looked at, and failures that say what to do.
# Dot-source it; it does nothing by itself. Written for Windows PowerShell 5.1, which every Windows 11 has.

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
# Programs that were copied beside the scripts' folder are found by their names.
$env:Path = "$(Split-Path -Parent $PSScriptRoot);$env:Path"

# Runs a native program, shows what it prints, and throws unless its exit code is good. The exit code is in $LASTEXITCODE.
function Invoke-Native {
    param(
        [Parameter(Mandatory = $true)] [string] $Program,
        [string[]] $Arguments = @(),
        [int[]] $Good = @(0),
        [Parameter(Mandatory = $true)] [string] $IfItFails
    )
    if (-not (Get-Command $Program -CommandType Application -ErrorAction SilentlyContinue)) {
        throw "$Program was not found. What to do: $IfItFails"
    }
    & $Program @Arguments | Out-Host
    if ($Good -notcontains $LASTEXITCODE) {
        throw "$Program $($Arguments -join ' ') ended with $LASTEXITCODE. What to do: $IfItFails"
    }
}

# Throws unless the prompt is elevated.
function Assert-Administrator {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object Security.Principal.WindowsPrincipal $identity
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        throw 'This needs administrator rights. What to do: start PowerShell with "Run as administrator" and call it again.'
    }
}

# A tool of the WDK: as named if it is there, else the one of the newest kit.
function Find-KitTool {
    param([Parameter(Mandatory = $true)] [string] $Name)
    if (Get-Command $Name -CommandType Application -ErrorAction SilentlyContinue) {
        return $Name
    }
    $kits = "${env:ProgramFiles(x86)}\Windows Kits\10\Tools"
    $found = Get-ChildItem -Path "$kits\*\x64\$Name" -ErrorAction SilentlyContinue | Sort-Object -Property FullName | Select-Object -Last 1
    if ($found) {
        return $found.FullName
    }
    return $Name
}

# Throws unless the file or folder is there.
function Assert-Path {
    param(
        [Parameter(Mandatory = $true)] [string] $Path,
        [Parameter(Mandatory = $true)] [string] $IfItFails
    )
    if (-not (Test-Path -LiteralPath $Path)) {
        throw "$Path is not there. What to do: $IfItFails"
    }
}
