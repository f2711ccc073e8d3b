<#
.SYNOPSIS
Collects what an error report needs: framework logs, verifier state, minidumps, setup log, what is installed.
.PARAMETER To
Folder the results go to; made if it is not there.
#>
[CmdletBinding()]
param([string] $To = 'collected')
. "$PSScriptRoot\native.ps1"
Assert-Administrator
New-Item -ItemType Directory -Path $To -Force | Out-Null

# Each part alone: one that fails must not cost the others.
$parts = @{
    'verifier-settings.txt' = { & verifier /querysettings }
    'verifier-state.txt' = { & verifier /query }
    'devices.txt' = { & pnputil /enum-devices /class System /drivers }
    'drivers.txt' = { & pnputil /enum-drivers }
    'services.txt' = { & reg query HKLM\SYSTEM\CurrentControlSet\Services\ferry /s; & reg query HKLM\SYSTEM\CurrentControlSet\Services\pier /s }
    'boot.txt' = { & bcdedit /enum '{current}' }
    'system.txt' = { Get-ComputerInfo -Property @('WindowsProductName', 'OsVersion', 'OsBuildNumber', 'CsManufacturer', 'CsModel', 'DeviceGuard*') }
    'bug-checks.txt' = { Get-WinEvent -MaxEvents 20 -ErrorAction SilentlyContinue -FilterHashtable @{ LogName = 'System'; ProviderName = 'Microsoft-Windows-WER-SystemErrorReporting' } | Format-List -Property @('TimeCreated', 'Message') }
    'code-integrity.txt' = { Get-WinEvent -MaxEvents 200 -ErrorAction SilentlyContinue -LogName 'Microsoft-Windows-CodeIntegrity/Operational' | Format-List -Property @('TimeCreated', 'Id', 'Message') }
}
$missing = @()
foreach ($name in $parts.Keys) {
    try {
        & $parts[$name] | Out-File -FilePath (Join-Path $To $name) -Encoding utf8
    } catch {
        $missing += "$name ($_)"
    }
}
foreach ($file in @("$env:windir\INF\setupapi.dev.log", "$env:windir\MEMORY.DMP")) {
    if (Test-Path $file) { Copy-Item -Path $file -Destination $To -Force }
}
if (Test-Path "$env:windir\Minidump") {
    Copy-Item -Path "$env:windir\Minidump\*.dmp" -Destination $To -Force
}
# The framework's log is in the kernel's memory: the minidump has it (ForceLogsInMiniDump), a live machine needs the debugger.
'In the kernel debugger, or on the minidump: !wdfkd.wdflogdump ferry; !wdfkd.wdflogdump pier; !wdfkd.wdfcrashdump' | Out-File -FilePath (Join-Path $To 'framework-log.txt') -Encoding utf8
if ($missing) {
    Write-Warning "not collected: $($missing -join '; ')"
}
Write-Host "Collected in $To"
