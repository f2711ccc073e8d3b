<#
.SYNOPSIS
Throws if code integrity has refused ferry.sys or pier.sys since the machine was started.
#>
[CmdletBinding()]
param()
. "$PSScriptRoot\native.ps1"
Assert-Administrator
$start = (Get-CimInstance Win32_OperatingSystem).LastBootUpTime
$filter = @{ LogName = 'Microsoft-Windows-CodeIntegrity/Operational'; StartTime = $start }
# No event at all is an error to Get-WinEvent, and good news here.
$events = Get-WinEvent -FilterHashtable $filter -ErrorAction SilentlyContinue | Where-Object { $_.Message -match '\\(ferry|pier)\.sys' -and $_.Level -le 3 }
if ($events) {
    $events | Format-List -Property @('TimeCreated', 'Id', 'Message') | Out-Host
    throw 'Code integrity complains about an image. What to do: the events above say which and why; cargo xtask audit checks the same rules.'
}
Write-Host 'Code integrity is content with both images.'
