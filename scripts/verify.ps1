<#
.SYNOPSIS
Carries out the whole checklist of a test machine, over restarts, and writes the report to trial\report.md.
.DESCRIPTION
The checklist is scripts\verify.toml; seatrial.exe carries it out and knows where it stopped. While it is under way a
scheduled task calls this script again at each logon. Call it again yourself after a failure was mended.
.PARAMETER Again
Forget what was done and start at the first step.
.PARAMETER Skip
Steps to leave out; the report says so.
.PARAMETER Unattended
Nobody is at the machine.
#>
[CmdletBinding()]
param(
    [string] $Package = 'package',
    [string] $Device = 'ROOT\DEVGEN\FERRYPIER',
    [string[]] $Skip = @(),
    [switch] $Again,
    [switch] $Unattended
)
. "$PSScriptRoot\native.ps1"
Assert-Administrator

# Everything is named relative to the folder above the scripts.
$top = Split-Path -Parent $PSScriptRoot
Set-Location $top
$task = 'ferry sea trial'
$arguments = @("$PSScriptRoot\verify.toml", '--folder', 'trial', '--set', "package=$Package", '--set', "device=$Device")
foreach ($step in $Skip) { $arguments += @('--skip', $step) }
if ($Again) { $arguments += '--again' }
if ($Unattended) { $arguments += '--unattended' }

$self = "powershell -NoProfile -NoExit -ExecutionPolicy Bypass -File `"$PSCommandPath`" -Package `"$Package`" -Device `"$Device`""
if ($Unattended) { $self += ' -Unattended' }
Invoke-Native -Program 'schtasks' -Arguments @('/create', '/f', '/tn', $task, '/sc', 'onlogon', '/rl', 'highest', '/tr', $self) -IfItFails 'call this script by hand after each restart'
Invoke-Native -Program "$top\seatrial.exe" -Arguments $arguments -Good @(0, 1, 3) -IfItFails 'the message above names the line of the plan or of the command; seatrial.exe lies beside ferryctl.exe'
$end = $LASTEXITCODE
if ($end -ne 3) {
    # Nothing is to happen by itself at the next logon.
    Invoke-Native -Program 'schtasks' -Arguments @('/delete', '/f', '/tn', $task) -IfItFails "delete the task `"$task`" in the task scheduler"
}
if ($end -eq 1) {
    Write-Warning 'A step failed; trial\report.md says which, why, and what to do. Mend it, then call this script again.'
}
exit $end
